"""From the wizard to the diary: a link makes a meeting and opens a form; a reader clicks, sales see the hour."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select, update
from werkzeug.serving import make_server

from mailer.actions.service import run_due
from mailer.app import create_app
from mailer.campaigns import service as campaigns
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import Database
from mailer.followups.calendar import Calendar
from mailer.jobs import SilentBell
from mailer.schema.accounts import Staff
from mailer.schema.actions import ActionRun
from mailer.schema.contacts import Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message
from mailer.schema.followups import FollowUp
from mailer.settings import Settings
from mailer.tokens import CLICK, new_keys, track_token
from mailer.tracking.endpoint import build_endpoint
from mailer.tracking.ingest import ingest_once
from tests.browser.conftest import watched_page
from tests.browser.screenshots import sign_in
from tests.support.clicked import FIREFOX
from tests.support.forms import make_form
from tests.support.story import PASSWORD, Story, make_story
from tests.support.webserver import _Quiet

pytestmark = pytest.mark.browser


@contextmanager
def _serve(folder: Path) -> Iterator[tuple[Context, Story, str]]:
    """Yield a world and the address of its pages; opens and clicks are answered elsewhere, by a server of their own."""
    servers = [make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet) for _ in range(2)]
    base, tracking = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    settings = Settings(
        data_dir=folder, database_url=f"sqlite:///{folder / 'mailer.sqlite'}", public_url=base, tracking_url=tracking,
        smtp_url="smtp://127.0.0.1:9", bounce_domain="bounce.localhost",
    )  # fmt: skip
    ctx = Context(settings, Database(settings.database_url), new_keys(), SilentBell())
    story = make_story(ctx, people=20)
    endpoint = build_endpoint(ctx)
    threads = []
    for server, app in zip(servers, (create_app(ctx), endpoint), strict=True):
        server.app = app
        threads.append(threading.Thread(target=server.serve_forever, daemon=True))
        threads[-1].start()
    try:
        yield ctx, story, base
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
        endpoint._links.stop()
        ctx.database.dispose()


def test_a_click_becomes_a_meeting_with_an_hour_and_the_reader_finds_a_form_filled_in(
    browser: Browser, tmp_path: Path, sqlite_template: Path
) -> None:
    (tmp_path / "mailer.sqlite").write_bytes(sqlite_template.read_bytes())
    with _serve(tmp_path) as (ctx, story, base):
        make_form(ctx, name="Tell us more", title="Tell us more", fields=[{"field": "first_name", "prefill": True}])
        office = browser.new_context()
        with watched_page(office, base) as page:
            sign_in(page, base)
            _set_the_link_up(page, base, story)
            page.wait_for_load_state("networkidle")
        office.close()
        path = _send(ctx, story)

        reader = browser.new_context(user_agent=FIREFOX)
        page = reader.new_page()
        page.goto(ctx.settings.tracking_url + path)
        page.wait_for_url(f"{base}/f/m/**")
        expect(page.get_by_role("heading", name="Tell us more")).to_be_visible()
        expect(page.get_by_label("First name")).to_have_value("Kari")
        expect(page.get_by_text("This is about p…@example.com")).to_be_visible()
        page.wait_for_load_state("networkidle")
        reader.close()
        due = _run(ctx)

        shop = browser.new_context()
        with watched_page(shop, base) as page:
            page.goto(f"{base}/sign-in")
            page.get_by_label("Address").fill("bo@example.com")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.goto(f"{base}/follow-ups?whose=mine")
            row = page.locator("[data-row]", has_text="Show the new model")
            expect(row).to_contain_text(f"{due.day} {due:%b} {due.year}, 09:00")
            expect(row).to_contain_text("30 min")
            page.wait_for_load_state("networkidle")
        shop.close()


def _set_the_link_up(page: Page, base: str, story: Story) -> None:
    page.goto(f"{base}/campaigns/{story.draft.public_id}/content")
    box = page.locator("#link-0")
    box.get_by_label("What a click does").select_option(label="Create a follow-up task")
    box.get_by_role("button", name="Add the action").click()
    box.get_by_label("What is to be done").fill("Show the new model")
    box.get_by_label("Kind").select_option(label="meeting")
    box.get_by_label("Due in working days").fill("2")
    box.get_by_label("Minutes of a meeting").fill("30")
    box.get_by_label("Answer").select_option(label="a form, filled in")
    box.get_by_label("Form", exact=True).select_option(label="Tell us more")
    page.get_by_label("Subject").press("Enter")
    page.wait_for_url(re.compile("/recipients"))


def _send(ctx: Context, story: Story) -> str:
    """Launch the campaign; return the path of the link in the mail of a contact of the salesperson's."""
    with ctx.read() as session:
        sending_before = session.scalars(select(Message.sending_id).distinct()).all()
    campaigns.launch_campaign(ctx, story.draft.id)
    campaigns.prepare_campaign(ctx, story.draft.id)
    with ctx.write() as session:
        link = session.scalars(select(TrackedLink).where(TrackedLink.response == "form")).one()
        message = session.scalars(
            select(Message)
            .where(Message.sending_id.not_in(sending_before), Message.state == "queued")
            .order_by(Message.id)
        ).first()
        assert message is not None
        message.state, message.accepted_at = "accepted", utc_now() - timedelta(minutes=10)
        contact = session.get_one(Contact, message.contact_id)
        ada, bo = (
            session.scalars(select(Staff).where(Staff.email == f"{name}@example.com")).one() for name in ("ada", "bo")
        )
        bo.password_hash, bo.must_change_password = ada.password_hash, False
        contact.owner_id, contact.first_name = bo.id, "Kari"
        return f"/c/{track_token(ctx.keys, CLICK, message.id, link.ordinal)}"


def _run(ctx: Context) -> date:
    """Take the click in, end its quarantine; return the day on which the rule wants the meeting."""
    ingest_once(ctx)
    with ctx.write() as session:
        session.execute(update(ActionRun).values(due_at=utc_now() - timedelta(seconds=1)))
        session.execute(update(FollowUp).where(FollowUp.starts_at.is_(None)).values(title="Other"))
    assert run_due(ctx) == 1
    today = datetime.now(ZoneInfo("Europe/Oslo")).date()
    return Calendar().add_working_days(today, 2)
