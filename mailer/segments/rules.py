"""The rule of a dynamic segment: JSON read into a tree, every error with its place in the tree. Pure.

`{"version": 1, "all"|"any"|"none": [line or group, …]}`; a line is `{"field", "op", "value"}`. A line whose operator
wants a value and has none is switched off, not an error (FEATURES S4). Reference: docs/reference/segment-rules.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mailer.errors import InputError, Problem
from mailer.segments.fields import FIELDS, NUMBER_OPS, OPERATORS, Kind, Value, kind_of
from mailer.segments.periods import DATED, MAX_COUNT, RELATIVE, DateOp, DateTest, Unit
from mailer.statuses import FieldType, Permission, SuppressionReason

VERSION = 1
MAX_DEPTH = 20
MAX_LINES = 200
MAX_VALUES = 1000
MAX_TEXT = 1000
_NO_TEXT = re.compile("[\\0\ud800-\udfff]")  # NUL, and halves of a UTF-16 pair, which JSON can spell
_MAX_NUMBER = Decimal(10) ** 15
_LINE_KEYS = frozenset({"field", "op", "value", "n", "unit"})
_BEHAVIOR_KEYS = frozenset({"campaign", "link", "period", "at_least", "machine", "kind"})
_ACTIVITY_KEYS = frozenset({"kind", "period", "count", "sum", "data", "currency"})


class Mode(StrEnum):
    """How the lines of a group are put together."""

    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True)
class NumberTest:
    """A number operator with one number, or two for `between`."""

    op: str
    numbers: tuple[Decimal, ...]


@dataclass(frozen=True)
class Behavior:
    """What a contact did with mails: any mail, a campaign's (id or name), a link's (address)."""

    campaign: int | str | None = None
    link: str | None = None
    period: DateTest | None = None
    at_least: int = 1
    with_machines: bool = False
    kind: str | None = None


@dataclass(frozen=True)
class ActivityTest:
    """What a contact did elsewhere: a kind of activity, in a period; how many, how much, with which own values."""

    kind: str
    period: DateTest | None = None
    count: NumberTest | None = None
    sum: NumberTest | None = None
    data: tuple[tuple[str, NumberTest], ...] = ()
    currency: str | None = None


@dataclass(frozen=True)
class Line:
    """One condition; `value` has the shape its operator asks for, `place` is where it stands, `all[0].any[2]`."""

    field: str
    kind: Kind
    op: str
    value: Any
    place: str


@dataclass(frozen=True)
class Group:
    """Conditions put together; an empty group says nothing."""

    mode: Mode
    items: tuple["Line | Group", ...]
    place: str = ""


@dataclass
class _Reader:
    own_fields: Mapping[str, FieldType]
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0

    def add(self, place: str, what: str, mend: str = "") -> None:
        self.problems.append(Problem(place, what, mend))


def parse_rule(data: object, own_fields: Mapping[str, FieldType] | None = None) -> Group:
    """Return the tree of a rule.

    Raises:
        InputError: everything wrong, by place: `all[0].any[2].value`.
    """
    reader = _Reader(own_fields or {})
    if not isinstance(data, Mapping):
        raise InputError("a rule is an object", mend='begin with {"version": 1, "all": […]}')
    if data.get("version", VERSION) != VERSION:
        raise InputError(f"the rule has version {data.get('version')!r}", where="version", mend=f"write {VERSION}")
    body = {key: value for key, value in data.items() if key != "version"}
    group = _read_group(reader, body, "", 1)
    if reader.problems:
        raise InputError(reader.problems[:20])
    return group


def _read_group(reader: _Reader, data: Mapping[str, Any], place: str, depth: int) -> Group:
    modes = [mode for mode in Mode if mode.value in data]
    if len(modes) != 1 or len(data) != 1:
        reader.add(place, "a group has exactly one of all, any, none", "put the lines into one list")
        return Group(Mode.ALL, (), place)
    mode = modes[0]
    items = data[mode.value]
    inner = f"{place}.{mode.value}" if place else mode.value
    if not isinstance(items, list):
        reader.add(inner, "a group holds a list")
        return Group(mode, (), place)
    if depth > MAX_DEPTH:
        reader.add(inner, f"groups are nested more than {MAX_DEPTH} deep")
        return Group(mode, (), place)
    found = (_read_item(reader, item, f"{inner}[{number}]", depth) for number, item in enumerate(items))
    return Group(mode, tuple(item for item in found if item is not None), place)


def _read_item(reader: _Reader, data: object, place: str, depth: int) -> Line | Group | None:
    if not isinstance(data, Mapping):
        reader.add(place, "a line is an object with field, op and value")
        return None
    if any(mode.value in data for mode in Mode):
        group = _read_group(reader, data, place, depth + 1)
        return group if group.items else None
    reader.lines += 1
    if reader.lines > MAX_LINES:
        if reader.lines == MAX_LINES + 1:
            reader.add(place, f"a rule has at most {MAX_LINES} lines", "use a static or combined segment")
        return None
    return _read_line(reader, data, place)


def _read_line(reader: _Reader, data: Mapping[str, Any], place: str) -> Line | None:
    name, op = data.get("field"), data.get("op")
    unknown = sorted(set(data) - _LINE_KEYS)
    if unknown:
        reader.add(place, f"a line has no {unknown[0]!r}", "keys: field, op, value, n, unit")
        return None
    kind = kind_of(name, reader.own_fields) if isinstance(name, str) else None
    if kind is None or not isinstance(name, str):
        known = ", ".join(sorted({*FIELDS, *reader.own_fields}))
        reader.add(f"{place}.field", f"there is no field {name!r}", f"fields: {known}")
        return None
    operators = OPERATORS[kind]
    if not isinstance(op, str) or op not in operators:
        reader.add(f"{place}.op", f"{name} has no operator {op!r}", f"operators: {', '.join(operators)}")
        return None
    value = data.get("value")
    if "n" in data or "unit" in data:
        value = {key: data[key] for key in ("n", "unit") if key in data}
    return _read_value(reader, Line(name, kind, op, value, place), operators[op])


def _read_value(reader: _Reader, line: Line, shape: Value) -> Line | None:
    """Return the line with its value read; None where it has none and so is switched off."""
    is_empty = line.value is None or line.value in ("", [], {})
    if shape is Value.NOTHING:
        return Line(line.field, line.kind, line.op, None, line.place)
    if is_empty and shape not in (Value.BEHAVIOR, Value.OPTIONAL_TEXTS):
        return None
    try:
        value = _SHAPES[shape](line)
        _check_words(line, value)
    except InputError as error:
        for problem in error.problems:
            reader.add(f"{line.place}.value{problem.where}", problem.what, problem.mend)
        return None
    return Line(line.field, line.kind, line.op, value, line.place)


def _check_words(line: Line, value: Any) -> None:
    words = {"permission": Permission, "suppressed": SuppressionReason}.get(line.field)
    if words is None:
        return
    wrong = [text for text in ([value] if isinstance(value, str) else value) if text not in list(words)]
    if wrong:
        raise InputError(f"{line.field} is never {wrong[0]!r}", mend="words: " + ", ".join(words))


def _text(line: Line) -> str:
    return _read_text(line.value)


def _read_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError("a text is expected")
    text = str(value).strip()
    if len(text) > MAX_TEXT or _NO_TEXT.search(text):
        raise InputError(f"the text is longer than {MAX_TEXT} characters or holds what no database keeps")
    return text


def _texts(line: Line) -> tuple[str, ...]:
    items = line.value if isinstance(line.value, list) else [line.value]
    if len(items) > MAX_VALUES:
        raise InputError(f"at most {MAX_VALUES} values", mend="use a static segment")
    return tuple(dict.fromkeys(_read_text(item) for item in items))


def _optional_texts(line: Line) -> tuple[str, ...]:
    return () if line.value in (None, "", [], {}, True) else _texts(line)


def _read_number(value: object) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError("a number is expected")
        number = Decimal(str(value))
    except ArithmeticError as error:
        raise InputError(f"{value!r} is not a number") from error
    if not number.is_finite() or abs(number) > _MAX_NUMBER:
        raise InputError("the number is too large")
    return number


def _read_numbers(value: object) -> tuple[Decimal, ...]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise InputError("between takes two numbers", mend="[from, to]")
    low, high = (_read_number(item) for item in value)
    if low > high:
        raise InputError("the first number is larger than the second")
    return low, high


def _number(line: Line) -> NumberTest:
    return NumberTest(line.op, (_read_number(line.value),))


def _numbers(line: Line) -> NumberTest:
    return NumberTest(line.op, _read_numbers(line.value))


def _read_number_test(value: object) -> NumberTest:
    if not isinstance(value, Mapping) or set(value) != {"op", "value"}:
        raise InputError("a number test has op and value", mend='{"op": ">=", "value": 2}')
    op = value["op"]
    shape = NUMBER_OPS.get(op) if isinstance(op, str) else None
    if shape not in (Value.NUMBER, Value.NUMBERS):
        raise InputError(f"there is no operator {op!r}", mend="use = <> < <= > >= between")
    numbers = _read_numbers(value["value"]) if shape is Value.NUMBERS else (_read_number(value["value"]),)
    return NumberTest(str(op), numbers)


def _read_day(value: object) -> date:
    try:
        return date.fromisoformat(str(value)[:10]) if isinstance(value, str) else _no_day(value)
    except ValueError as error:
        raise InputError(f"{value!r} is not a day", mend="write 2026-11-21") from error


def _no_day(value: object) -> date:
    raise ValueError(value)


def _day(line: Line) -> DateTest:
    return DateTest(DateOp(line.op), (_read_day(line.value),))


def _days(line: Line) -> DateTest:
    return _read_days(DateOp(line.op), line.value)


def _read_days(op: DateOp, value: object) -> DateTest:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise InputError("between takes two days", mend="[from, to]")
    return DateTest(op, tuple(_read_day(item) for item in value))


def _period(line: Line) -> DateTest:
    return _read_units(DateOp(line.op), line.value)


def _read_units(op: DateOp, value: object) -> DateTest:
    if not isinstance(value, Mapping) or set(value) - {"n", "unit", "op"}:
        raise InputError("a relative period has n and unit", mend='{"n": 2, "unit": "month"}')
    unit, count = value.get("unit"), value.get("n", 1)
    if unit not in list(Unit):
        raise InputError(f"there is no unit {unit!r}", mend="units: " + ", ".join(Unit))
    if type(count) is not int or not 1 <= count <= MAX_COUNT:
        raise InputError(f"n is a number from 1 to {MAX_COUNT}")
    return DateTest(op, n=count, unit=Unit(str(unit)))


def _read_period(value: object) -> DateTest:
    """Return a date test written as an object: `{"op": "previous", "n": 2, "unit": "month"}` or `{"op", "value"}`."""
    if not isinstance(value, Mapping) or value.get("op") not in list(DateOp):
        raise InputError("a period has an op", where=".op", mend="ops: " + ", ".join(DateOp))
    op = DateOp(value["op"])
    if op in RELATIVE:
        inner = value.get("value")
        return _read_units(op, inner if isinstance(inner, Mapping) else value)
    if op is DateOp.BETWEEN:
        return _read_days(op, value.get("value"))
    return DateTest(op, (_read_day(value.get("value")),) if op in DATED else ())


def _any_period(line: Line) -> DateTest:
    return _read_period(line.value)


def _behavior(line: Line) -> Behavior:
    data = _read_object(line.value or {}, _BEHAVIOR_KEYS)
    at_least = data.get("at_least", 1)
    if type(at_least) is not int or not 1 <= at_least <= 10_000:  # noqa: PLR2004 - more is a mistake
        raise InputError("at_least is a number from 1", where=".at_least")
    kind = data.get("kind")
    if kind is not None and (line.field != "bounced" or kind not in ("hard", "soft")):
        raise InputError("only bounced has a kind: hard or soft", where=".kind")
    if data.get("link") is not None and line.field != "clicked":
        raise InputError("only clicked has a link", where=".link")
    campaign = data.get("campaign")
    if campaign is not None and not isinstance(campaign, str | int):
        raise InputError("a campaign is named by its id or name", where=".campaign")
    return Behavior(
        campaign=campaign,
        link=_read_text(data["link"]) if data.get("link") is not None else None,
        period=_inside(".period", _read_period, data["period"]) if data.get("period") else None,
        at_least=at_least,
        with_machines=data.get("machine") is True,
        kind=kind,
    )


def _activity(line: Line) -> ActivityTest:
    data = _read_object(line.value if isinstance(line.value, Mapping) else {"kind": line.value}, _ACTIVITY_KEYS)
    own = data.get("data") or {}
    if not isinstance(own, Mapping):
        raise InputError("data holds number tests by key", where=".data")
    return ActivityTest(
        kind=_inside(".kind", _read_text, data.get("kind")),
        period=_inside(".period", _read_period, data["period"]) if data.get("period") else None,
        count=_inside(".count", _read_number_test, data["count"]) if data.get("count") else None,
        sum=_inside(".sum", _read_number_test, data["sum"]) if data.get("sum") else None,
        data=tuple((_read_text(key), _inside(f".data.{key}", _read_number_test, test)) for key, test in own.items()),
        currency=_inside(".currency", _read_text, data["currency"]).upper() if data.get("currency") else None,
    )


def _read_object(value: object, keys: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("an object is expected", mend="keys: " + ", ".join(sorted(keys)))
    unknown = sorted(str(key) for key in set(value) - keys)
    if unknown:
        raise InputError(f"there is no key {unknown[0]!r}", mend="keys: " + ", ".join(sorted(keys)))
    return value


def _inside(where: str, read: Any, value: object) -> Any:
    try:
        return read(value)
    except InputError as error:
        raise InputError([Problem(where + one.where, one.what, one.mend) for one in error.problems]) from error


_SHAPES: Mapping[Value, Any] = {
    Value.TEXT: _text,
    Value.TEXTS: _texts,
    Value.OPTIONAL_TEXTS: _optional_texts,
    Value.NUMBER: _number,
    Value.NUMBERS: _numbers,
    Value.DAY: _day,
    Value.DAYS: _days,
    Value.PERIOD: _period,
    Value.ANY_PERIOD: _any_period,
    Value.BEHAVIOR: _behavior,
    Value.ACTIVITY: _activity,
}


def iter_lines(group: Group) -> Sequence[Line]:
    """Return every line of a tree in order."""
    found: list[Line] = []
    for item in group.items:
        found += [item] if isinstance(item, Line) else iter_lines(item)
    return found


def named_segments(group: Group) -> list[str]:
    """Return the names or ids of the segments that a rule asks about, in order, once each."""
    names = [name for line in iter_lines(group) if line.kind is Kind.SEGMENT for name in line.value]
    return list(dict.fromkeys(names))
