"""`make screenshots`: every page of a small world, desktop, phone and dark, into build/screenshots."""

import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import Database
from mailer.followups.service import TaskSpec, create_by_hand
from mailer.imports.uploads import make_upload
from mailer.jobs import SilentBell
from mailer.migrations.runner import migrate
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.forms import Form
from mailer.schema.segments import Segment
from mailer.segments.queries import get_segment
from mailer.settings import Settings
from mailer.tokens import CLICK, manage_token, new_keys, track_token
from tests.browser.chromium import launch_options
from tests.support.asked import make_asked
from tests.support.clicked import make_clicked
from tests.support.domain import make_checked_domain
from tests.support.rates import make_rates
from tests.support.relays import make_relays
from tests.support.signed_up import make_signed_up
from tests.support.story import PASSWORD, Story, make_story
from tests.support.watched import make_watched
from tests.support.ways_in import make_ways_in
from tests.support.webserver import serve_pages

CSV = """E-post;Fornavn;Etternavn;Firma;Favourite color
kari.berg@example.com;Kari;Berg;Nordlys Energi;blue
jonas@example.org;Jonas;Åsen;Havn & Co;green
"""
TARGET = Path(__file__).resolve().parents[2] / "build" / "screenshots"
LOOKS = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
}


def _find_task(ctx: Context) -> str:
    """Return the address of a task."""
    with ctx.read() as session:
        return f"/follow-ups/{session.scalars(select(FollowUp.public_id).order_by(FollowUp.id).limit(1)).one()}"


def _make_meetings(ctx: Context, story: Story) -> str:
    """Write two meetings at the same time; return the address of one."""
    day = date(2031, 3, 3)
    spec = TaskSpec(title="Show the new model", kind="meeting", due_on=day, minutes=45, owner_id=story.admin_id)
    first = create_by_hand(ctx, story.contact.id, spec)
    second = create_by_hand(ctx, story.contact.id, replace(spec, title="Lunch", starts_at=first.starts_at))
    return f"/follow-ups/{second.public_id}"


def _open_from_mail(ctx: Context, story: Story, form: Form) -> str:
    """Have a link of the finished campaign open a form; return the address that it leads to."""
    with ctx.write() as session:
        message = session.scalars(
            select(Message).where(Message.sending_id == story.finished.sending_id, Message.state == "accepted").limit(1)
        ).one()
        version = session.get_one(Sending, message.sending_id).content_version_id
        links = select(TrackedLink).where(TrackedLink.content_version_id == version)
        link = session.scalars(links.order_by(TrackedLink.ordinal.desc()).limit(1)).one()
        link.response, link.form_id = "form", form.id
        return f"/f/m/{track_token(ctx.keys, CLICK, message.id, link.ordinal)}"


