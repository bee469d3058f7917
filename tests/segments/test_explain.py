"""Rules in words, and why a contact is in or not, as a tree."""

from datetime import date
from typing import Any

import pytest

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, NotFoundError
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import ContactField
from mailer.schema.segments import Segment
from mailer.segments import queries, service
from mailer.segments.explain import describe_line, describe_rule
from mailer.segments.phrases import Names
from mailer.segments.rules import iter_lines, parse_rule
from mailer.statuses import FieldType, SegmentOperation
from tests.segments import worlds
from tests.segments.draws import PAIRS
from tests.segments.test_fuzz import make_draw
from tests.support.make import make_contact, make_workspace

TODAY = date(2026, 11, 21)
OWN = {"seats": FieldType.NUMBER, "born": FieldType.DATE, "vip": FieldType.YES_NO, "likes": FieldType.TAGS}
MONTHS = {"op": "previous", "n": 2, "unit": "month"}


def line(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


SENTENCES = [
    (line("city", "equals", "Oslo"), "city is Oslo", "whose city is Oslo"),
    (line("city", "is_one_of", ["Oslo", "Bergen", "Å"]), "city is Oslo, Bergen or Å",
     "whose city is Oslo, Bergen or Å"),
    (line("city", "is_none_of", ["Oslo", "Bergen"]), "city is neither Oslo nor Bergen", None),
    (line("city", "equals", "Oslo, or so"), "city is “Oslo, or so”", None),
    (line("city", "is_empty"), "city is empty", None),
    (line("email.domain", "ends_with", ".no"), "mail domain ends with .no", None),
    (line("email.status", "equals", "hard_bounce"), "address status is hard_bounce", None),
    (line("company.industry", "not_contains", "fish"), "company's industry does not contain fish", None),
    (line("seats", "between", [1, "2.50"]), "seats is between 1 and 2.5", None),
    (line("seats", ">=", 1000), "seats is at least 1,000", None),
    (line("born", "before", "2000-02-29"), "born is before 29 Feb 2000", None),
    (line("born", "today"), "born is today", None),
    (line("born", "is_not_empty"), "born is not empty", None),
    (line("created_at", "this", {"unit": "month"}), "was added in this month", "who were added in this month"),
    (line("last_sent_at", "is_empty"), "was never mailed", "who were never mailed"),
    (line("last_opened_at", "this_and_previous", {"n": 1, "unit": "half_year"}),
     "last opened a mail in this and the previous half-year", None),
    (line("company.created_at", "after", "2026-01-01"), "company was added after 1 Jan 2026", None),
    (line("do_not_mail", "no"), "is not marked “do not mail”", "who are not marked “do not mail”"),
    (line("company.do_not_mail", "yes"), "company is marked “do not mail”", None),
    (line("vip", "yes"), "vip is yes", None),
    (line("tags", "is_one_of", ["Golf"]), "has Golf among the tags", "who have Golf among the tags"),
    (line("tags", "has_not_all_of", ["Golf", "Mat"]), "has not all of the tags Golf and Mat", None),
    (line("likes", "is_empty"), "has no likes", None),
    (line("sent", "did_not", {"period": MONTHS}), "was not sent a mail in the previous 2 months",
     "who were not sent a mail in the previous 2 months"),
    (line("opened", "did", {"campaign": 7, "machine": True}), "opened a mail of the campaign Autumn, machines counted",
     None),
    (line("clicked", "did", {"campaign": [7, "Winter"], "link": 3, "at_least": 2}),
     "clicked the link https://example.com/a in a mail of the campaigns Autumn or Winter at least 2 times", None),
    (line("bounced", "did", {"kind": "hard"}), "had a hard bounce", None),
    (line("bounced", "did_not", {"count": {"op": "<=", "value": 2}}), "did not have a bounce at most 2 times", None),
    (line("complained", "did_not"), "did not complain about a mail", None),
    (line("unsubscribed", "did"), "unsubscribed through a mail", None),
    (line("activity", "has", "purchase"), "has a purchase activity", "who have a purchase activity"),
    (line("activity", "has_not", {"kind": "seminar", "period": MONTHS}),
     "has no seminar activity in the previous 2 months", "who have no seminar activity in the previous 2 months"),
    (line("activity", "has", {"kind": "purchase", "sum": {"op": ">", "value": 5}, "currency": "eur"}),
     "purchase activities in EUR add up to more than 5", "whose purchase activities in EUR add up to more than 5"),
    (line("activity", "has", {"kind": "nps", "data": {"score": {"op": ">=", "value": 9}}}),
     "has a nps activity with score that is at least 9", None),
    (line("follow_up", "has", {"outcome": ["sale", "meeting"], "period": MONTHS}),
     "has a follow-up task with the outcome sale or meeting done in the previous 2 months", None),
    (line("follow_up", "has_not", {"status": "open", "kind": "call"}), "has no open call task", None),
    (line("topic", "not_subscribed", ["News", "Events"]), "is not subscribed to News or Events", None),
    (line("topic", "subscribed", {"topic": "News", "period": MONTHS}),
     "is subscribed to News, which began in the previous 2 months", None),
    (line("suppressed", "yes", ["hard_bounce"]), "is suppressed because of hard bounce", None),
    (line("consent", "withdrawn", {"period": MONTHS}),
     "withdrew the permission for e-marketing in the previous 2 months", None),
    (line("segment", "in", [5]), "is in Customers", "who are in Customers"),
    (line("segment", "not_in", [5, "Staff"]), "is in neither Customers nor Staff", None),
]  # fmt: skip
NAMES = Names(segments={5: "Customers"}, campaigns={7: "Autumn"}, links={3: "https://example.com/a"})


@pytest.mark.parametrize(("item", "statement", "clause"), SENTENCES, ids=[row[1] for row in SENTENCES])
def test_line_reads_as_english(item: dict[str, Any], statement: str, clause: str | None) -> None:
    group = parse_rule({"all": [item]}, OWN)

    assert describe_line(iter_lines(group)[0], NAMES) == statement
    if clause:
        assert describe_rule(group, NAMES) == f"Contacts {clause}"


A, B, C, D = (line("city", "equals", name) for name in "ABCD")
SAYS = {name: f"whose city is {name}" for name in "ABCD"}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"all": []}, "All contacts"),
        ({"all": [A | {"off": True}, B]}, "Contacts {B}"),
        ({"all": [A, B, C]}, "Contacts {A}, {B} and {C}"),
        ({"any": [A, B]}, "Contacts {A} or {B}"),
        ({"none": [A]}, "All contacts except those {A}"),
        ({"none": [A, B]}, "All contacts except those {A} or {B}"),
        ({"all": [A, {"any": [B, C]}]}, "Contacts {A} and either {B} or {C}"),
        ({"any": [A, {"all": [B, C]}]}, "Contacts {A} or both {B} and {C}"),
        ({"all": [A, {"none": [B]}]}, "Contacts {A} and who are not those {B}"),
        ({"all": [A, {"none": [B, C]}]}, "Contacts {A} and who are not those ({B} or {C})"),
        ({"all": [A, {"all": [B, C]}]}, "Contacts {A} and {B} and {C}"),
        ({"all": [A, {"any": [B, C, D]}]}, "Contacts {A} and ({B}, {C} or {D})"),
        ({"all": [A, {"any": [B, {"all": [C, D]}]}]}, "Contacts {A} and ({B} or ({C} and {D}))"),
    ],
)
def test_groups_read_as_english(rule: dict[str, Any], sentence: str) -> None:
    assert describe_rule(parse_rule(rule)) == sentence.format(**SAYS)


