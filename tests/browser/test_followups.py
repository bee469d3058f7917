"""A salesperson's list by keyboard: choose, close several at once, find them again."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_tasks_are_chosen_and_closed_by_keyboard(page: Page, base: str) -> None:
    page.goto(f"{base}/follow-ups?whose=all")
    rows = page.locator("[data-row]")
    before = rows.count()
    expect(page.locator("#bulk")).to_be_hidden()

    for key in "jxjxjxx":
        page.keyboard.press(key)
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    chosen = [rows.nth(at).locator("[data-key=o]").inner_text() for at in (0, 1)]
    page.locator("#bulk-outcome").select_option("reached")
    page.locator("#bulk").get_by_role("button", name="Done").click()

    expect(rows).to_have_count(before - 2)
    page.goto(f"{base}/follow-ups?whose=all&status=done")
    for name in chosen:
        expect(page.get_by_role("link", name=name).first).to_be_visible()
    page.get_by_role("button", name="Reopen").first.click()
    page.goto(f"{base}/follow-ups?whose=all")
    expect(rows).to_have_count(before - 1)


def test_key_opens_what_a_row_can_do(page: Page, base: str) -> None:
    page.goto(f"{base}/follow-ups?whose=all")
    for key in "jd":
        page.keyboard.press(key)

    expect(page.get_by_role("button", name="Meeting").first).to_be_visible()