def list_pages(ctx: Context, story: Story) -> dict[str, str]:
    """Return every page that is worth a picture, by name."""
    key, path = make_upload(ctx, "fair-in-oslo.csv")
    path.write_text(CSV, encoding="utf-8")
    domain = make_checked_domain(ctx)
    relay = make_relays(ctx, story)
    task = make_watched(ctx, story)
    signed_up = make_signed_up(ctx)
    form = signed_up.form.public_id
    clicked = make_clicked(ctx, story)
    asked, erasure = make_asked(ctx, story)
    rated = make_rates(ctx, story)
    ways_in = make_ways_in(ctx)
    token = manage_token(ctx.keys, story.contact.id, story.topic_id)
    return {
        "sign-in": "/sign-in",
        "dashboard": "/dashboard",
        "contacts": "/contacts",
        "contact": f"/contacts/{story.contact.public_id}",
        "contact-new": "/contacts/new",
        "imports": "/imports",
        "import-new": "/imports/new",
        "import-map": f"/imports/file/{key}",
        "came-back": "/bounces",
        "came-back-campaign": f"/bounces?campaign={story.finished.public_id}",
        "bounces": "/bounces/reports",
        "bounces-to-teach": "/bounces/reports?state=to_teach",
        "bounce": "/bounces/reports/1",
        "bounce-to-teach": f"/bounces/reports/{ways_in.strange_report}",
        "bounce-lessons": "/bounces/reports/lessons",
        "provider-mistakes": "/bounces/mistakes",
        "ways-in": "/bounces/ways-in",
        "endpoint": f"/bounces/ways-in/endpoints/{ways_in.endpoint}",
        "endpoint-new": "/bounces/ways-in/endpoints/new",
        "mailbox": f"/bounces/ways-in/mailboxes/{ways_in.mailbox}",
        "mailbox-new": "/bounces/ways-in/mailboxes/new",
        "campaigns": "/campaigns",
        "campaign-setup": f"/campaigns/{story.draft.public_id}/setup",
        "campaign-template": f"/campaigns/{story.draft.public_id}/template",
        "campaign-content": f"/campaigns/{story.draft.public_id}/content?add=0:follow_up",
        "campaign-recipients": f"/campaigns/{story.draft.public_id}/recipients",
        "campaign-review": f"/campaigns/{story.draft.public_id}/review",
        "report": f"/campaigns/{story.finished.public_id}",
        "report-running": f"/campaigns/{story.running.public_id}",
        "report-link": f"/campaigns/{story.finished.public_id}/links/{clicked.ordinal}",
        "report-link-machines": f"/campaigns/{story.finished.public_id}/links/{clicked.ordinal}?by=machines",
        "report-actions": f"/campaigns/{story.finished.public_id}/actions",
        "actions-not-done": "/actions",
        "webhooks": "/webhooks",
        "report-recipients": f"/campaigns/{story.finished.public_id}/messages",
        "designs": "/designs",
        "design-edit": "/designs/edit?source=invitation",
        "segments": "/segments",
        "segment": f"/segments/{story.segment.public_id}",
        "segment-edit": f"/segments/{story.segment.public_id}/edit",
        "segment-new": "/segments/new",
        "segment-full": f"/segments/{_full_rule(ctx).public_id}/edit",
        "segment-static": "/segments/new?kind=static",
        "segment-list": f"/segments/{_named(ctx, 'Seminar participants').public_id}",
        "segment-combined": f"/segments/{_named(ctx, 'Makers who take part').public_id}",
        "segment-combined-edit": f"/segments/{_named(ctx, 'Makers who take part').public_id}/edit",
        "segment-history": f"/segments/{story.segment.public_id}/history",
        "segment-properties": f"/segments/{story.segment.public_id}/properties",
        "bulk-new": f"/segments/{story.segment.public_id}/tasks/new",
        "bulk-follow-ups": f"/segments/{story.segment.public_id}/tasks/new?kind=follow_ups",
        "bulk-field": f"/segments/{story.segment.public_id}/tasks/new?kind=set_field",
        "bulk-archive": f"/segments/{story.segment.public_id}/tasks/new?kind=archive",
        "bulk-tasks": "/segments/tasks",
        "bulk-task": f"/segments/tasks/{task.public_id}",
        "forms": "/forms",
        "form": f"/forms/{form}",
        "form-edit": f"/forms/{form}/edit",
        "sign-up": f"/f/{form}",
        "sign-up-framed": f"/f/{form}/embed",
        "sign-up-thanks": f"/f/{form}/done",
        "sign-up-confirm": signed_up.link(ctx),
        "sign-up-known": _open_from_mail(ctx, story, signed_up.form),
        "follow-ups": "/follow-ups?whose=all",
        "follow-up": _find_task(ctx),
        "meeting": (meeting := _make_meetings(ctx, story)),
        "follow-up-change": f"{meeting}/edit",
        "follow-up-new": f"/follow-ups/new?contact={story.contact.public_id}",
        "follow-ups-sharing": "/follow-ups/sharing",
        "rates": "/deliverability",
        "rates-month": "/deliverability?window=30d",
        "rates-mails": "/deliverability/mails?window=30d",
        "report-held": f"/campaigns/{rated.held.public_id}",
        "report-canary": f"/campaigns/{rated.watched.public_id}",
        "suppressions": "/suppressions",
        "suppression": "/suppressions/1",
        "proof": f"/proof/{story.contact.public_id}?check=1",
        "objection": f"/objections/{story.contact.id}",
        "override": f"/campaigns/{story.draft.public_id}/override",
        "topics": "/topics",
        "fields": "/fields",
        "settings": "/settings",
        "senders": "/senders",
        "sender-new": "/senders/new",
        "domains": "/domains",
        "domain": f"/domains/{domain.public_id}",
        "domain-new": "/domains/new",
        "transports": "/transports",
        "transport": f"/transports/{relay.public_id}",
        "transport-new": "/transports/new",
        "operations": "/operations",
        "unknown": f"/campaigns/{story.running.public_id}/unknown",
        "staff": "/staff",
        "staff-new": "/staff/new",
        "audit": "/audit",
        "privacy": "/privacy",
        "privacy-request": f"/privacy/requests/{asked.public_id}",
        "privacy-request-new": f"/privacy/requests/new?contact={story.contact.public_id}",
        "privacy-person": f"/privacy/person?contact={story.contact.public_id}",
        "privacy-erasure": f"/privacy/erasures/{erasure.public_id}",
        "retention": "/privacy/retention",
        "incident": "/privacy/incident",
        "error": "/nothing-here",
        "unsubscribe": f"/u/{token}",
        "preferences": f"/p/{token}",
    }


