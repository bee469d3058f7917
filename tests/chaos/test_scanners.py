"""A scanner asks for every URL of every mail, from many addresses, under names of real browsers (C17).

Nothing follows from it, and no figure of people knows of it; then a person clicks and presses a button, and that works.
"""

import http.client
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from werkzeug.serving import WSGIRequestHandler, make_server

from mailer import tokens
from mailer.actions import service as actions
from mailer.actions import webhooks
from mailer.app import create_app
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.context import Context
from mailer.reports.campaign_figures import get_campaign_figures
from mailer.schema.actions import ActionRun, Webhook
from mailer.schema.base import Base
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Engagement, Message, Sending
from mailer.schema.tracking import Hit
from mailer.segments import service as segments
from mailer.tracking.endpoint import TrackingEndpoint
from mailer.tracking.ingest import ingest_once
from mailer.tracking.link_map import LinkMap
from mailer.tracking.spool import SpoolWriter
from tests.chaos.rig import wait_for
from tests.chaos.scene import Scene, make_crowd
from tests.support.make import make_staff
from tests.tracking.sent import MJML
from tests.tracking.simulated import CHROME, FIREFOX, IPHONE

SIZES = {"short": 12, "long": 400}
"""Mails."""
ADDRESSES = 20
AGENTS = (FIREFOX, CHROME, IPHONE)
CONSEQUENCES = (
    "consent", "consent_event", "subscription", "suppression", "segment_member", "follow_up", "contact_tag",
    "leave_answer", "engagement",
)  # fmt: skip


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        return


@contextmanager
def serve(ctx: Context) -> Iterator[int]:
    """The whole application as web.py puts it together, on a port of its own."""
    links, spool = LinkMap(ctx), SpoolWriter(ctx.settings.spool_dir)
    links.start()
    wait_for("the links", lambda: links.is_fresh)
    app = TrackingEndpoint(ctx.keys, spool, links, behind=create_app(ctx).wsgi_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        links.stop()
        spool.close()


@dataclass(frozen=True)
class Mail:
    """A mail's URLs: the pixel, links that go straight there, links that ask first, the pages of unsubscribing."""

    message_id: int
    contact_id: int
    pixel: str
    straight: Sequence[str]
    asking: Sequence[str]
    leaving: Sequence[str]

    @property
    def urls(self) -> list[str]:
        return [self.pixel, *self.straight, *self.asking, *self.leaving]


def make_mails(ctx: Context, scene: Scene, segment_id: int, topic_id: int, webhook_id: int) -> list[Mail]:
    """Mails handed over ten minutes ago; every link does everything that a link can do, half of them after a button."""
    everything: tuple[tuple[str, dict[str, Any]], ...] = (
        ("add_to_segment", {"segment_id": segment_id}),
        ("set_field", {"field": "category", "value": "hot"}),
        ("add_tag", {"tag": "Interested"}),
        ("follow_up", {"title": "Call", "kind": "call"}),
        ("subscribe", {"topic_id": topic_id}),
        ("webhook", {"webhook_id": webhook_id}),
    )
    with ctx.write() as session:
        make_staff(session)
        version = session.get_one(Sending, scene.sending_id).content_version_id
        links = session.scalars(
            select(TrackedLink).where(TrackedLink.content_version_id == version).order_by(TrackedLink.ordinal)
        ).all()
        for link in links:
            link.response = "confirm" if link.ordinal % 2 else "redirect"
            session.add_all(
                LinkAction(tracked_link_id=link.id, ordinal=ordinal, kind=kind, params=params)
                for ordinal, (kind, params) in enumerate(everything)
            )
        handed_over = utc_now() - timedelta(minutes=10)
        session.execute(update(Message).values(state="accepted", gate_at=handed_over, accepted_at=handed_over))
        rows = session.execute(select(Message.id, Message.contact_id).order_by(Message.id)).all()
        numbers = {
            is_asking: [one.ordinal for one in links if (one.ordinal % 2 == 1) is is_asking]
            for is_asking in (True, False)
        }

    def clicks(message_id: int, *, asking: bool) -> list[str]:
        return [f"/c/{tokens.track_token(ctx.keys, tokens.CLICK, message_id, number)}" for number in numbers[asking]]

    mails = []
    for message_id, contact_id in rows:
        manage = tokens.manage_token(ctx.keys, contact_id or 0, scene.topic_id, message_id)
        mails.append(
            Mail(
                message_id,
                contact_id or 0,
                f"/o/{tokens.track_token(ctx.keys, tokens.OPEN, message_id)}.gif",
                clicks(message_id, asking=False),
                clicks(message_id, asking=True),
                (f"/u/{manage}", f"/p/{manage}"),
            )
        )
    return mails


def scan(port: int, mails: Sequence[Mail], chance: random.Random) -> None:
    """HEAD and GET of every URL, mail by mail, each from an address and under a name of its own."""

    def scan_one(mail: Mail) -> None:
        urls = mail.urls
        chance.shuffle(urls)
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for url in urls:
            for method in ("HEAD", "GET"):
                ask(wire, method, url, chance)
        wire.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(scan_one, mails))


