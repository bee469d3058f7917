"""Figures and the tree of combined segments."""

import pytest

from mailer.context import Context
from mailer.errors import ConflictError, InputError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentInput
from mailer.segments.parts import count_parts, list_branches
from mailer.segments.service import create_combined, create_static
from mailer.statuses import SegmentOperation
from tests.support.make import make_contact, make_workspace


def make_pair(ctx: Context) -> tuple[Segment, Segment, list[Contact]]:
    """Write a list of four and one of three that share two."""
    with ctx.write() as session:
        make_workspace(session)
        people = [make_contact(session) for _ in range(5)]
    ids = [person.id for person in people]
    return create_static(ctx, "A", contact_ids=ids[:4]), create_static(ctx, "B", contact_ids=ids[2:]), people


@pytest.mark.parametrize(
    ("operation", "result"),
    [("union", 5), ("intersection", 2), ("only_first", 2), ("only_second", 1), ("exactly_one", 3)],
)
def test_each_part_what_they_share_and_the_result_are_counted(ctx: Context, operation: str, result: int) -> None:
    first, second, _ = make_pair(ctx)
    with ctx.read() as session:
        found = count_parts(session, SegmentOperation(operation), [first, second], ctx.clock.today("UTC"))

    assert [number for _, number in found.parts] == [4, 3]
    assert (found.in_all, found.result) == (2, result)


def test_a_difference_of_three_is_refused(ctx: Context) -> None:
    first, second, _ = make_pair(ctx)
    with ctx.read() as session, pytest.raises(InputError, match="exactly two"):
        count_parts(session, SegmentOperation.ONLY_FIRST, [first, second, first], ctx.clock.today("UTC"))


def test_the_tree_is_listed_depth_first(ctx: Context) -> None:
    first, second, _ = make_pair(ctx)
    inner = create_combined(ctx, "inner", SegmentOperation.UNION, [str(first.id), str(second.id)])
    outer = create_combined(ctx, "outer", SegmentOperation.ONLY_FIRST, [str(inner.id), str(second.id)])
    with ctx.read() as session:
        found = [(branch.segment.name, branch.depth) for branch in list_branches(session, outer)]

    assert found == [("outer", 0), ("inner", 1), ("A", 2), ("B", 2), ("B", 1)]


def test_a_circle_is_shown_with_its_path(ctx: Context) -> None:
    first, second, _ = make_pair(ctx)
    outer = create_combined(ctx, "outer", SegmentOperation.UNION, [str(first.id), str(second.id)])
    with ctx.write() as session:
        session.get_one(SegmentInput, (outer.id, 1)).input_id = outer.id
    with ctx.read() as session, pytest.raises(ConflictError, match="outer > outer"):
        list_branches(session, outer)
