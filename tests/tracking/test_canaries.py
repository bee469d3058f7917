"""Markup in what strangers send (user agent, Referer, query) and in texts of links is text on every page."""

import itertools

import pytest
from sqlalchemy import select, update

from mailer import tokens
from mailer.actions import service
from mailer.app import create_app
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun
from mailer.schema.contacts import Contact
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.tracking.endpoint import TrackingEndpoint
from mailer.tracking.ingest import ingest_once
from mailer.tracking.link_map import LinkMap
from mailer.tracking.spool import SpoolWriter
from tests.support.client import sign_in
from tests.support.story import Story, make_story

CANARY = "canary7f3a"
MARKUP = (
    f"<script>{CANARY}()</script>",
    f'"><img src=x onerror={CANARY}()>',
    f"' onmouseover='{CANARY}()",
    f"{{{{ {CANARY} }}}}</textarea><svg onload={CANARY}()>",
    f"javascript:{CANARY}()",
)
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0 "


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_strangers_send_is_markup_on_no_page(ctx: Context) -> None:
    story = make_story(ctx, people=len(MARKUP) + 4)
    with ctx.write() as session:
        version = session.get_one(Sending, story.finished.sending_id).content_version_id
        link = session.scalars(
            select(TrackedLink).where(TrackedLink.content_version_id == version, TrackedLink.ordinal == 0)
        ).one()
        link.label, link.response = MARKUP[0] + MARKUP[1], "confirm"
        link.url = f"https://example.com/?q={MARKUP[0]}".replace(" ", "%20")
        session.add(LinkAction(tracked_link_id=link.id, ordinal=0, kind="add_tag", params={"tag": MARKUP[1]}))
        session.add(LinkAction(tracked_link_id=link.id, ordinal=1, kind="set_field", params={"field": MARKUP[0]}))
    answers = _visit(ctx, story, link.ordinal)
    ingest_once(ctx)
    with ctx.write() as session:
        session.execute(update(ActionRun).values(due_at=utc_now()))
    service.run_due(ctx)

    client = create_app(ctx).test_client()
    sign_in(client)
    campaign = f"/campaigns/{story.finished.public_id}"
    with ctx.read() as session:
        people = [f"/contacts/{public_id}" for public_id in session.scalars(select(Contact.public_id))]
    pages = [
        campaign, f"{campaign}/live", f"{campaign}/links/0", f"{campaign}/links/0?by=machines", f"{campaign}/actions",
        f"{campaign}/actions?state=refused", f"{campaign}/messages?show=clicked", "/actions", "/dashboard", *people,
        *(f"{page}?kind={kind}" for page in people[:2] for kind in ("event", "action")),
    ]  # fmt: skip
    seen = {page: client.get(page) for page in pages}
    assert {page: answer.status_code for page, answer in seen.items() if answer.status_code != 200} == {}
    answers += [(page, answer.get_data(as_text=True)) for page, answer in seen.items()]
    assert any(CANARY in text for _, text in answers)
    for page, text in answers:
        lowered = text.lower()
        for bad in (f"<script>{CANARY}", "<img src=x", "<svg onload", "' onmouseover='", 'href="javascript:'):
            assert bad not in lowered, (page, bad)


def _visit(ctx: Context, story: Story, ordinal: int) -> list[tuple[str, str]]:
    """Open, click and press with markup in everything; return what the endpoint answered."""
    links, spool = LinkMap(ctx), SpoolWriter(ctx.settings.spool_dir)
    links.poll()
    endpoint = TrackingEndpoint(ctx.keys, spool, links)
    with ctx.read() as session:
        messages = session.scalars(
            select(Message.id).where(Message.sending_id == story.finished.sending_id, Message.state == "accepted")
        ).all()
    answers: list[tuple[str, str]] = []
    for message, markup in zip(itertools.cycle(messages), MARKUP, strict=False):
        click = tokens.track_token(ctx.keys, tokens.CLICK, message, ordinal)
        for method in ("GET", "POST"):
            environ = {
                "REQUEST_METHOD": method, "PATH_INFO": f"/c/{click}", "QUERY_STRING": f"q={markup}",
                "HTTP_USER_AGENT": AGENT + markup, "HTTP_REFERER": f"https://example.com/{markup}",
                "REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": markup,
            }  # fmt: skip
            body = b"".join(endpoint(environ, lambda *_: None))
            answers.append((f"{method} /c/", body.decode()))
        pixel = tokens.track_token(ctx.keys, tokens.OPEN, message)
        environ |= {"REQUEST_METHOD": "GET", "PATH_INFO": f"/o/{pixel}.gif"}
        assert b"".join(endpoint(environ, lambda *_: None)).startswith(b"GIF89a")
    spool.close()
    return answers