def ask(wire: http.client.HTTPConnection, method: str, url: str, chance: random.Random, *, agent: str = "") -> int:
    """One request from one of ADDRESSES; returns its status."""
    headers = {
        "User-Agent": agent or chance.choice(AGENTS),
        "X-Forwarded-For": f"198.51.100.{chance.randrange(ADDRESSES)}",
    }
    wire.request(method, url, headers=headers)
    answer = wire.getresponse()
    answer.read()
    assert answer.status < 400, (method, url, answer.status)
    return answer.status


def read_consequences(ctx: Context) -> dict[str, list[Any]]:
    """Everything that could follow from a click, row by row."""
    tables = Base.metadata.tables
    with ctx.read() as session:
        return {
            name: sorted(map(str, session.execute(select(tables[name])).all())) for name in (*CONSEQUENCES, "contact")
        }


def run_everything(ctx: Context) -> None:
    """Take all hits in, let every quarantine be over, and run what is due."""
    ingest_once(ctx)
    with ctx.write() as session:
        over = utc_now() - timedelta(seconds=1)
        session.execute(update(ActionRun).where(ActionRun.state == "pending").values(due_at=over))
    actions.run_due(ctx)
    for _ in range(2):  # a receiver that fails is left alone for the rest of a round
        webhooks.call_due(ctx)


@pytest.mark.parametrize("size", ["short", "long"])
def test_a_scanner_changes_nothing_and_a_person_after_it_is_heard(ctx: Context, seed: int, size: str) -> None:
    chance = random.Random(seed)
    print(f"SEED={seed}")
    segment = segments.create_static(ctx, "Interested")
    topic = consent.create_topic(ctx, "Breakfasts")
    webhooks.create_webhook(ctx, "CRM", "https://10.0.0.1/hook")
    with ctx.read() as session:
        webhook_id = session.scalars(select(Webhook.id)).one()
    scene = make_crowd(ctx, SIZES[size], mjml=MJML)
    mails = make_mails(ctx, scene, segment.id, topic.id, webhook_id)
    before = read_consequences(ctx)

    with serve(ctx) as port:
        scan(port, mails, chance)
        run_everything(ctx)

        with ctx.read() as session:
            figures = get_campaign_figures(session, scene.sending_id)
            hits = session.scalar(select(func.count()).select_from(Hit))
            states = set(session.scalars(select(ActionRun.state)))
        assert hits == 2 * sum(len(mail.urls) - len(mail.leaving) for mail in mails)
        assert states <= {"void"}
        assert (figures.event("open", "human"), figures.event("click", "human")) == (0, 0)
        assert (figures.event("open", "machine"), figures.event("click", "machine")) == (len(mails), len(mails))
        assert read_consequences(ctx) == before

        _let_a_minute_pass(ctx)
        straight, asking = mails[0], mails[1]
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        ask(wire, "GET", straight.pixel, chance, agent=FIREFOX)
        assert ask(wire, "GET", straight.straight[0], chance, agent=FIREFOX) == 302
        assert ask(wire, "GET", asking.asking[0], chance, agent=IPHONE) == 200
        assert ask(wire, "POST", asking.asking[0], chance, agent=IPHONE) == 200
        wire.close()
        run_everything(ctx)

    with ctx.read() as session:
        figures = get_campaign_figures(session, scene.sending_id)
        done = session.execute(
            select(ActionRun.contact_id, ActionRun.state, func.count())
            .where(ActionRun.state.in_(("done", "refused")))
            .group_by(ActionRun.contact_id, ActionRun.state)
        ).all()
        clicked = set(session.scalars(select(Engagement.contact_id).where(Engagement.last_click_at.is_not(None))))
    assert (figures.event("open", "human"), figures.event("click", "human")) == (1, 2)
    people = {straight.contact_id, asking.contact_id}
    assert clicked == people
    assert {tuple(row) for row in done} == {(who, *what) for who in people for what in (("done", 5), ("refused", 1))}


def _let_a_minute_pass(ctx: Context) -> None:
    """Put what the scanner did a minute back: people come later than the ten seconds that the rules look at."""
    with ctx.write() as session:
        for number, at in session.execute(select(Hit.id, Hit.at)).all():
            session.execute(update(Hit).where(Hit.id == number).values(at=at - timedelta(minutes=1)))


@pytest.mark.parametrize("size", ["short", "long"])
def test_a_press_of_the_button_stands_while_the_scanner_still_runs(ctx: Context, seed: int, size: str) -> None:
    chance = random.Random(seed)
    segment = segments.create_static(ctx, "Interested")
    topic = consent.create_topic(ctx, "Breakfasts")
    webhooks.create_webhook(ctx, "CRM", "https://10.0.0.1/hook")
    with ctx.read() as session:
        webhook_id = session.scalars(select(Webhook.id)).one()
    mails = make_mails(ctx, make_crowd(ctx, 3 if size == "short" else 50, mjml=MJML), segment.id, topic.id, webhook_id)

    with serve(ctx) as port:
        scanning = threading.Thread(target=scan, args=(port, mails, chance))
        scanning.start()
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for mail in mails:
            assert ask(wire, "POST", mail.asking[0], chance, agent=IPHONE) == 200
            ingest_once(ctx)
        wire.close()
        scanning.join()
        run_everything(ctx)

    with ctx.read() as session:
        done = session.execute(
            select(ActionRun.contact_id, func.count()).where(ActionRun.state == "done").group_by(ActionRun.contact_id)
        ).all()
    assert {tuple(row) for row in done} == {(mail.contact_id, 5) for mail in mails}