def test_every_operator_of_every_field_has_words() -> None:
    draw = make_draw(3)
    own = {key: FieldType(kind) for key, kind in worlds.OWN.items()}
    for _ in range(2 * len(PAIRS)):
        group = parse_rule({"all": [draw.line([5, "Staff"])]}, own)
        for item in iter_lines(group):
            words = describe_line(item)
            assert (
                "_" not in words.replace("no_address", "").replace("invalid_address", "") or "“" in words or item.value
            )
            assert "  " not in words
            assert not words.endswith(" ")


@pytest.fixture
def people(ctx: Context) -> dict[str, int]:
    with ctx.write() as session:
        make_workspace(session)
        session.add(ContactField(key="seats", label="Chairs", type="number", created_at=utc_now()))
        session.add(Campaign(id=7, name="Autumn", created_at=utc_now(), updated_at=utc_now()))
        rows = {
            name: make_contact(session, first_name=name, city="Oslo" if name in "AB" else "Bergen", data={"seats": 5})
            for name in "ABC"
        }
    return {name: row.id for name, row in rows.items()}


def told(ctx: Context, source: queries.Source, contact_id: int) -> list[str]:
    """The tree as the command line shows it."""
    with ctx.read() as session:
        reasons = queries.list_reasons(session, source, contact_id, TODAY)
    return [f"{'yes' if reason.holds else 'no '} {'  ' * reason.depth}{reason.text}" for reason in reasons]


def test_groups_and_lines_tell_each_whether_they_hold(ctx: Context, people: dict[str, int]) -> None:
    rule = {"version": 1, "all": [
        line("seats", ">", 1),
        {"any": [line("city", "equals", "Bergen"),
                 {"none": [line("city", "equals", "Oslo"), line("title", "is_empty")]}]},
        line("opened", "did_not", {"campaign": 7}),
    ]}  # fmt: skip
    segment = service.create_dynamic(ctx, "Mixed", rule)

    assert told(ctx, segment, people["A"]) == [
        "yes Chairs is more than 1",
        "no  any of these",
        "no    city is Bergen",
        "no    none of these",
        "yes     city is Oslo",
        "yes     title is empty",
        "yes did not open a mail of the campaign Autumn",
        "yes is not archived",
    ]
    assert told(ctx, segment, people["C"])[1:4] == ["yes any of these", "yes   city is Bergen", "no    none of these"]


