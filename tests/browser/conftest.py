"""A real Chromium on real HTTP. Where there is none, the run says so in its last lines, and CI fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.settings import Settings
from mailer.tokens import new_keys
from tests.browser.chromium import NoBrowserError, launch_options
from tests.browser.screenshots import sign_in
from tests.support.story import Story, make_story
from tests.support.webserver import serve_pages

IS_CI = os.environ.get("CI", "") not in ("", "0", "false")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium a test file: its driver keeps an event loop running, which tests of asyncio could not share."""
    try:
        options = launch_options()
    except NoBrowserError as error:
        if IS_CI:
            pytest.fail(str(error))
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**options)  # type: ignore[arg-type]
        yield started
        started.close()


@contextmanager
def open_context(folder: Path) -> Iterator[Context]:
    """Yield the context of an installation whose database lies in `folder` as mailer.sqlite."""
    settings = Settings(
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'mailer.sqlite'}",
        public_url="http://127.0.0.1:8000",
        smtp_url="smtp://127.0.0.1:9",
        bounce_domain="bounce.localhost",
    )
    ctx = Context(settings, Database(settings.database_url), new_keys(), SilentBell())
    yield ctx
    ctx.database.dispose()


@contextmanager
def watched_page(context: BrowserContext, base: str) -> Iterator[Page]:
    """Yield a new page; a policy violation, an error or a request elsewhere fails the test."""
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda said: wrong.append(said.text) if _is_fault(said) else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda asked: wrong.append(asked.url) if _is_elsewhere(asked.url, base) else None)
    yield opened
    opened.close()
    assert wrong == []


@pytest.fixture
def world(tmp_path: Path, sqlite_template: Path) -> Iterator[tuple[Context, Story]]:
    """A small world on a database of its own."""
    (tmp_path / "mailer.sqlite").write_bytes(sqlite_template.read_bytes())
    with open_context(tmp_path) as ctx:
        yield ctx, make_story(ctx, people=60)


@pytest.fixture
def base(world: tuple[Context, Story]) -> Iterator[str]:
    """The address of the pages."""
    with serve_pages(world[0]) as address:
        yield address


@pytest.fixture
def page(browser: Browser, base: str) -> Iterator[Page]:
    """A page on which the admin is signed in; a policy violation, an error or a request elsewhere fails the test."""
    context = browser.new_context()
    with watched_page(context, base) as opened:
        sign_in(opened, base)
        yield opened
    context.close()


def _is_fault(said: ConsoleMessage) -> bool:
    """Whether the browser complains; a question that was given up for a newer one is no fault."""
    return said.type == "error" and not said.text.startswith(("htmx:afterRequest", "htmx:sendAbort"))


def _is_elsewhere(url: str, base: str) -> bool:
    return not url.startswith((base, "data:", "blob:", "about:"))
