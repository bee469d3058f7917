"""Segments in a browser: a newcomer's rule by mouse and by keys, nesting, undo, errors at their place, JSON, drafts."""

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.contacts import Activity, Address, Contact
from mailer.schema.delivery import Event, Message
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.queries import get_segment, iter_members
from tests.browser.chromium import axe_source
from tests.browser.conftest import open_context, watched_page
from tests.browser.screenshots import sign_in
from tests.browser.test_every_page import RUN
from tests.support.make import make_activity, make_contact
from tests.support.story import Story, make_story
from tests.support.webserver import serve_pages

pytestmark = pytest.mark.browser
World = tuple[Context, Story]
EVERYBODY = 67
NEWSLETTER, SEMINAR_LIST = "Seminar invitation", "Seminar participants"


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


def make_people_at_each_edge(ctx: Context, story: Story) -> None:
    """Write two people who belong in, and one for each condition who fails that one only."""
    people: dict[str, dict[str, Any]] = {
        "norway": {},
        "sweden": {"country": "Sweden"},
        "class-a": {"data": {"customer_class": "A"}},
        "denmark": {"country": "Denmark"},
        "bought": {},
        "never-opened": {},
        "listed": {},
    }
    with ctx.write() as session:
        listed = get_segment(session, SEMINAR_LIST)
        for name, values in people.items():
            kept = {"country": "Norway", "data": {"customer_class": "B"}, **values}
            contact = make_contact(session, f"{name}@example.com", key=ctx.keys.suppression, first_name=name, **kept)
            days = 20 if name == "bought" else 400
            make_activity(session, contact, kind="purchase", at=utc_now() - timedelta(days=days), amount=100)
            if name == "listed":
                session.add(SegmentMember(segment_id=listed.id, contact_id=contact.id, added_at=utc_now()))
            if name != "never-opened":
                open_mail(session, story, contact)


def open_mail(session: Any, story: Story, contact: Contact) -> None:
    """Write that a person opened the finished campaign's mail."""
    sending_id = story.finished.sending_id
    message = Message(
        sending_id=sending_id, contact_id=contact.id, address_id=contact.address_id, recipient_key=contact.id,
        state="accepted", accepted_at=utc_now(), gate_at=utc_now(),
    )  # fmt: skip
    session.add(message)
    session.flush()
    session.add(
        Event(
            message_id=message.id,
            sending_id=sending_id,
            contact_id=contact.id,
            kind="open",
            hit_class="human",
            at=utc_now(),
            dedupe_key=f"open:{message.id}",
        )
    )


def assert_the_right_people(page: Page, world: World, name: str) -> None:
    """Compare the segment's members with a set that is computed without any SQL of ours."""
    ctx, story = world
    with ctx.read() as session:
        found = {member.email for member in iter_members(session, get_segment(session, name), utc_now().date())}
        contacts = session.execute(select(Contact, Address.email).join(Address, Address.id == Contact.address_id)).all()
        purchases = session.execute(select(Activity.contact_id, Activity.at).where(Activity.kind == "purchase")).all()
        opens = session.execute(select(Event.contact_id, Event.sending_id, Event.kind, Event.hit_class)).all()
        segment = get_segment(session, SEMINAR_LIST)
        listed = set(session.scalars(select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)))
    start = six_months_before(utc_now().date())
    buyers = {number for number, at in purchases if at.date() >= start}
    openers = {number for number, sending, kind, judged in opens
               if (sending, kind, judged) == (story.finished.sending_id, "open", "human")}  # fmt: skip
    expected = {
        email for contact, email in contacts
        if contact.data.get("customer_class") == "B" and contact.country in ("Norway", "Sweden")
        and contact.id not in buyers and contact.id in openers and contact.id not in listed
    }  # fmt: skip
    assert found == expected
    edge = {f"{name}@example.com" for name in ("class-a", "denmark", "bought", "never-opened", "listed")}
    assert {"norway@example.com", "sweden@example.com"} <= found
    assert not edge & found
    expect(page.locator("#live [data-count]")).to_have_attribute("data-count", str(len(expected)))


def six_months_before(day: date) -> date:
    """Return the first day of the month six months before the one of `day`."""
    months = day.year * 12 + day.month - 1 - 6
    return date(months // 12, months % 12 + 1, 1)


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


# ------------------------------------------------------------------ hands


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
