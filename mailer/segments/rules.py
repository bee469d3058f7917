"""The rule of a dynamic segment: JSON read into a tree, every error with its place in the tree. Pure.

`{"version": 1, "all"|"any"|"none": [line or group, …]}`; a line is `{"field", "op", "value"}`. A line whose operator
wants a value and has none is switched off, not an error (FEATURES S4); so is a line or group with `"off": true`.
Reference: docs/reference/segment-rules.md.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mailer.errors import InputError, Problem
from mailer.segments.compound import (
    read_activity,
    read_behavior,
    read_consent,
    read_follow_up,
    read_suppression,
    read_topics,
)
from mailer.segments.fields import CLOSED_WORDS, FIELDS, MAY_BE_EMPTY, OPERATORS, Kind, Value, kind_of, own_key_of
from mailer.segments.periods import DateOp, DateTest
from mailer.segments.tree import Group, Line, Mode, NumberTest, iter_lines
from mailer.segments.values import (
    is_blank,
    read_day,
    read_days,
    read_names,
    read_number,
    read_numbers,
    read_period,
    read_text,
    read_texts,
    read_units,
    read_words,
    shown,
)
from mailer.statuses import FieldType

VERSION = 1
MAX_DEPTH = 20
MAX_LINES = 200
MAX_GROUPS = 200
MAX_SEGMENTS = 50
MAX_TAGS_AT_ONCE = 100
MAX_ALL_VALUES = 10_000
_MAX_PROBLEMS = 20
_LINE_KEYS = frozenset({"field", "op", "value", "n", "unit", "off"})


@dataclass
class _Reader:
    own_fields: Mapping[str, FieldType]
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0
    groups: int = 0
    values: int = 0

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
    version = data.get("version", VERSION)
    if isinstance(version, bool) or version != VERSION:
        raise InputError(f"the rule has version {shown(version)}", where="version", mend=f"write {VERSION}")
    body = {key: value for key, value in data.items() if key != "version"}
    group = _read_group(reader, body, "", 1)
    if reader.problems:
        raise InputError(reader.problems[:_MAX_PROBLEMS])
    return group


def parse_json(text: str, where: str = "rule") -> Any:
    """Return what a JSON text holds; InputError says the line and column that are wrong."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno}, column {error.colno}"
        raise InputError(f"this is not JSON: {error.msg}", where=place) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; a thousand brackets
        raise InputError("this JSON holds a number too long or lists too deep", where=where) from error


def _read_group(reader: _Reader, data: Mapping[str, Any], place: str, depth: int) -> Group:
    modes = [mode for mode in Mode if mode.value in data]
    if len(modes) != 1 or set(data) - {modes[0].value, "off"}:
        reader.add(place, "a group has exactly one of all, any, none", "put the lines into one list")
        return Group(Mode.ALL, (), place)
    mode = modes[0]
    items = data[mode.value]
    inner = f"{place}.{mode.value}" if place else mode.value
    if not isinstance(items, list | tuple):
        reader.add(inner, "a group holds a list")
        return Group(mode, (), place)
    if depth > MAX_DEPTH:
        reader.add(inner, f"groups are nested more than {MAX_DEPTH} deep")
        return Group(mode, (), place)
    if data.get("off") is True:
        return Group(mode, (), place)
    return Group(mode, _read_items(reader, items, inner, depth), place)


def _read_items(reader: _Reader, items: Sequence[object], place: str, depth: int) -> tuple[Line | Group, ...]:
    found = []
    for number, item in enumerate(items):
        if reader.lines > MAX_LINES or reader.groups > MAX_GROUPS:
            break  # said already
        one = _read_item(reader, item, f"{place}[{number}]", depth)
        if one is not None:
            found.append(one)
    return tuple(found)


def _read_item(reader: _Reader, data: object, place: str, depth: int) -> Line | Group | None:
    if isinstance(data, Mapping) and any(mode.value in data for mode in Mode):
        reader.groups += 1
        if reader.groups > MAX_GROUPS:
            reader.add(place, f"a rule has at most {MAX_GROUPS} groups", "use a combined segment")
            return None
        group = _read_group(reader, data, place, depth + 1)
        return group if group.items else None
    reader.lines += 1
    if reader.lines > MAX_LINES:
        reader.add(place, f"a rule has at most {MAX_LINES} lines", "use a static or combined segment")
        return None
    if not isinstance(data, Mapping):
        reader.add(place, "a line is an object with field, op and value")
        return None
    return None if data.get("off") is True else _read_line(reader, data, place)


