"""What stands behind the operator of a line, read and checked: texts, numbers, days and periods. Pure.

Problems say where inside the value they are: `.period.op`. What holds several of these is in tests_of.py.
"""

import re
import reprlib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from mailer.errors import InputError
from mailer.segments.fields import NUMBER_OPS, TEXT_OPS, Value
from mailer.segments.periods import DATED, MAX_COUNT, RELATIVE, DateOp, DateTest, Unit
from mailer.segments.tree import NumberTest, TextTest

MAX_VALUES = 1000
MAX_TEXT = 1000
MAX_ID = 2**63 - 1
_MAX_NUMBER = Decimal(10) ** 15
_MAX_DIGITS = 60
_NO_TEXT = re.compile("[\\0\ud800-\udfff]")  # NUL, and halves of a UTF-16 pair, which JSON can spell


def is_blank(value: object) -> bool:
    """Whether nothing was filled in: None, "", blanks, {}, or a list of nothing but those (FEATURES S4)."""
    if isinstance(value, list | tuple):
        return all(_is_blank_text(item) for item in value)
    return _is_blank_text(value) or (isinstance(value, Mapping) and not value)


def _is_blank_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def shown(value: object) -> str:
    """Return a value for a message, shortened; safe for whatever JSON holds."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a whole number with thousands of digits
        return f"this {type(value).__name__}"


def read_text(value: object) -> str:
    """Return a text of at most MAX_TEXT characters that every database keeps."""
    if isinstance(value, int) and abs(value) > MAX_ID:
        raise InputError("the number is too large")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError("a text is expected")
    text = str(value).strip()
    if len(text) > MAX_TEXT or _NO_TEXT.search(text):
        raise InputError(f"the text is longer than {MAX_TEXT} characters or holds what no database keeps")
    return text


def read_texts(value: object, most: int = MAX_VALUES) -> tuple[str, ...]:
    """Return the texts of a list, or of one, each once; what is blank among them is left out."""
    items = value if isinstance(value, list | tuple) else [value]
    if len(items) > most:
        raise InputError(f"at most {most} values", mend="use a static segment")
    return tuple(dict.fromkeys(read_text(item) for item in items if not _is_blank_text(item)))


def read_words(value: object, words: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return words of a closed list."""
    texts = read_texts(value)
    wrong = [text for text in texts if text not in words]
    if wrong:
        raise InputError(f"{name} is never {shown(wrong[0])}", mend="words: " + ", ".join(words))
    return texts


def read_names(value: object, most: int) -> tuple[int | str, ...]:
    """Return ids (whole numbers) and names (texts) of a list, or of one, each once."""
    items = value if isinstance(value, list | tuple) else [value]
    if len(items) > most:
        raise InputError(f"at most {most} of them")
    return tuple(dict.fromkeys(read_name(item) for item in items if not _is_blank_text(item)))


def read_name(value: object) -> int | str:
    """Return an id, where it is a whole number, or a name."""
    if type(value) is int:
        if not 0 < value <= MAX_ID:
            raise InputError("an id is a number above 0")
        return value
    if not isinstance(value, str):
        raise InputError("an id or a name is expected")
    return read_text(value)


def read_number(value: object) -> Decimal:
    """Return a number of at most fifteen digits before the point."""
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        raise InputError("the number is too large")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError("a number is expected")
    try:
        number = Decimal(str(value)[:_MAX_DIGITS])
    except ArithmeticError as error:
        raise InputError(f"{shown(value)} is not a number") from error
    if not number.is_finite() or not -_MAX_NUMBER <= number <= _MAX_NUMBER:
        raise InputError("the number is too large")
    return number


def read_numbers(value: object) -> tuple[Decimal, ...]:
    """Return the two numbers of `between`, the smaller first."""
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise InputError("between takes two numbers", mend="[from, to]")
    low, high = (read_number(item) for item in value)
    if low > high:
        raise InputError("the first number is larger than the second")
    return low, high


