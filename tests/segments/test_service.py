"""Segments of every kind: create, combine, freeze, delete, members with their cause."""

from datetime import date

import pytest
from sqlalchemy import func, select

from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.segments import SegmentMember
from mailer.segments import chosen as pages
from mailer.segments import freezing, queries, removal, service, uses
from mailer.segments import members as memberships
from mailer.statuses import SegmentOperation as Op
from tests.support.make import make_contact, make_workspace

TODAY = date(2026, 11, 21)


def rule(field, op, value=None):
    return {"version": 1, "all": [{"field": field, "op": op, "value": value}]}


@pytest.fixture
def people(ctx):
    with ctx.write() as session:
        make_workspace(session)
        rows = {
            name: make_contact(session, first_name=name, city="Oslo" if name in "ABC" else "Bergen") for name in "ABCDE"
        }
    return {name: row.id for name, row in rows.items()}


@pytest.fixture
def oslo(ctx, people):
    return service.create_dynamic(ctx, "Oslo", rule("city", "equals", "oslo"))


@pytest.fixture
def chosen(ctx, people):
    return service.create_static(ctx, "Chosen", contact_ids=[people[name] for name in "BCD"])


def members(ctx, source):
    with ctx.read() as session:
        found = [member.first_name for member in queries.iter_members(session, source, TODAY, page=2)]
        assert queries.count_members(session, source, TODAY) == len(found)
    return "".join(found)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [(Op.UNION, "ABCD"), (Op.INTERSECTION, "BC"), (Op.ONLY_FIRST, "A"), (Op.ONLY_SECOND, "D"), (Op.EXACTLY_ONE, "AD")],
)
def test_combined_segment_is_the_set_operation(ctx, oslo, chosen, operation, expected):
    combined = service.create_combined(ctx, "Both", operation, ["Oslo", "Chosen"])

    assert members(ctx, combined) == expected


def test_combinations_nest_and_take_any_number(ctx, people, oslo, chosen):
    service.create_static(ctx, "E", contact_ids=[people["E"]])
    service.create_combined(ctx, "All", Op.UNION, ["Oslo", "Chosen", "E"])
    outer = service.create_combined(ctx, "Outer", Op.ONLY_FIRST, ["All", "Oslo"])

    assert members(ctx, outer) == "DE"


def test_membership_is_a_rule(ctx, oslo, chosen):
    found = service.create_dynamic(ctx, "Not chosen", rule("segment", "not_in", "Chosen"))

    assert members(ctx, found) == "AE"
    with pytest.raises(NotFoundError, match="Nowhere"):
        service.create_dynamic(ctx, "X", rule("segment", "in", "Nowhere"))


def test_circle_is_refused_with_its_path(ctx, oslo, chosen):
    first = service.create_combined(ctx, "First", Op.UNION, ["Oslo", "Chosen"])
    service.create_combined(ctx, "Second", Op.UNION, ["First", "Oslo"])

    with pytest.raises(ConflictError, match="First > Second > First"):
        service.update_segment(ctx, first.id, inputs=["Second", "Oslo"])
    with pytest.raises(ConflictError, match="Oslo > Oslo"):
        service.update_segment(ctx, oslo.id, rule=rule("segment", "in", "Oslo"))

    assert members(ctx, first) == "ABCD"


@pytest.mark.parametrize(
    ("operation", "inputs"), [(Op.ONLY_FIRST, ["Oslo"]), (Op.EXACTLY_ONE, ["Oslo"] * 3), (Op.UNION, ["Oslo"])]
)
def test_wrong_number_of_inputs_is_refused(ctx, oslo, operation, inputs):
    with pytest.raises(InputError):
        service.create_combined(ctx, "X", operation, inputs)


def test_members_are_unique_and_keep_their_cause(ctx, people, chosen):
    with ctx.write() as session:
        added = memberships.add_members(session, chosen.id, [people["A"], people["B"], 999_999], cause="link action")
        again = memberships.add_members(session, chosen.id, [people["A"]], cause="by hand")

    assert (added, again) == (1, 0)
    with ctx.read() as session:
        row = session.get_one(SegmentMember, (chosen.id, people["A"]))
        assert (row.cause, row.added_by) == ("link action", None)
    with ctx.write() as session:
        assert memberships.remove_members(session, chosen.id, [people["A"], people["E"]]) == 1
    assert members(ctx, chosen) == "BCD"