def test_membership_tells_what_the_other_segment_asks(ctx: Context, people: dict[str, int]) -> None:
    service.create_dynamic(ctx, "Oslo", {"any": [line("city", "equals", "Oslo"), line("title", "contains", "x")]})
    service.create_static(ctx, "Board", contact_ids=[people["C"]])
    one = service.create_dynamic(ctx, "One", {"all": [line("segment", "not_in", "Oslo")]})
    two = service.create_dynamic(ctx, "Two", {"none": [line("segment", "in", ["Oslo", "Board"])]})

    assert told(ctx, one, people["A"]) == [
        "no  is not in Oslo",
        "yes   any of these",
        "yes     city is Oslo",
        "no      title contains x",
        "yes is not archived",
    ]
    assert told(ctx, two, people["C"]) == [
        "no  none of these",
        "yes   is in Oslo or Board",
        "no      is in “Oslo”",
        "yes     is in “Board”",
        "yes is not archived",
    ]


def test_set_operations_tell_each_of_their_parts(ctx: Context, people: dict[str, int]) -> None:
    service.create_dynamic(ctx, "Oslo", {"all": [line("city", "equals", "Oslo"), line("seats", "=", 5)]})
    service.create_static(ctx, "Board", contact_ids=[people["B"]])
    service.create_combined(ctx, "Inner", SegmentOperation.ONLY_FIRST, ["Oslo", "Board"])
    outer = service.create_combined(ctx, "Outer", SegmentOperation.EXACTLY_ONE, ["Board", "Inner"])

    assert told(ctx, outer, people["A"]) == [
        "yes is in exactly one of these segments",
        "no    is in “Board”",
        "yes   is in “Inner”",
        "yes     is in the first and not in the second",
        "yes       is in “Oslo”",
        "yes         city is Oslo",
        "yes         Chairs is 5",
        "no        is in “Board”",
        "yes is not archived",
    ]
    assert told(ctx, outer, people["C"])[0] == "no  is in exactly one of these segments"
    with ctx.read() as session, pytest.raises(NotFoundError):
        queries.list_reasons(session, outer, 999_999, TODAY)


def test_renaming_a_segment_changes_no_rule(ctx: Context, people: dict[str, int]) -> None:
    oslo = service.create_dynamic(ctx, "Oslo", {"all": [line("city", "equals", "Oslo")]})
    outside = service.create_dynamic(ctx, "Outside", {"all": [line("segment", "not_in", "Oslo")]})
    service.update_segment(ctx, oslo.id, name="Capital")
    service.create_static(ctx, "Oslo", contact_ids=[people["C"]])

    with ctx.read() as session:
        segment = queries.get_segment(session, outside.id)
        assert segment.rule == {"all": [line("segment", "not_in", [oslo.id])]}
        assert [member.id for member in queries.iter_members(session, segment, TODAY)] == [people["C"]]
        assert queries.describe_segment(session, segment) == "Contacts who are not in Capital"


def test_archived_segment_still_means_what_it_meant_where_it_is_used(ctx: Context, people: dict[str, int]) -> None:
    oslo = service.create_dynamic(ctx, "Oslo", {"all": [line("city", "equals", "Oslo")]})
    asking = service.create_dynamic(ctx, "Asking", {"all": [line("segment", "in", oslo.id)]})
    service.create_dynamic(ctx, "Bergen", {"all": [line("city", "equals", "Bergen")]})
    both = service.create_combined(ctx, "Both", SegmentOperation.UNION, ["Oslo", "Bergen"])
    with ctx.write() as session:
        session.get_one(Segment, oslo.id).archived_at = utc_now()

    with ctx.read() as session:
        assert queries.count_members(session, queries.get_segment(session, asking.id), TODAY) == 2
        assert queries.count_members(session, queries.get_segment(session, both.id), TODAY) == 3
        with pytest.raises(NotFoundError):
            queries.get_segment(session, "Oslo")


def test_name_of_several_segments_is_refused_and_an_id_is_not(ctx: Context, people: dict[str, int]) -> None:
    first, _ = (service.create_static(ctx, "Twins", contact_ids=[people[name]]) for name in "AB")

    with pytest.raises(ConflictError, match="several segments are called 'Twins'"):
        service.create_dynamic(ctx, "X", {"all": [line("segment", "in", "Twins")]})
    asking = service.create_dynamic(ctx, "X", {"all": [line("segment", "in", [first.id])]})

    with ctx.read() as session:
        assert [one.id for one in queries.iter_members(session, asking, TODAY)] == [people["A"]]