def _read_line(reader: _Reader, data: Mapping[str, Any], place: str) -> Line | None:
    name, op = data.get("field"), data.get("op")
    unknown = sorted(str(key) for key in set(data) - _LINE_KEYS)
    if unknown:
        reader.add(place, f"a line has no {shown(unknown[0])}", "keys: field, op, value, n, unit, off")
        return None
    kind = kind_of(name, reader.own_fields) if isinstance(name, str) else None
    if kind is None or not isinstance(name, str):
        known = ", ".join(sorted({*FIELDS, *reader.own_fields}))
        reader.add(f"{place}.field", f"there is no field {shown(name)}", f"fields: {known}")
        return None
    operators = OPERATORS[kind]
    if not isinstance(op, str) or op not in operators:
        reader.add(f"{place}.op", f"{name} has no operator {shown(op)}", f"operators: {', '.join(operators)}")
        return None
    value = data.get("value")
    if "n" in data or "unit" in data:
        value = {key: data[key] for key in ("n", "unit") if key in data}
    return _read_value(reader, Line(name, kind, op, value, place, own_key_of(name)), operators[op])


def _read_value(reader: _Reader, line: Line, shape: Value) -> Line | None:
    """Return the line with its value read; None where it has none and so is switched off."""
    if shape is Value.NOTHING:
        return replace(line, value=None)
    if is_blank(line.value) and shape not in MAY_BE_EMPTY:
        return None
    try:
        value = _SHAPES[shape](line)
    except InputError as error:
        for problem in error.problems:
            reader.add(f"{line.place}.value{problem.where}", problem.what, problem.mend)
        return None
    held = len(value) if isinstance(value, tuple) else 1
    reader.values += held
    if reader.values > MAX_ALL_VALUES >= reader.values - held:
        reader.add(f"{line.place}.value", f"a rule has at most {MAX_ALL_VALUES} values", "use a static segment")
    return None if value is None else replace(line, value=value)


def _text(line: Line) -> str:
    if line.field in CLOSED_WORDS:
        return _texts(line)[0]
    return read_text(line.value)


def _texts(line: Line) -> tuple[str, ...]:
    words = CLOSED_WORDS.get(line.field)
    if words is not None:
        return read_words(line.value, tuple(words), line.field)
    return read_texts(line.value, MAX_TAGS_AT_ONCE) if line.op.endswith("all_of") else read_texts(line.value)


def _units(line: Line) -> DateTest | None:
    value = line.value
    if isinstance(value, Mapping) and is_blank(value.get("n", 1)):
        return None
    return read_units(DateOp(line.op), value)


_SHAPES: Mapping[Value, Callable[[Line], Any]] = {
    Value.TEXT: _text,
    Value.TEXTS: _texts,
    Value.NUMBER: lambda line: NumberTest(line.op, (read_number(line.value),)),
    Value.NUMBERS: lambda line: NumberTest(line.op, read_numbers(line.value)),
    Value.DAY: lambda line: DateTest(DateOp(line.op), (read_day(line.value),)),
    Value.DAYS: lambda line: DateTest(DateOp(line.op), read_days(line.value)),
    Value.PERIOD: _units,
    Value.ANY_PERIOD: lambda line: read_period(line.value),
    Value.BEHAVIOR: lambda line: read_behavior(line.field, line.value),
    Value.ACTIVITY: lambda line: read_activity(line.value),
    Value.TOPICS: lambda line: read_topics(line.value),
    Value.SUPPRESSED: lambda line: read_suppression(line.value),
    Value.CONSENT: lambda line: read_consent(line.op, line.value),
    Value.FOLLOW_UP: lambda line: read_follow_up(line.value),
    Value.SEGMENTS: lambda line: read_names(line.value, MAX_SEGMENTS),
}


# ------------------------------------------------------------------ segments in rules


def named_segments(group: Group) -> list[int | str]:
    """Return the ids or names of the segments that a rule asks about, in order, once each."""
    names = [name for line in iter_lines(group) if line.kind is Kind.SEGMENT for name in line.value]
    return list(dict.fromkeys(names))


def with_segment_ids(rule: Mapping[str, Any], id_of: Callable[[int | str], int]) -> dict[str, Any]:
    """Return a rule, read before, whose lines about segments name them by id, so that no rename changes its meaning.

    What is switched off stays as it is: nobody has checked it.
    """
    if rule.get("off") is True:
        return dict(rule)
    return {key: _pinned(value, id_of) if key in list(Mode) else value for key, value in rule.items()}


def _pinned(items: Sequence[Any], id_of: Callable[[int | str], int]) -> list[Any]:
    return [
        {**item, "value": [id_of(name) for name in read_names(item["value"], MAX_SEGMENTS)]}
        if item.get("field") == Kind.SEGMENT.value and not (item.get("off") is True or is_blank(item.get("value")))
        else with_segment_ids(item, id_of)
        for item in items
    ]
