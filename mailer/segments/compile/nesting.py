"""And, or and "exactly one of", written so that deep nesting stays readable for SQLite.

Its parser keeps a hundred open things in mind. With the deepest part first, a level costs one bracket instead of
three; what stands beside it is at least as shallow, so that no tree within our limits comes near.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import BinaryExpression, BooleanClauseList, and_, or_
from sqlalchemy.sql.elements import Grouping

from mailer.segments.compile.conditions import Condition

_SHALLOW = 4
"""Up to here the order is the author's: the cheap lines that stand first in a rule are asked first."""


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return the condition that all of one or more conditions hold."""
    return and_(*sorted(conditions, key=_deep_first))


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Return the condition that any of one or more conditions holds."""
    return or_(*sorted(conditions, key=_deep_first))


def differ(first: Condition, second: Condition, *, is_negated: bool = False) -> Condition:
    """Return the condition that exactly one of two holds, or its opposite; neither is ever NULL."""
    left, right = sorted((first, second), key=_deep_first)
    sign: Callable[[Condition], Condition] = left.self_group().bool_op("=" if is_negated else "<>")
    return sign(right.self_group())


def _deep_first(condition: Condition) -> int:
    nesting = _nesting(condition)
    return -nesting if nesting > _SHALLOW else 0


def _nesting(condition: object) -> int:
    if isinstance(condition, Grouping):
        return _nesting(condition.element)
    if isinstance(condition, BooleanClauseList):
        return 1 + max((_nesting(clause) for clause in condition.clauses), default=0)
    if isinstance(condition, BinaryExpression):
        return 1 + max(_nesting(condition.left), _nesting(condition.right))
    return 0
