"""Set operations over segments, as conditions. Pure: operands are conditions on the same contact."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, not_, or_

from mailer.errors import InputError
from mailer.statuses import SegmentOperation

PAIRS = frozenset({SegmentOperation.ONLY_FIRST, SegmentOperation.ONLY_SECOND, SegmentOperation.EXACTLY_ONE})


def check_operands(operation: SegmentOperation, count: int) -> None:
    """Raise InputError unless `operation` takes `count` operands: two or more, exactly two for the differences."""
    if operation in PAIRS and count != 2:  # noqa: PLR2004 - a pair
        raise InputError(f"{operation} takes exactly two segments, not {count}", where="inputs")
    if count < 2:  # noqa: PLR2004 - one alone is no combination
        raise InputError(f"{operation} takes at least two segments", where="inputs")


def combine(operation: SegmentOperation, operands: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition of being in the combined segment."""
    match operation:
        case SegmentOperation.UNION:
            return or_(*operands)
        case SegmentOperation.INTERSECTION:
            return and_(*operands)
        case SegmentOperation.ONLY_FIRST:
            return and_(operands[0], not_(operands[1]))
        case SegmentOperation.ONLY_SECOND:
            return and_(operands[1], not_(operands[0]))
        case SegmentOperation.EXACTLY_ONE:
            return or_(and_(operands[0], not_(operands[1])), and_(operands[1], not_(operands[0])))


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
