"""What the operators of a rule mean for a day, a text, a number and tags, told naively: the base of the oracle."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
NEGATIONS = {
    "not_equals": "equals", "is_not_exactly": "is_exactly", "not_contains": "contains",
    "not_starts_with": "starts_with", "not_ends_with": "ends_with", "is_not_empty": "is_empty",
    "is_none_of": "is_one_of", "has_not_all_of": "has_all_of",
}  # fmt: skip


def unit_number(day: date, unit: str) -> int:
    """The number of a unit of the calendar: neighbors differ by one."""
    return {
        "day": day.toordinal(),
        "week": (day.toordinal() - 1) // 7,  # 0001-01-01 was a Monday
        "month": day.year * 12 + day.month - 1,
        "quarter": day.year * 4 + (day.month - 1) // 3,
        "half_year": day.year * 2 + (day.month - 1) // 6,
        "year": day.year,
    }[unit]


def day_in(day: date, period: Row, today: date) -> bool:
    """Whether a day lies in a period."""
    op, value = period["op"], period.get("value")
    if op in ("before", "on", "after"):
        wanted = date.fromisoformat(value)
        return {"before": day < wanted, "on": day == wanted, "after": day > wanted}[op]
    if op == "between":
        return date.fromisoformat(value[0]) <= day <= date.fromisoformat(value[1])
    if op in ("today", "before_today", "after_today"):
        return {"today": day == today, "before_today": day < today, "after_today": day > today}[op]
    parts = value if isinstance(value, dict) else period
    n, distance = parts.get("n", 1), unit_number(day, parts["unit"]) - unit_number(today, parts["unit"])
    return {
        "this": distance == 0,
        "previous": -n <= distance < 0,
        "next": 0 < distance <= n,
        "this_and_previous": -n <= distance <= 0,
        "this_and_next": 0 <= distance <= n,
    }[op]


def is_blank(value: Any) -> bool:
    return value in (None, "", [], {}) or (isinstance(value, list) and all(item in (None, "") for item in value))


def filled(value: Any) -> Row:
    """The parts of a value that say something."""
    parts = {key: part for key, part in (value or {}).items() if not is_blank(part)}
    return {
        key: part for key, part in parts.items() if key not in ("count", "sum", "amount") or not is_blank(part["value"])
    }


def text_is(op: str, have: Sequence[str | None], value: Any) -> bool:
    """A text test on what there is: no text, or one of several."""
    if op in NEGATIONS:
        return not text_is(NEGATIONS[op], have, value)
    texts = [text for text in have if text]
    if op == "is_empty":
        return not texts
    wanted = [str(one).strip() for one in (value if isinstance(value, list) else [value]) if one]
    test: Callable[[str, str], bool] = {
        "equals": lambda text, want: text.casefold() == want.casefold(),
        "is_one_of": lambda text, want: text.casefold() == want.casefold(),
        "is_exactly": lambda text, want: text == want,
        "contains": lambda text, want: want.casefold() in text.casefold(),
        "starts_with": lambda text, want: text.casefold().startswith(want.casefold()),
        "ends_with": lambda text, want: text.casefold().endswith(want.casefold()),
    }[op]
    return any(test(text, want) for text in texts for want in wanted)


def number_is(op: str, have: Any, value: Any) -> bool:
    """A number test; what is no number passes `<>` only."""
    number = have if isinstance(have, int | float) and not isinstance(have, bool) else None
    if op in ("is_empty", "is_not_empty"):
        return (number is None) == (op == "is_empty")
    if op == "<>":
        return number is None or Decimal(str(number)) != Decimal(str(value))
    if number is None:
        return False
    exact = Decimal(str(number))
    if op == "between":
        return Decimal(str(value[0])) <= exact <= Decimal(str(value[1]))
    wanted = Decimal(str(value))
    return {"=": exact == wanted, "<": exact < wanted, "<=": exact <= wanted, ">": exact > wanted,
            ">=": exact >= wanted}[op]  # fmt: skip


def counted(found: int, parts: Row) -> bool:
    """Whether so many are enough: at least one, unless asked otherwise."""
    test = parts.get("count")
    if test:
        return number_is(test["op"], found, test["value"])
    return found >= parts.get("at_least", 1)


def is_of(campaigns: Sequence[Row], wanted: Any) -> bool:
    """Whether one of `campaigns` is wanted, by id or by name."""
    names = wanted if isinstance(wanted, list) else [wanted]
    return any(campaign["id"] in names or campaign["name"] in names for campaign in campaigns)


def tags_are(op: str, have: Sequence[str], value: Any) -> bool:
    if op in NEGATIONS:
        return not tags_are(NEGATIONS[op], have, value)
    there = {tag.casefold() for tag in have}
    wanted = {tag.casefold() for tag in value or [] if tag}
    return {"is_empty": not there, "is_one_of": bool(there & wanted), "has_all_of": wanted <= there}[op]
