"""Number operators (FEATURES S6)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, literal, not_

from mailer.segments.compile.conditions import Condition, RuleContext, known, own_number, signed
from mailer.segments.tree import Line, NumberTest


def compile_number(line: Line, context: RuleContext) -> Condition:
    """Return the condition of a number line; numbers are own fields."""
    column = own_number(str(line.own_key), is_sqlite=context.is_sqlite)
    if line.value is None:
        return signed(line.op, lambda _: column.is_(None))
    return match_number(column, line.value)


def match_number(column: Any, test: NumberTest, *, factor: int = 1) -> Condition:
    """Return a number condition; NULL fails every one but `<>`."""
    numbers = [_plain(number * factor) for number in test.numbers]
    first = literal(numbers[0])
    conditions: dict[str, Callable[[], Condition]] = {
        "=": lambda: column == first,
        "<>": lambda: not_(known(column, column == first)),
        "<": lambda: column < first,
        "<=": lambda: column <= first,
        ">": lambda: column > first,
        ">=": lambda: column >= first,
        "between": lambda: and_(column >= first, column <= literal(numbers[-1])),
    }
    condition = conditions[test.op]()
    return condition if test.op == "<>" else known(column, condition)


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)