def _named(ctx: Context, name: str) -> Segment:
    with ctx.read() as session:
        return get_segment(session, name)


def _full_rule(ctx: Context) -> Segment:
    """Write a segment whose editor shows groups in groups, every kind of value and lines that are off."""
    half_a_year = {"op": "this_and_previous", "n": 6, "unit": "month"}
    purchases = {"kind": "purchase", "sum": {"op": "between", "value": [1, 2000]}, "currency": "NOK"}
    rule = {
        "version": 1,
        "all": [
            {"field": "customer_class", "op": "is_one_of", "value": ["B"]},
            {
                "any": [
                    {"field": "country", "op": "is_one_of", "value": ["Norway", "Sweden"]},
                    {
                        "none": [
                            {"field": "city", "op": "equals", "value": "Oslo"},
                            {"field": "created_at", "op": "previous", "value": {"n": 3, "unit": "month"}},
                        ]
                    },
                ]
            },
            {"field": "activity", "op": "has_not", "value": {"kind": "purchase", "period": half_a_year}},
            {"field": "activity", "op": "has", "value": purchases, "off": True},
            {"field": "opened", "op": "did", "value": {"campaign": "Seminar invitation"}},
            {"field": "segment", "op": "not_in", "value": ["Seminar participants"]},
            {"field": "title", "op": "contains", "value": ""},
        ],
    }
    with ctx.write() as session:
        now = utc_now()
        segment = Segment(name="Quiet in the north", kind="dynamic", rule=rule, created_at=now, updated_at=now)
        session.add(segment)
        return segment


def sign_in(page: Page, base: str) -> None:
    """Sign in as the admin of the world."""
    page.goto(f"{base}/sign-in")
    page.get_by_label("Address").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")


def take(browser: Browser, base: str, look: str, pages: dict[str, str]) -> None:
    """Take every page in one look."""
    folder = TARGET / look
    folder.mkdir(parents=True)
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    page = context.new_page()
    if "sign-in" in pages:
        page.goto(base + pages["sign-in"])
        page.screenshot(path=folder / "sign-in.png")
    sign_in(page, base)
    for name, path in pages.items():
        if name == "sign-in":
            continue
        page.goto(base + path)
        page.wait_for_load_state("load")
        page.wait_for_load_state("load")
        page.wait_for_timeout(400)  # frames, counts and plots come after the page
        page.evaluate("document.fonts.ready")
        page.screenshot(path=folder / f"{name}.png", full_page=True)
    context.close()


def main(only: list[str]) -> None:
    """Take the pictures; arguments choose pages by name."""
    shutil.rmtree(TARGET, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/mailer.sqlite"
        settings = Settings(data_dir=Path(folder), database_url=url, public_url="http://127.0.0.1:8000")  # type: ignore[call-arg]
        ctx = Context(settings=settings, database=Database(url), keys=new_keys(), bell=SilentBell())
        migrate(ctx.database)
        story = make_story(ctx)
        pages = {name: path for name, path in list_pages(ctx, story).items() if not only or name in only}
        with serve_pages(ctx) as base, sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch_options())  # type: ignore[arg-type]
            for look in LOOKS:
                take(browser, base, look, pages)
            browser.close()
        ctx.database.dispose()
    print(f"{len(pages)} pages in {len(LOOKS)} looks: {TARGET}")


if __name__ == "__main__":
    main(sys.argv[1:])