def test_members_of_another_segment_are_added_in_chunks(ctx, people, oslo, chosen, monkeypatch):
    monkeypatch.setattr(pages.iter_member_pages, "__kwdefaults__", {"after_id": 0, "size": 2})

    assert memberships.add_members_of(ctx, chosen.id, oslo, cause="from Oslo") == 1
    assert memberships.add_members_of(ctx, chosen.id, oslo, cause="from Oslo") == 0
    assert members(ctx, chosen) == "ABCD"


def test_only_static_segments_take_members(ctx, people, oslo):
    with ctx.write() as session, pytest.raises(ConflictError, match="dynamic, not static"):
        memberships.add_members(session, oslo.id, [people["E"]], cause="x")


def test_conversion_freezes_the_members(ctx, people, oslo):
    freezing.convert_to_static(ctx, oslo.id)

    with ctx.write() as session:
        segment = queries.get_segment(session, "Oslo")
        make_contact(session, first_name="F", city="Oslo")
        assert (segment.kind, segment.rule) == ("static", None)
    assert members(ctx, segment) == "ABC"
    with pytest.raises(ConflictError, match="static already"):
        freezing.convert_to_static(ctx, oslo.id)


def test_segment_in_use_is_not_deleted_and_says_by_whom(ctx, oslo, chosen):
    combined = service.create_combined(ctx, "Both", Op.UNION, ["Oslo", "Chosen"])
    asking = service.create_dynamic(ctx, "Asking", rule("segment", "in", "Oslo"))
    with ctx.write() as session:
        uses.record_use(session, oslo.id, "webhook", 5)
        uses.record_use(session, oslo.id, "webhook", 5)

    with pytest.raises(ConflictError, match="webhook 5, segment Asking, segment Both"):
        removal.delete_segment(ctx, oslo.id)

    with ctx.write() as session:
        uses.forget_uses(session, "webhook", 5)
    removal.delete_segment(ctx, combined.id)
    removal.delete_segment(ctx, asking.id)
    removal.delete_segment(ctx, oslo.id)
    removal.delete_segment(ctx, chosen.id)
    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(SegmentMember)) == 0


def test_wrong_rule_creates_nothing(ctx, people):
    with pytest.raises(InputError):
        service.create_dynamic(ctx, "X", rule("shoe", "equals", "1"))
    with ctx.read() as session, pytest.raises(NotFoundError):
        queries.get_segment(session, "X")


def test_segment_is_found_by_name_or_id(ctx, oslo):
    with ctx.read() as session:
        assert queries.get_segment(session, str(oslo.id)).name == "Oslo"
    service.create_static(ctx, "Oslo")
    with ctx.read() as session, pytest.raises(ConflictError, match="several"):
        queries.get_segment(session, "Oslo")


def test_reasons_say_line_by_line_why_a_contact_is_in(ctx, people, oslo, chosen):
    combined = service.create_combined(ctx, "Both", Op.INTERSECTION, ["Oslo", "Chosen"])
    with ctx.read() as session:
        reasons = queries.list_reasons(session, oslo, people["D"], TODAY)
        assert [(reason.text, reason.holds) for reason in reasons] == [
            ("city is oslo", False),
            ("is not archived", True),
        ]
        reasons = queries.list_reasons(session, combined, people["A"], TODAY)
        assert [reason.holds for reason in reasons if reason.depth < 2] == [False, True, False, True]
        assert queries.list_reasons(session, chosen, people["B"], TODAY)[0].holds
        assert queries.is_member(session, combined, people["B"], TODAY)
        assert not queries.is_member(session, combined, people["A"], TODAY)
        assert queries.describe_segment(session, combined) == "Contacts in all of “Oslo” and “Chosen”"
        assert queries.describe_segment(session, oslo) == "Contacts whose city is oslo"
        assert [member.first_name for member in queries.list_sample(session, oslo, TODAY, limit=2)] == ["C", "B"]


def test_recipes_come_once(ctx):
    assert service.ensure_recipes(ctx) > 5
    assert service.ensure_recipes(ctx) == 0
    with ctx.read() as session:
        for segment in queries.list_segments(session):
            assert queries.count_members(session, segment, TODAY) == 0
