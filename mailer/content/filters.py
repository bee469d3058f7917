"""The filters that a template may use: no filter can hang, grow without bound or reach an object. Pure.

Filters of Jinja's that are bounded by their input are taken as they are; the others are written here with a limit.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from jinja2 import Undefined
from jinja2.filters import FILTERS
from markupsafe import Markup

OUTPUT_LIMIT = 1_000_000
_LINK_SCHEMES = ("http://", "https://", "mailto:", "tel:")
_DECIMALS = 6
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class FilterError(ValueError):
    """A filter was given something it cannot work with; the message is for the author of the template."""


def default(value: object, fallback: object = "") -> object:
    """Return `fallback` where `value` is missing or empty."""
    return fallback if value is None or value == "" or isinstance(value, Undefined) else value


def replace(value: object, old: str, new: str) -> str:
    """Return the text with `old` replaced by `new`; the result is never longer than a mail may be."""
    text, old, new = str(value), str(old), str(new)
    if not old:
        return text
    if len(text) + text.count(old) * max(0, len(new) - len(old)) > OUTPUT_LIMIT:
        raise FilterError("replace would make a text of more than 1 MB")
    return text.replace(old, new)


def join(values: Iterable[object], separator: str = ", ") -> str:
    """Return the items as one text; the result is never longer than a mail may be."""
    parts: list[str] = []
    size = 0
    for value in values:
        parts.append(str(value))
        size += len(parts[-1]) + len(separator)
        if size > OUTPUT_LIMIT:
            raise FilterError("join would make a text of more than 1 MB")
    return separator.join(parts)


def round_number(value: object, digits: int = 0) -> object:
    """Return the number rounded half up to 0 to 6 `digits`; with 0 digits an integer."""
    if digits not in range(_DECIMALS + 1):
        raise FilterError("round takes 0 to 6 digits")
    rounded = _decimal(value).quantize(Decimal(1).scaleb(-digits), rounding="ROUND_HALF_UP")
    return int(rounded) if digits == 0 else float(rounded)


def number(value: object, digits: int = 0) -> str:
    """Return the number with grouped thousands, `12 345.60`, with 0 to 6 `digits`; narrow no-break spaces group."""
    if digits not in range(_DECIMALS + 1):
        raise FilterError("number takes 0 to 6 digits")
    return f"{_decimal(value):,.{digits}f}".replace(",", "\u202f")


def money(value: object, currency: str = "") -> str:
    """Return an amount in minor units as major units, `1 234.50 EUR`."""
    return f"{number(_decimal(value) / 100, 2)} {currency}".rstrip()


def format_date(value: object, style: str = "long") -> str:
    """Return an ISO date or time in a style: `21 November 2026`, `21 Nov`, `2026-11-21`, `Saturday`, `14:00`."""
    moment = _moment(value)
    match style:
        case "long":
            return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
        case "short":
            return f"{moment.day} {_MONTHS[moment.month - 1][:3]}"
        case "iso":
            return moment.date().isoformat()
        case "weekday":
            return _DAYS[moment.weekday()]
        case "time":
            return f"{moment:%H:%M}"
        case _:
            pass
    raise FilterError("date takes long, short, iso, weekday or time")


def web_url(value: object) -> str:
    """Return the address where a link may lead there, else nothing: contact data must not bring `javascript:`."""
    text = str(default(value)).strip()
    return text if text.lower().startswith(_LINK_SCHEMES) and text.isprintable() else ""


def _decimal(value: object) -> Decimal:
    try:
        found = Decimal(str(value))
    except InvalidOperation as error:
        raise FilterError(f"{str(value)[:40]!r} is not a number") from error
    if not found.is_finite() or abs(found) > 10**15:
        raise FilterError(f"{str(value)[:40]!r} is too large a number")
    return found


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a calendar day has no zone
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as error:
        raise FilterError(f"{str(value)[:40]!r} is not a date such as 2026-11-21") from error


def _of_text(function: Callable[[str], str]) -> Callable[[object], str]:
    """Lift a text function to a filter that keeps no markup, so that its result is escaped again."""

    def apply(value: object) -> str:
        return function(str(value.unescape() if isinstance(value, Markup) else value))

    return apply


_BOUNDED = (
    "truncate",
    "first",
    "last",
    "length",
    "count",
    "int",
    "abs",
    "e",
    "escape",
    "urlencode",
    "sort",
    "reverse",
    "unique",
)
SAFE_FILTERS: dict[str, Callable[..., Any]] = {
    "default": default,
    "d": default,
    "replace": replace,
    "join": join,
    "round": round_number,
    "number": number,
    "money": money,
    "date": format_date,
    "web_url": web_url,
    "upper": _of_text(str.upper),
    "lower": _of_text(str.lower),
    "title": _of_text(str.title),
    "capitalize": _of_text(str.capitalize),
    "trim": _of_text(str.strip),
    **{name: FILTERS[name] for name in _BOUNDED},
}
SAFE_TESTS = frozenset(
    "defined undefined none string number odd even in eq ne lt le gt ge".split()  # noqa: SIM905 - reads as a list
)