def read_test(value: object, *, may_be_text: bool = False) -> NumberTest | TextTest | None:
    """Return a test written as an object, `{"op": ">=", "value": 2}`; None where its value is blank."""
    if not isinstance(value, Mapping) or set(value) - {"op", "value"} or "op" not in value:
        raise InputError("a test has op and value", mend='{"op": ">=", "value": 2}')
    op, inner = value["op"], value.get("value")
    known = {**NUMBER_OPS, **TEXT_OPS} if may_be_text else NUMBER_OPS
    shape = known.get(op) if isinstance(op, str) else None
    if shape is None or (shape is Value.NOTHING and not may_be_text):
        operators = [name for name, shape in known.items() if may_be_text or shape is not Value.NOTHING]
        raise InputError(f"there is no operator {shown(op)}", mend="use " + " ".join(operators))
    if shape is Value.NOTHING:
        return TextTest(str(op), None)
    if is_blank(inner):
        return None
    match shape:
        case Value.NUMBER:
            return NumberTest(str(op), (read_number(inner),))
        case Value.NUMBERS:
            return NumberTest(str(op), read_numbers(inner))
        case Value.TEXTS:
            return TextTest(str(op), read_texts(inner))
        case _:
            return TextTest(str(op), read_text(inner))


def read_number_test(value: object) -> NumberTest | None:
    """Return a number test written as an object; None where its value is blank."""
    found = read_test(value)
    return found if isinstance(found, NumberTest) else None


def read_day(value: object) -> date:
    """Return a day written as 2026-11-21; a time behind it is ignored."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value.strip()[:10])
    except ValueError:
        pass
    raise InputError(f"{shown(value)} is not a day", mend="write 2026-11-21")


def read_days(value: object) -> tuple[date, ...]:
    """Return the two days of `between`, the earlier first."""
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise InputError("between takes two days", mend="[from, to]")
    first, last = (read_day(item) for item in value)
    if first > last:
        raise InputError("the first day is later than the second")
    return first, last


def read_units(op: DateOp, value: object) -> DateTest:
    """Return a relative period from its `n` (1 where absent) and `unit`."""
    if not isinstance(value, Mapping) or set(value) - {"n", "unit", "op", "value"}:
        raise InputError("a relative period has n and unit", mend='{"n": 2, "unit": "month"}')
    unit, count = value.get("unit"), value.get("n", 1)
    if not isinstance(unit, str) or unit not in list(Unit):
        raise InputError(f"there is no unit {shown(unit)}", mend="units: " + ", ".join(Unit))
    if type(count) is not int or not 1 <= count <= MAX_COUNT:
        raise InputError(f"n is a number from 1 to {MAX_COUNT}")
    return DateTest(op, n=count, unit=Unit(unit))


def read_period(value: object) -> DateTest | None:
    """Return a period: `{"op": "previous", "n": 2, "unit": "month"}` or `{"op", "value"}`; None where it is blank."""
    if not isinstance(value, Mapping) or value.get("op") not in list(DateOp):
        if isinstance(value, Mapping) and is_blank(value.get("op")) and "op" in value:
            return None
        raise InputError("a period has an op", where=".op", mend="ops: " + ", ".join(DateOp))
    unknown = sorted(map(str, set(value) - {"op", "value", "n", "unit"}))
    if unknown:
        raise InputError(f"a period has no {shown(unknown[0])}", mend="keys: op, value, n, unit")
    op, inner = DateOp(value["op"]), value.get("value")
    if op in RELATIVE:
        return read_units(op, inner if isinstance(inner, Mapping) and inner else value)
    if op not in DATED:
        return DateTest(op)
    if is_blank(inner):
        return None
    return DateTest(op, read_days(inner) if op is DateOp.BETWEEN else (read_day(inner),))


def read_object(value: object, keys: frozenset[str]) -> Mapping[str, Any]:
    """Return the filled parts of an object with no other keys than `keys`."""
    if not isinstance(value, Mapping):
        raise InputError("an object is expected", mend="keys: " + ", ".join(sorted(keys)))
    unknown = sorted(str(key) for key in set(value) - keys)
    if unknown:
        raise InputError(f"there is no key {shown(unknown[0])}", mend="keys: " + ", ".join(sorted(keys)))
    return {key: part for key, part in value.items() if not is_blank(part)}
