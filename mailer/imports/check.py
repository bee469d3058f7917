"""A row becomes values or a reason why not. Pure: the same row always gives the same verdict.

Values come as plain tuples, since a process of its own may check them and hand them on in thousands.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from mailer.addresses import Address, AddressError, check_address, hash_address
from mailer.imports.mapping import Columns
from mailer.statuses import FieldType

PLAIN = ("first_name", "last_name", "title", "phone", "language", "timezone", "country", "city", "category")
_LENGTHS = {
    "phone": 50,
    "language": 20,
    "timezone": 64,
    "country": 100,
    "city": 100,
    "category": 100,
    "external_id": 100,
}
_LENGTH = 200
_MAX_TAGS = 100
_MAX_AMOUNT = Decimal(10) ** 13
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_YES = frozenset({"yes", "y", "true", "1", "ja", "j", "x", "on"})
_NO = frozenset({"no", "n", "false", "0", "nei", "nej", "off"})
_TAG_SEPARATOR = re.compile(r"[;,|]")
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%Y/%m/%d", "%Y%m%d")


class ContactRow(NamedTuple):
    """A valid row: `plain` in the order of PLAIN; `data` is JSON text of own values; `cells` is the row as it came."""

    email: str
    domain: str
    provider: str
    email_hash: bytes
    external_id: str
    plain: tuple[str, ...]
    owner_id: int
    company: str
    tags: tuple[str, ...]
    data: str
    cells: tuple[str, ...]


class ActivityRow(NamedTuple):
    """A valid row: `at` is ISO text in UTC, `amount` in minor units or None, `data` JSON text of own values."""

    email: str
    kind: str
    at: str
    amount: int | None
    currency: str
    external_id: str
    note: str
    data: str
    cells: tuple[str, ...]


class Refused(NamedTuple):
    """A row that is not taken: its cells and the reason."""

    cells: tuple[str, ...]
    reason: str


class RowError(ValueError):
    """The row cannot be taken; the message is the reason that people read."""


@dataclass(frozen=True)
class OwnField:
    """What a checker must know of an own field."""

    key: str
    type: FieldType
    choices: tuple[str, ...] = ()


@dataclass
class ContactChecker:
    """Checks rows of contacts for one file. `owners` are user ids by address in lower case."""

    columns: Columns
    own_fields: Mapping[str, OwnField]
    owners: Mapping[str, int]
    hash_key: bytes
    _own: list[tuple[int, OwnField]] = field(init=False)
    _width: int = field(init=False)
    _pick: Callable[[Sequence[str]], tuple[str, ...]] = field(init=False)
    _pick_plain: Callable[[Sequence[str]], tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        at = {name: number for number, name in enumerate(self.columns.fields) if name is not None}
        self._own = [(number, self.own_fields[name]) for name, number in at.items() if name in self.own_fields]
        self._width = len(self.columns.fields)
        self._pick = itemgetter(*[at.get(name, -1) for name in ("email", "external_id", "owner", "company", "tags")])
        self._pick_plain = itemgetter(*[at.get(name, -1) for name in PLAIN])

    @property
    def has_external_id(self) -> bool:
        """Whether the external id is the key of this file."""
        return "external_id" in self.columns.fields

    def check(self, cells: Sequence[str]) -> ContactRow:
        """Return the values of a row; RowError says why it cannot be taken."""
        if len(cells) < self._width:
            cells = [*cells, *[""] * (self._width - len(cells))]
        padded = [*cells, ""]  # where a column is not in the file, the last one is picked
        email, external_id, owner, company, tags = self._pick(padded)
        if not email and not external_id:
            raise RowError(
                "there is no address" if not self.has_external_id else "there is neither address nor external id"
            )
        plain = self._pick_plain(padded)
        if not _is_tidy(plain):
            plain = tuple(_tidy(name, text) for name, text in zip(PLAIN, plain, strict=True))
        if plain[5]:
            _check_timezone(plain[5])
        address = _address(email) if email else _NO_ADDRESS
        return ContactRow(
            address.email,
            address.domain,
            address.provider if email else "",
            hash_address(address.email, self.hash_key) if email else b"",
            _tidy("external_id", external_id),
            plain,
            self._owner(owner) if owner else 0,
            _tidy("company", company),
            _tags(tags) if tags else (),
            self._data(cells) if self._own else "{}",
            tuple(cells),
        )

    def _owner(self, email: str) -> int:
        owner = self.owners.get(email.lower())
        if owner is None:
            raise RowError(f"the owner {email!r} is no user")
        return owner

    def _data(self, cells: Sequence[str]) -> str:
        values = {own.key: read_own_value(own, cells[number]) for number, own in self._own if cells[number]}
        return json.dumps(values, ensure_ascii=False) if values else "{}"


@dataclass
class ActivityChecker:
    """Checks rows of activities for one file; times without a zone are those of `zone`."""

    columns: Columns
    zone: str
    _at: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._at = {name: number for number, name in enumerate(self.columns.fields) if name is not None}

    def check(self, cells: Sequence[str]) -> ActivityRow:
        """Return the values of a row; RowError says why it cannot be taken."""
        if len(cells) < len(self.columns.fields):
            cells = [*cells, *[""] * (len(self.columns.fields) - len(cells))]
        values = {name: cells[number] for name, number in self._at.items()}
        for name in ("email", "kind", "at"):
            if not values.get(name):
                raise RowError(f"there is no {name}")
        own = {name: _own_guess(text) for name, text in values.items() if name not in _ACTIVITY_COLUMNS and text}
        currency = values.get("currency", "").upper()
        if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):  # noqa: PLR2004 - ISO 4217
            raise RowError(f"{currency[:20]!r} is no currency such as EUR")
        return ActivityRow(
            email=_address(values["email"]).email,
            kind=_kind(values["kind"]),
            at=read_instant(values["at"], self.zone),
            amount=read_amount(values["amount"]) if values.get("amount") else None,
            currency=currency,
            external_id=_tidy("external_id", values.get("external_id", "")),
            note=_CONTROLS.sub(" ", values.get("note", "")),
            data=json.dumps(own, ensure_ascii=False) if own else "{}",
            cells=tuple(cells),
        )


_ACTIVITY_COLUMNS = frozenset({"email", "kind", "at", "amount", "currency", "external_id", "note"})


_NO_ADDRESS = Address("", "", "")


def _address(text: str) -> Address:
    try:
        return check_address(text)
    except AddressError as error:
        raise RowError(str(error)) from error


def _is_tidy(plain: tuple[str, ...]) -> bool:
    """Whether no value can be too long or hold a control character; the quick answer for most rows."""
    joined = "".join(plain)
    return joined.isprintable() and len(max(plain, key=len)) <= 20  # noqa: PLR2004 - the shortest column


def _tidy(name: str, text: str) -> str:
    limit = _LENGTHS.get(name, _LENGTH)
    if len(text) <= limit and text.isprintable():
        return text.strip()
    text = _CONTROLS.sub(" ", text).strip()
    if len(text) > limit:
        raise RowError(f"{name} has more than {limit} characters")
    return text


@lru_cache(1000)
def _check_timezone(name: str) -> None:
    if name not in available_timezones():
        raise RowError(f"there is no time zone {name[:40]!r}")


@lru_cache(10_000)
def _tags(text: str) -> tuple[str, ...]:
    names = dict.fromkeys(_tidy("tags", part.strip())[:100] for part in _TAG_SEPARATOR.split(text))
    names.pop("", None)
    if len(names) > _MAX_TAGS:
        raise RowError(f"there are more than {_MAX_TAGS} tags")
    return tuple(names)


def _kind(text: str) -> str:
    kind = re.sub(r"[^\w]+", "_", text.casefold()).strip("_")
    if not kind or len(kind) > 40:  # noqa: PLR2004 - the column's length
        raise RowError(f"{text[:40]!r} is no kind of activity")
    return kind


def read_own_value(own: OwnField, text: str) -> Any:
    """Return the value of an own field as it is stored; RowError where the text is none of its type."""
    return _OWN_READERS[own.type](own, text)


def _own_text(own: OwnField, text: str) -> str:
    if len(text) > 2000:  # noqa: PLR2004 - enough for a note
        raise RowError(f"{own.key} has more than 2,000 characters")
    return _CONTROLS.sub(" ", text)


def _own_number(own: OwnField, text: str) -> int | float:
    number = read_decimal(text, own.key)
    return int(number) if number == number.to_integral_value() else float(number)


def _own_date(own: OwnField, text: str) -> str:
    day = _read_day(text)
    if day is None:
        raise RowError(f"{own.key}: {text[:40]!r} is no date such as 2026-11-21")
    return day.isoformat()


def _own_yes_no(own: OwnField, text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise RowError(f"{own.key}: {text[:40]!r} is neither yes nor no")
    return word in _YES


def _own_choice(own: OwnField, text: str) -> str:
    for choice in own.choices:
        if choice.casefold() == text.casefold():
            return choice
    raise RowError(f"{own.key}: {text[:40]!r} is none of {', '.join(own.choices)}")


def _own_tags(_own: OwnField, text: str) -> list[str]:
    return list(_tags(text))


_OWN_READERS: dict[FieldType, Callable[[OwnField, str], Any]] = {
    FieldType.TEXT: _own_text,
    FieldType.NUMBER: _own_number,
    FieldType.DATE: _own_date,
    FieldType.YES_NO: _own_yes_no,
    FieldType.CHOICE: _own_choice,
    FieldType.TAGS: _own_tags,
}


def _own_guess(text: str) -> Any:
    """Return an own value of an activity: a number where it looks like one, else text."""
    if re.fullmatch(r"-?\d{1,15}(?:\.\d{1,6})?", text) and not re.match(r"-?0\d", text):
        return float(text) if "." in text else int(text)
    return _CONTROLS.sub(" ", text)[:2000]


def read_decimal(text: str, name: str) -> Decimal:
    """Return a number written with point or comma, thousands grouped by spaces, points, commas or apostrophes."""
    plain = re.sub(r"[\s\u00a0\u202f']", "", text)
    if "," in plain and "." in plain:
        grouping = "," if plain.rfind(".") > plain.rfind(",") else "."
        plain = plain.replace(grouping, "")
    if plain.count(",") == 1:
        plain = plain.replace(",", ".")
    try:
        number = Decimal(plain.replace(",", ""))
    except InvalidOperation as error:
        raise RowError(f"{name}: {text[:40]!r} is no number") from error
    if not number.is_finite() or abs(number) >= _MAX_AMOUNT:
        raise RowError(f"{name}: {text[:40]!r} is too large")
    return number


def read_amount(text: str) -> int:
    """Return an amount of major units in minor ones, hundredths."""
    return int((read_decimal(text, "amount") * 100).to_integral_value(rounding="ROUND_HALF_UP"))


def read_instant(text: str, zone: str) -> str:
    """Return ISO text in UTC of a date or time; a date means the start of its day, both in `zone` unless they say."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        day = _read_day(text)
        if day is None:
            raise RowError(f"{text[:40]!r} is no date or time such as 2026-11-21 14:00") from None
        moment = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the zone follows
    try:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
        return aware.astimezone(UTC).isoformat()
    except OverflowError as error:
        raise RowError(f"{text[:40]!r} is outside the calendar") from error


def _read_day(text: str) -> date | None:
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        pass
    for style in _DATES:
        try:
            return datetime.strptime(text, style).date()  # noqa: DTZ007 - a calendar day has no zone
        except ValueError:
            continue
    return None
