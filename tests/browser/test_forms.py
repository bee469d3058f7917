"""Signing up in a browser: on a phone, without a script, from the form to the contact; and building a form."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from mailer.consent.queries import get_permission, list_choices
from mailer.contacts.queries import list_by_email
from mailer.context import Context
from mailer.database import Database
from mailer.delivery.loop import send_due
from mailer.forms.handle import handle_sign_ups
from mailer.jobs import SilentBell
from mailer.schema.forms import Form
from mailer.settings import Settings
from mailer.statuses import Permission
from mailer.tokens import new_keys
from tests.browser.chromium import axe_source
from tests.browser.conftest import watched_page
from tests.browser.screenshots import sign_in
from tests.browser.test_every_page import RUN
from tests.support.signed_up import make_signed_up
from tests.support.sink import Sink, run_sink
from tests.support.story import make_story
from tests.support.webserver import serve_pages

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A relay that is started and stopped in a thread of its own: the browser's driver holds this one's event loop."""
    with ThreadPoolExecutor(1) as worker, ExitStack() as stack:
        yield worker.submit(stack.enter_context, run_sink(Sink())).result()
        worker.submit(stack.close).result()


@pytest.fixture
def ctx(tmp_path: Path, sqlite_template: Path, redis_url: str, sink: Sink) -> Iterator[Context]:
    """A small world with Redis and a relay."""
    (tmp_path / "mailer.sqlite").write_bytes(sqlite_template.read_bytes())
    settings = Settings(
        data_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'mailer.sqlite'}",
        redis_url=redis_url,
        public_url="http://127.0.0.1:8000",
        smtp_url=f"smtp://127.0.0.1:{sink.port}",
        bounce_domain="bounce.localhost",
    )
    context = Context(settings, Database(settings.database_url), new_keys(), SilentBell())
    context.redis.flushdb()
    make_story(context, people=5)
    yield context
    context.database.dispose()


@pytest.fixture
def base(ctx: Context) -> Iterator[str]:
    """The address of the pages."""
    with serve_pages(ctx) as address:
        yield address


def link_in(sink: Sink, email: str) -> str:
    """The path of the link in the mail that somebody got."""
    (mail,) = [one for one in sink.mails if one.rcpt_to == email]
    found = re.search(rb"http://127.0.0.1:8000(/s/[\w-]+)", mail.raw.replace(b"=\r\n", b""))
    assert found
    return found[1].decode()


def test_a_person_signs_up_and_confirms_on_a_phone_without_script(
    browser: Browser, base: str, ctx: Context, sink: Sink
) -> None:
    form = make_signed_up(ctx).form
    context = browser.new_context(**PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    with watched_page(context, base) as page:
        page.goto(f"{base}/f/{form.public_id}")
        page.get_by_label("Email address").fill("kari.nordmann@example.com")
        page.get_by_label("First name").fill("Kari")
        page.get_by_label("Where do you work?").fill("Nordlys Energi")
        page.get_by_label(re.compile("^News")).check()
        page.get_by_label(re.compile("^Yes, Fjord Seminars")).check()
        page.wait_for_timeout(2_100)  # as long as a person takes at the very least
        page.get_by_role("button", name="Count me in").click()
        expect(page.get_by_role("heading", name="One more step")).to_be_visible()

        handle_sign_ups(ctx)
        with ThreadPoolExecutor(1) as worker:
            worker.submit(send_due, ctx, seconds=20).result()
        page.goto(base + link_in(sink, "kari.nordmann@example.com"))
        expect(page.get_by_text("k…@example.com")).to_be_visible()
        page.get_by_role("button", name="Yes, sign me up").click()
        expect(page.get_by_role("heading", name="You are signed up")).to_be_visible()

        page.goto(base + link_in(sink, "kari.nordmann@example.com"))
        expect(page.get_by_role("heading", name="You are signed up already")).to_be_visible()
        assert context.cookies() == []
    context.close()

    with ctx.read() as session:
        (contact,) = list_by_email(session, "kari.nordmann@example.com")
        choices = {choice.name: choice.status.value for choice in list_choices(session, contact.id)}
        assert get_permission(session, contact.id) is Permission.CONSENT
    assert (contact.first_name, contact.company_id is not None) == ("Kari", True)
    assert choices == {"Invitations": "unsubscribed", "News": "subscribed"}


def test_a_form_with_faults_is_readable_for_everybody(browser: Browser, base: str, ctx: Context) -> None:
    form = make_signed_up(ctx).form
    context = browser.new_context(**PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{base}/f/{form.public_id}")
    page.locator("form").evaluate("form => form.noValidate = true")
    page.get_by_label("First name").fill("Kari")

    page.get_by_role("button", name="Count me in").click()

    expect(page.get_by_role("alert").get_by_role("link", name="Email address")).to_be_visible()
    expect(page.get_by_label("Email address")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("First name")).to_have_value("Kari")
    page.evaluate(axe_source())
    assert page.evaluate(RUN) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_marketer_builds_a_form_opens_it_and_sees_its_page(browser: Browser, base: str, ctx: Context) -> None:
    context = browser.new_context()
    with watched_page(context, base) as page:
        sign_in(page, base)
        page.goto(f"{base}/forms")
        page.get_by_role("link", name="New form").first.click()
        page.get_by_label("Name of the form").fill("Autumn letter")
        page.get_by_role("checkbox", name=re.compile("News")).check()
        page.get_by_label("Ask for City").select_option("required")
        page.get_by_role("textbox", name="Title", exact=True).fill("Our letter in autumn")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Autumn letter")).to_be_visible()

        page.get_by_role("button", name="Open", exact=True).click()
        expect(page.get_by_text("takes sign-ups now")).to_be_visible()

        page.get_by_role("button", name="Close").first.click()
        expect(page.locator("#confirm")).to_be_visible()
        page.locator("#confirm").get_by_role("button", name="Cancel").click()
        _see_hosted_page(page, base, ctx)
    context.close()


def _see_hosted_page(page: Page, base: str, ctx: Context) -> None:
    with ctx.read() as session:
        form = session.scalars(select(Form).where(Form.name == "Autumn letter")).one()
    page.goto(f"{base}/f/{form.public_id}")
    expect(page.get_by_role("heading", name="Our letter in autumn")).to_be_visible()
    expect(page.get_by_label("City")).to_have_attribute("required", "")
    assert form.state == "open"
