"""Hands on the rule builder: choose, type, tab, and read what stands in it."""

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect


def choose_field(page: Page, name: str) -> None:
    """Choose a field in the newest line, by mouse."""
    box = page.get_by_role("combobox", name="Field", exact=True).last
    if box.get_attribute("aria-expanded") != "true":
        box.click()
    page.get_by_role("listbox", name="Field").get_by_text(name, exact=True).click()


def choose_values(page: Page, label: str, *values: str) -> None:
    """Choose values in a picker, by mouse."""
    for value in values:
        page.get_by_role("combobox", name=label, exact=True).click()
        page.get_by_role("listbox", name=label, exact=True).get_by_text(value, exact=True).click()
    expect(page.locator(".chip-item").filter(has_text=values[-1])).to_be_visible()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what `selector` finds has the focus."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {selector}")


def type_and_take(page: Page, words: str) -> None:
    """Type into the picker that has the focus and take the best match as soon as it is there."""
    page.keyboard.type(words)
    expect(page.locator(".combo-list:visible .active").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".combo-list:visible")).to_have_count(0)


def open_rule(page: Page, base: str, data: dict[str, Any]) -> None:
    """Open an editor that holds a rule."""
    page.goto(f"{base}/segments/new")
    page.get_by_text("The rule as JSON, for experts").click()
    page.locator("#rule").fill(json.dumps({"version": 1, **data}))
    page.get_by_text("The rule as JSON, for experts").click()


def open_full_rule(page: Page, base: str) -> None:
    """Open an editor with groups in groups, every kind of note and an error."""
    inner = {"none": [text("title", ""), {"field": "created_at", "op": "previous", "value": {"n": 3, "unit": "month"}}]}
    purchase = {"kind": "purchase", "sum": {"op": "between", "value": [1, 2000]}, "currency": "NOK"}
    open_rule(page, base, {"all": [
        {"any": [{"field": "country", "op": "is_one_of", "value": ["Norway", "Sweden"]}, inner]},
        {"field": "activity", "op": "has", "value": purchase},
        {"field": "opened", "op": "did", "value": {"campaign": 1}},
        {"field": "nonsense", "op": "is", "value": 3},
        {**text("last_name", "x"), "off": True},
    ]})  # fmt: skip
    expect(page.locator(".rule-problem")).to_be_visible()


def text(field: str, value: str) -> dict[str, Any]:
    """Return a line that compares a text."""
    return {"field": field, "op": "equals", "value": value}


def count(page: Page) -> Locator:
    """Return where the live number stands."""
    return page.locator("#live [data-count]")


def rule(page: Page) -> dict[str, Any]:
    """Return the rule that the form would send."""
    data: dict[str, Any] = json.loads(page.locator("#rule").input_value())
    return data


def fields_of(data: dict[str, Any]) -> list[Any]:
    """Return the names of fields in a rule, groups as lists."""
    items = next(data[mode] for mode in ("all", "any", "none") if mode in data)
    return [item["field"] if "field" in item else fields_of(item) for item in items]


def first_field(page: Page, line: int) -> Locator:
    """Return the field picker of a line of the whole page."""
    return page.locator(".rule-line").nth(line).get_by_role("combobox", name="Field")
