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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_page(page: Page, base: str, world: tuple[Context, Story], theme: str) -> None:
    ctx, story = world
    script = axe_source()
    faults: dict[str, list[str]] = {}
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    for name, path in list_pages(ctx, story).items():
        if name == "error":
            continue
        page.goto(base + path)
        page.wait_for_load_state("load")
        page.evaluate(script)
        if found := page.evaluate(RUN):
            faults[name] = found[:4]

    assert faults == {}


def test_no_page_scrolls_sideways_on_a_phone(page: Page, base: str, world: tuple[Context, Story]) -> None:
    ctx, story = world
    page.set_viewport_size({"width": 390, "height": 844})
    wide = {}
    for name, path in list_pages(ctx, story).items():
        if name == "error":
            continue
        page.goto(base + path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[name] = width

    assert wide == {}
