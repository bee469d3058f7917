"""Every page: no accessibility fault that axe finds (WCAG 2.1 A and AA), no sideways scrolling on a phone."""

import pytest
from playwright.sync_api import Page

from mailer.context import Context
from tests.browser.chromium import axe_source
from tests.browser.screenshots import list_pages
from tests.support.story import Story

pytestmark = pytest.mark.browser
RUN = """async () => {
  const found = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], iframes: false });
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`));
}"""


DARK = """async () => {
  const found = await axe.run(document, { runOnly: { type: 'rule', values: ['color-contrast'] }, iframes: false });
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `dark: ${node.target} ${node.failureSummary}`));
}"""
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def _too_wide(page: Page) -> list[str]:
    """Say how wide a page is where it does not fit; plots draw themselves anew a moment after a change."""
    for _ in range(20):
        width = page.evaluate("document.documentElement.scrollWidth")
        if width <= PHONE["width"]:
            return []
        page.wait_for_timeout(100)
    return [f"{width} wide on a phone"]


def test_every_page_is_fit_for_everybody(page: Page, base: str, world: tuple[Context, Story]) -> None:
    """Each page once: by day with every rule, by night with that of contrast, and no wider than a phone."""
    ctx, story = world
    script = axe_source()
    faults: dict[str, list[str]] = {}
    for name, path in list_pages(ctx, story).items():
        if name == "error":
            continue
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(base + path)
        page.wait_for_load_state("load")
        page.evaluate(script)
        found = page.evaluate(RUN)
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found += page.evaluate(DARK)
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        found += _too_wide(page)
        if found:
            faults[name] = found[:4]

    assert faults == {}
