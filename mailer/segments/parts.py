"""Figures of a combined segment: each part, what two parts share, the result; the tree of what it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, func, not_, select
from sqlalchemy.orm import Session

from mailer.errors import ConflictError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment
from mailer.segments.algebra import Operand, check_operands, combine
from mailer.segments.patience import SECONDS, at_most
from mailer.segments.queries import list_inputs, member_condition
from mailer.statuses import SegmentKind, SegmentOperation


@dataclass(frozen=True)
class Parts:
    """How many are in each part, in all of them, and in the result."""

    parts: Sequence[tuple[Segment, int]]
    in_all: int
    result: int


@dataclass(frozen=True)
class Branch:
    """A segment in the tree of a combined one; `depth` counts from 0, the segment itself."""

    segment: Segment
    depth: int


def count_parts(session: Session, operation: SegmentOperation, operands: Sequence[Segment], today: date) -> Parts:
    """Return the figures of a set operation, whether it is stored or not.

    Raises:
        InputError: too few or too many operands.
        ConflictError: segments go round in a circle.
        TooCostlyError: a part takes too long to count.
    """
    check_operands(operation, len(operands))
    conditions = [member_condition(session, operand, today) for operand in operands]
    numbers = [_count(session, condition) for condition in conditions]
    signed = [_signed(condition) for condition in conditions]
    in_all = _count(session, combine(SegmentOperation.INTERSECTION, signed))
    is_that = operation is SegmentOperation.INTERSECTION
    result = in_all if is_that else _count(session, combine(operation, signed))
    return Parts(list(zip(operands, numbers, strict=True)), in_all, result)


def _signed(condition: ColumnElement[bool]) -> Operand:
    return lambda is_negated: not_(condition) if is_negated else condition


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(Contact).where(Contact.archived_at.is_(None), condition)
    with at_most(session, SECONDS):
        return session.scalar(counted) or 0


def list_branches(session: Session, segment: Segment) -> list[Branch]:
    """Return a combined segment and what it is made of, depth first, in order.

    Raises:
        ConflictError: segments go round in a circle, shown with the path.
    """
    found: list[Branch] = []

    def walk(one: Segment, path: tuple[Segment, ...]) -> None:
        if one.id in {above.id for above in path}:
            names = " > ".join(above.name for above in (*path, one))
            raise ConflictError(f"segments go round in a circle: {names}")
        found.append(Branch(one, len(path)))
        if one.kind == SegmentKind.COMBINED:
            for operand in list_inputs(session, one.id):
                walk(operand, (*path, one))

    walk(segment, ())
    return found
