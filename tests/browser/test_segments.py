"""Segments in a browser: a newcomer's rule by mouse and by keys, nesting, undo, errors at their place, JSON, drafts."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.queries import get_segment
from tests.browser.chromium import axe_source
from tests.browser.conftest import open_context, watched_page
from tests.browser.edges import SEMINAR_LIST, World, assert_the_right_people, make_people_at_each_edge
from tests.browser.hands import (
    choose_field,
    choose_values,
    count,
    fields_of,
    first_field,
    open_full_rule,
    open_rule,
    rule,
    tab_to,
    text,
    type_and_take,
)
from tests.browser.screenshots import sign_in
from tests.browser.test_every_page import RUN
from tests.support.story import make_story
from tests.support.webserver import serve_pages

pytestmark = pytest.mark.browser
EVERYBODY = 67
NEWSLETTER = "Seminar invitation"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[World]:
    """One world for this file, which no test leaves changed but for segments of its own."""
    folder = tmp_path_factory.mktemp("segments")
    (folder / "mailer.sqlite").write_bytes(sqlite_template.read_bytes())
    with open_context(folder) as ctx:
        story = make_story(ctx, people=60)
        make_people_at_each_edge(ctx, story)
        yield ctx, story


@pytest.fixture(scope="module")
def base(world: World) -> Iterator[str]:
    """The address of the pages."""
    with serve_pages(world[0]) as address:
        yield address


@pytest.fixture(scope="module")
def signed_in(browser: Browser, base: str) -> Iterator[BrowserContext]:
    """Where the admin is signed in."""
    context = browser.new_context()
    first = context.new_page()
    sign_in(first, base)
    first.close()
    yield context
    context.close()


@pytest.fixture
def page(signed_in: BrowserContext, base: str) -> Iterator[Page]:
    """A tab of its own, watched like the one of every other test."""
    with watched_page(signed_in, base) as opened:
        yield opened


# ------------------------------------------------------------------ the newcomer's rule


def test_a_newcomer_builds_the_rule_by_mouse_within_a_minute(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/segments/new")
    started = time.monotonic()

    page.locator("#name").fill("Asleep at the till, by mouse")
    choose_field(page, "Customer class")
    choose_values(page, "Customer class: values", "B")
    page.get_by_role("button", name="Add a line").click()
    choose_field(page, "Country")
    choose_values(page, "Country: values", "Norway", "Sweden")
    page.get_by_role("button", name="Add a line").click()
    choose_field(page, "Purchase")
    page.get_by_label("Purchase: operator").select_option(label="there is none")
    page.get_by_label("Purchase: when").select_option(label="in this and the previous")
    expect(page.get_by_label("Purchase: how many")).to_have_value("6")
    page.get_by_role("button", name="Add a line").click()
    choose_field(page, "Opened a mail")
    choose_values(page, "Opened a mail: campaign", NEWSLETTER)
    page.get_by_role("button", name="Add a line").click()
    choose_field(page, "Segment")
    page.get_by_label("Segment: operator").select_option(label="is in none of")
    choose_values(page, "Segment: values", SEMINAR_LIST)
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", name="Asleep at the till, by mouse")).to_be_visible()
    assert time.monotonic() - started < 60
    assert_the_right_people(page, world, "Asleep at the till, by mouse")


def test_a_newcomer_builds_the_rule_by_keyboard_alone(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/segments/new")
    keys = page.keyboard
    started = time.monotonic()

    tab_to(page, "#name")
    keys.type("Asleep at the till, by keys")
    tab_to(page, "[role=combobox][aria-label=Field]")
    type_and_take(page, "customer class")
    keys.press("Tab")
    type_and_take(page, "B")
    keys.press("Alt+Enter")
    type_and_take(page, "country")
    keys.press("Tab")
    type_and_take(page, "Norway")
    type_and_take(page, "Sweden")
    keys.press("Alt+Enter")
    type_and_take(page, "purchase")
    keys.press("ArrowDown")
    keys.press("Tab")
    keys.press("ArrowDown")
    expect(page.get_by_label("Purchase: how many")).to_have_value("6")
    keys.press("Alt+Enter")
    type_and_take(page, "opened")
    keys.press("Tab")
    type_and_take(page, NEWSLETTER)
    keys.press("Alt+Enter")
    type_and_take(page, "segment")
    keys.press("ArrowDown")
    keys.press("Tab")
    type_and_take(page, SEMINAR_LIST)
    tab_to(page, ".save-bar button")
    keys.press("Enter")

    expect(page.get_by_role("heading", name="Asleep at the till, by keys")).to_be_visible()
    assert time.monotonic() - started < 60
    assert_the_right_people(page, world, "Asleep at the till, by keys")


# ------------------------------------------------------------------ what one does with lines and groups


def test_an_empty_line_is_not_used_yet_and_a_filled_one_counts(page: Page, base: str) -> None:
    page.goto(f"{base}/segments/new")
    expect(count(page)).to_have_attribute("data-count", str(EVERYBODY))

    choose_field(page, "City")
    expect(page.get_by_text("not used yet")).to_be_visible()
    choose_values(page, "City: values", "Oslo")

    expect(count(page)).to_have_attribute("data-count", "20")
    expect(page.get_by_text("not used yet")).to_be_hidden()
    expect(page.locator("#sample li")).to_have_count(10)


def test_suggested_values_come_with_their_numbers(page: Page, base: str) -> None:
    page.goto(f"{base}/segments/new")
    choose_field(page, "City")

    page.get_by_role("combobox", name="City: values").click()

    options = page.get_by_role("listbox", name="City: values").get_by_role("option")
    expect(options).to_have_count(3)
    expect(options.filter(has_text="Bergen").locator(".combo-count")).to_have_text("20")


def test_lines_move_by_keys_and_focus_goes_with_them(page: Page, base: str) -> None:
    open_rule(page, base, {"all": [text("city", "Oslo"), text("title", "Buyer"), {"any": [text("country", "Norway")]}]})
    first_field(page, 0).focus()

    page.keyboard.press("Alt+ArrowDown")
    assert fields_of(rule(page)) == ["title", "city", ["country"]]
    expect(first_field(page, 1)).to_be_focused()

    page.keyboard.press("Alt+ArrowRight")
    assert fields_of(rule(page)) == ["title", ["city", "country"]]
    expect(page.get_by_role("combobox", name="Field").nth(1)).to_be_focused()

    page.keyboard.press("Alt+ArrowLeft")
    assert fields_of(rule(page)) == ["title", ["country"], "city"]
    expect(page.locator("[data-said]")).to_have_text("Moved out, now in: All of these.")

    page.keyboard.press("Alt+ArrowLeft")
    expect(page.locator("[data-said]")).to_have_text("It cannot be moved further this way.")


def test_a_line_is_wrapped_duplicated_switched_off_and_its_group_dissolved(page: Page, base: str) -> None:
    open_rule(page, base, {"all": [text("city", "Oslo")]})
    first_field(page, 0).focus()

    page.keyboard.press("Alt+g")
    page.keyboard.press("Alt+d")
    assert fields_of(rule(page)) == [["city", "city"]]
    expect(page.get_by_role("combobox", name="Field").nth(1)).to_be_focused()

    page.get_by_role("button", name="What to do with this line").first.click()
    page.get_by_role("button", name="Switch off").click()
    assert rule(page)["all"][0]["any"][0]["off"] is True
    expect(page.get_by_text("switched off", exact=True)).to_be_visible()

    page.get_by_role("button", name="What to do with this group").click()
    page.get_by_role("button", name="Dissolve this group").click()
    assert fields_of(rule(page)) == ["city", "city"]


def test_what_was_removed_comes_back_by_undo(page: Page, base: str) -> None:
    before = {"version": 1, "all": [text("city", "Oslo"), {"none": [text("title", "Buyer")]}]}
    open_rule(page, base, before)

    page.get_by_role("button", name="Remove this group").click()
    assert fields_of(rule(page)) == ["city"]
    expect(first_field(page, 0)).to_be_focused()
    page.locator("[data-removed]").get_by_role("button", name="Undo").click()
    assert rule(page) == before

    first_field(page, 0).focus()
    page.keyboard.press("Alt+Delete")
    page.get_by_label("How the lines of this group belong together").first.focus()
    page.keyboard.press("Control+z")
    assert rule(page) == before
    page.keyboard.press("Control+Shift+z")
    assert fields_of(rule(page)) == [["title"]]


def test_the_mode_of_a_group_changes_whom_it_finds(page: Page, base: str) -> None:
    open_rule(page, base, {"all": [text("city", "Oslo"), text("city", "Bergen")]})
    expect(count(page)).to_have_attribute("data-count", "0")

    page.get_by_label("How the lines of this group belong together").select_option(label="Any of these")
    expect(count(page)).to_have_attribute("data-count", "40")
    page.get_by_label("How the lines of this group belong together").select_option(label="None of these")
    expect(count(page)).to_have_attribute("data-count", str(EVERYBODY - 40))


def test_an_error_stands_at_the_line_it_speaks_of(page: Page, base: str) -> None:
    wrong = {"any": [text("title", "Buyer"), {"field": "city", "op": "is_one_of", "value": {"a": 1}}]}
    open_rule(page, base, {"all": [text("city", "Oslo"), wrong, {"field": "nonsense", "op": "is", "value": 1}]})

    lines = page.locator(".rule-line")
    expect(lines.nth(2).locator(".rule-problem")).to_have_count(1)
    expect(lines.nth(3).locator(".rule-problem")).to_contain_text("nonsense")
    expect(lines.nth(0).locator(".rule-problem")).to_have_count(0)

    lines.nth(3).get_by_role("button", name="Remove this line").click()
    lines.nth(2).get_by_role("button", name="Remove this line").click()
    expect(page.locator(".rule-problem")).to_have_count(0)
    expect(count(page)).to_be_visible()


def test_json_and_lines_follow_each_other(page: Page, base: str) -> None:
    page.goto(f"{base}/segments/new")
    choose_field(page, "City")
    choose_values(page, "City: values", "Oslo")
    assert rule(page) == {"version": 1, "all": [{"field": "city", "op": "is_one_of", "value": ["Oslo"]}]}

    page.get_by_text("The rule as JSON, for experts").click()
    page.locator("#rule").fill('{"version": 1, "any": [{"field": "title", "op": "contains", "value": "sales"}]}')
    expect(page.get_by_label("Job title: value")).to_have_value("sales")
    expect(page.get_by_label("How the lines of this group belong together")).to_have_value("any")

    page.locator("#rule").fill('{"version": 1, "any": [')
    expect(page.locator("#rule-json-problem")).not_to_be_empty()
    expect(page.get_by_label("Job title: value")).to_have_value("sales")


def test_every_shape_of_value_survives_the_builder(page: Page, base: str) -> None:
    period = {"op": "this_and_previous", "n": 12, "unit": "month"}
    shapes = [
        {"field": "created_at", "op": "between", "value": ["2026-01-01", "2026-06-30"]},
        {"field": "created_at", "op": "previous", "value": {"n": 2, "unit": "quarter"}},
        {"field": "created_at", "op": "in", "value": {"op": "before", "value": "2026-01-01"}},
        {"field": "created_at", "op": "today"},
        {"field": "clicked", "op": "did", "value": {"link": "https://example.com/programme", "machine": True}},
        {"field": "bounced", "op": "did", "value": {"kind": "hard", "count": {"op": ">=", "value": 2}}},
        {
            "field": "activity",
            "op": "has",
            "value": {
                "kind": "nps",
                "period": period,
                "sum": {"op": "between", "value": [1, 2]},
                "currency": "NOK",
                "data": {"score": {"op": ">=", "value": 9}},
            },
        },
        {"field": "topic", "op": "subscribed", "value": {"topic": ["News"], "period": period}},
        {"field": "suppressed", "op": "yes", "value": {"reason": ["complaint"], "scope": "all"}},
        {"field": "do_not_mail", "op": "no"},
        {"field": "owner", "op": "is_empty"},
        {"field": "tags", "op": "has_all_of", "value": ["a", "b"]},
    ]
    before = {"version": 1, "all": shapes}
    open_rule(page, base, before)
    expect(count(page)).to_be_visible()

    page.get_by_role("button", name="Add a line").click()  # makes the builder write what it read
    choose_field(page, "City")
    choose_values(page, "City: values", "Oslo")

    assert rule(page)["all"][:-1] == shapes
    expect(count(page)).to_be_visible()


def test_an_escaped_list_leaves_the_field_as_it_was(page: Page, base: str) -> None:
    open_rule(page, base, {"all": [text("city", "Oslo")]})
    field = first_field(page, 0)

    field.click()
    field.fill("coun")
    expect(page.get_by_role("listbox", name="Field")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("listbox", name="Field")).to_be_hidden()
    expect(field).to_have_value("City")


# ------------------------------------------------------------------ nothing is lost


def test_an_unsaved_rule_is_there_again_after_leaving(page: Page, base: str) -> None:
    page.goto(f"{base}/segments/new")
    page.locator("#name").fill("Half done")
    choose_field(page, "City")
    choose_values(page, "City: values", "Oslo")
    page.goto(f"{base}/contacts")

    page.goto(f"{base}/segments/new")
    expect(page.get_by_text("What you had not saved is here again.")).to_be_visible()
    expect(page.locator("#name")).to_have_value("Half done")
    expect(count(page)).to_have_attribute("data-count", "20")

    page.get_by_role("button", name="Discard it").click()
    expect(page.locator("#name")).to_have_value("")
    expect(count(page)).to_have_attribute("data-count", str(EVERYBODY))


# ------------------------------------------------------------------ why, combined, members


def test_why_is_answered_while_editing(page: Page, base: str) -> None:
    open_rule(page, base, {"all": [text("city", "Oslo"), {"any": [text("title", "Buyer")]}]})

    person = page.get_by_role("combobox", name="Person")
    person.fill("person0@")
    page.get_by_role("listbox", name="Person").get_by_role("option").first.click()

    expect(page.locator("#explained .why-yes").first).to_be_visible()
    expect(page.locator("#explained")).to_contain_text("Oslo")


def test_a_combined_segment_shows_its_numbers_while_it_is_made(page: Page, base: str, world: World) -> None:
    page.goto(f"{base}/segments/new?kind=combined")
    page.locator("#name").fill("Makers who do not come")
    choose_values(page, "Segments", "Decision makers", SEMINAR_LIST)
    result = page.locator("#parts [data-count]")
    expect(result).to_have_attribute("data-count", "14")

    page.get_by_role("radio", name="only in the first").check()
    expect(result).to_have_attribute("data-count", "6")
    expect(page.locator("[data-equation]")).to_have_text(
        "20 in Decision makers · 41 in Seminar participants · 14 in both → 6"
    )
    page.get_by_role("button", name="Turn the order round").click()
    expect(result).to_have_attribute("data-count", "27")
    page.get_by_role("radio", name="in any of them").check()
    expect(result).to_have_attribute("data-count", "47")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", name="Makers who do not come")).to_be_visible()
    expect(page.locator(".branches li")).to_have_count(3)
    with world[0].read() as session:
        assert get_segment(session, "Makers who do not come").operation == "union"


def test_somebody_taken_out_of_a_list_comes_back_by_undo(page: Page, base: str, world: World) -> None:
    ctx, story = world
    with ctx.read() as session:
        listed = session.scalars(select(Segment).where(Segment.name == SEMINAR_LIST)).one()
        before = session.get_one(SegmentMember, (listed.id, story.contact.id))
    page.goto(f"{base}/segments/{listed.public_id}")
    page.get_by_label("Find a member").fill("person0@")
    expect(page.locator("#members tbody tr")).to_have_count(1)

    page.get_by_role("button", name="Take ").click()
    expect(page.get_by_text("is taken out.")).to_be_visible()
    with ctx.read() as session:
        assert session.get(SegmentMember, (listed.id, story.contact.id)) is None
    page.locator("#members").get_by_role("button", name="Undo").click()

    expect(page.get_by_text("Back on the list.")).to_be_visible()
    with ctx.read() as session:
        after = session.get_one(SegmentMember, (listed.id, story.contact.id))
    assert (after.cause, after.added_at, after.added_by) == (before.cause, before.added_at, before.added_by)


def test_the_list_is_searched_and_filtered(page: Page, base: str) -> None:
    page.goto(f"{base}/segments")
    expect(page.get_by_role("link", name="Decision makers")).to_be_visible()

    page.get_by_label("Kind").select_option(label="combined")
    expect(page.get_by_role("link", name="Makers who take part")).to_be_visible()
    expect(page.get_by_role("link", name="Decision makers")).to_have_count(0)
    page.get_by_label("Find", exact=True).fill("nothing like it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No segment matches")).to_be_visible()


# ------------------------------------------------------------------ for everybody


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_full_builder_has_no_fault_that_axe_finds(page: Page, base: str, theme: str) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    open_full_rule(page, base)
    page.get_by_role("combobox", name="Field").first.click()
    expect(page.get_by_role("listbox", name="Field")).to_be_visible()
    page.evaluate(axe_source())

    assert page.evaluate(RUN) == []


def test_a_full_builder_does_not_scroll_sideways_on_a_phone(page: Page, base: str) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    open_full_rule(page, base)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("combobox", name="Field").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
