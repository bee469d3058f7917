"""Set operations over segments, as conditions. Pure: operands are conditions on the same contact."""

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement

from mailer.errors import InputError
from mailer.segments.compile.nesting import all_of, any_of, differ
from mailer.statuses import SegmentOperation

PAIRS = frozenset({SegmentOperation.ONLY_FIRST, SegmentOperation.ONLY_SECOND, SegmentOperation.EXACTLY_ONE})


def check_operands(operation: SegmentOperation, count: int) -> None:
    """Raise InputError unless `operation` takes `count` operands: two or more, exactly two for the differences."""
    if operation in PAIRS and count != 2:  # noqa: PLR2004 - a pair
        raise InputError(f"{operation} takes exactly two segments, not {count}", where="inputs")
    if count < 2:  # noqa: PLR2004 - one alone is no combination
        raise InputError(f"{operation} takes at least two segments", where="inputs")


Operand = Callable[[bool], ColumnElement[bool]]
"""Gives the condition of being in an operand, or its opposite where it is called with True."""


def combine(
    operation: SegmentOperation, operands: Sequence[Operand], *, is_negated: bool = False
) -> ColumnElement[bool]:
    """Return the condition of being in the combined segment, or its opposite; each operand stands in it once."""
    match operation:
        case SegmentOperation.UNION:
            found = [operand(is_negated) for operand in operands]
            return all_of(found) if is_negated else any_of(found)
        case SegmentOperation.INTERSECTION:
            found = [operand(is_negated) for operand in operands]
            return any_of(found) if is_negated else all_of(found)
        case SegmentOperation.ONLY_FIRST:
            return _difference(operands[0], operands[1], is_negated=is_negated)
        case SegmentOperation.ONLY_SECOND:
            return _difference(operands[1], operands[0], is_negated=is_negated)
        case SegmentOperation.EXACTLY_ONE:
            first, second = (operand(False) for operand in operands)
            return differ(first, second, is_negated=is_negated)


def _difference(first: Operand, second: Operand, *, is_negated: bool) -> ColumnElement[bool]:
    if is_negated:
        return any_of([first(True), second(False)])
    return all_of([first(False), second(True)])


def decide(operation: SegmentOperation, found: Sequence[bool]) -> bool:
    """Return whether one who is in those operands that `found` says is in the combined segment."""
    match operation:
        case SegmentOperation.UNION:
            return any(found)
        case SegmentOperation.INTERSECTION:
            return all(found)
        case SegmentOperation.ONLY_FIRST:
            return found[0] and not found[1]
        case SegmentOperation.ONLY_SECOND:
            return found[1] and not found[0]
        case SegmentOperation.EXACTLY_ONE:
            return found[0] != found[1]
