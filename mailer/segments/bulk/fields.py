"""The fields that a bulk task may set, and how a value that somebody typed is read for each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from mailer.accounts.queries import find_staff, find_staff_by_id
from mailer.contacts.changes import SETTABLE
from mailer.contacts.queries import list_fields
from mailer.errors import InputError
from mailer.schema.contacts import Contact
from mailer.statuses import FieldType

OWNER = "owner"
_LIMIT = 2000
_MOST = 10**15
_ID_DIGITS = 18


@dataclass(frozen=True)
class SettableField:
    """A field: its key, its label, its type and, for a choice, what may be chosen."""

    key: str
    label: str
    type: FieldType
    choices: tuple[str, ...] = ()


def list_settable(session: Session) -> list[SettableField]:
    """Return the fields in use: the owner, own ones by label, then plain ones, what many share before names."""
    plain = [SettableField(key, key.replace("_", " ").capitalize(), FieldType.TEXT) for key in reversed(SETTABLE)]
    own = [SettableField(row.key, row.label, FieldType(row.type), tuple(row.choices)) for row in list_fields(session)]
    return [SettableField(OWNER, "Owner", FieldType.TEXT), *own, *plain]


def find_field(session: Session, key: str) -> SettableField:
    """Return a field; InputError where nobody may set one of that name in bulk."""
    found = next((field for field in list_settable(session) if field.key == key), None)
    if found is None:
        raise InputError(f"there is no field {key!r} to set", where="field", mend="choose one of the list")
    return found


def read_id(text: str) -> int | None:
    """Return the id in a text; None where it is none that a database has."""
    return int(text) if text.isdecimal() and len(text) <= _ID_DIGITS else None


def read_value(session: Session, field: SettableField, given: object) -> Any:
    """Return what is kept for a value as typed: JSON's types, a staff id for the owner; None for nothing.

    Raises:
        InputError: it does not suit the field's type.
    """
    text = str(given if given is not None else "").replace("\0", "").strip()
    if not text:
        return None
    if field.key == OWNER:
        return _read_owner(session, text)
    if field.key in SETTABLE:
        return _read_plain(field, text)
    return _READERS[field.type](field, text)


def _wrong(text: str, what: str, mend: str = "") -> InputError:
    return InputError(f"{text[:40]!r} is no {what}", where="value", mend=mend)


def _read_owner(session: Session, text: str) -> int:
    number = read_id(text)
    staff = find_staff(session, text) if number is None else find_staff_by_id(session, number)
    if staff is None or staff.archived_at is not None:
        raise InputError(f"{text[:40]!r} is nobody of the staff", where="value", mend="give an address of the staff")
    return staff.id


def _read_plain(field: SettableField, text: str) -> str:
    if field.key == "timezone" and text not in available_timezones():
        raise _wrong(text, "time zone", "such as Europe/Oslo")
    length = Contact.__table__.c[field.key].type.length  # type: ignore[attr-defined]
    if len(text) > length:
        raise InputError(f"longer than {length} characters", where="value")
    return text


def _read_text(_field: SettableField, text: str) -> str:
    if len(text) > _LIMIT:
        raise InputError(f"longer than {_LIMIT} characters", where="value")
    return text


def _read_number(_field: SettableField, text: str) -> int | float:
    plain = text.replace(",", ".").replace(" ", "")
    try:
        number = float(plain) if "." in plain else int(plain)
    except ValueError as error:
        raise _wrong(text, "number") from error
    if not abs(number) < _MOST:
        raise _wrong(text, "number that fits")
    return number


def _read_date(_field: SettableField, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise _wrong(text, "day", "2026-12-31") from error


def _read_yes_no(_field: SettableField, text: str) -> bool:
    words = {"yes": True, "1": True, "true": True, "no": False, "0": False, "false": False}
    if text.lower() not in words:
        raise _wrong(text, "yes or no")
    return words[text.lower()]


def _read_choice(field: SettableField, text: str) -> str:
    found = next((choice for choice in field.choices if choice.casefold() == text.casefold()), None)
    if found is None:
        raise InputError(f"{text[:40]!r} is none of {', '.join(field.choices)}", where="value")
    return found


def _read_tags(_field: SettableField, text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


_READERS: dict[FieldType, Callable[[SettableField, str], Any]] = {
    FieldType.TEXT: _read_text,
    FieldType.NUMBER: _read_number,
    FieldType.DATE: _read_date,
    FieldType.YES_NO: _read_yes_no,
    FieldType.CHOICE: _read_choice,
    FieldType.TAGS: _read_tags,
}
