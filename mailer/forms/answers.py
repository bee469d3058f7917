"""What somebody typed becomes answers, or a list of faults each at its field; nothing valid is lost. Pure.

Faults are words, not sentences: the page says them in the language of the form.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from mailer.addresses import Address, AddressError, check_address
from mailer.statuses import FieldType

MAX_EMAIL = 254
PLAIN_LIMITS = {
    "first_name": 200, "last_name": 200, "company": 200, "title": 200, "phone": 50, "city": 100, "country": 100,
}  # fmt: skip
"""Plain contact fields that a form may ask for, with the longest text of each."""
ASKED_TYPES = (FieldType.TEXT, FieldType.NUMBER, FieldType.DATE, FieldType.YES_NO, FieldType.CHOICE)
"""Types of own fields that a form may ask for."""
_TEXT_LIMIT = 1000
_NUMBER_LIMIT = 10**15
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class FaultKind(StrEnum):
    """What can be wrong with an answer."""

    MISSING = "missing"
    NO_ADDRESS = "no_address"
    TOO_LONG = "too_long"
    NO_NUMBER = "no_number"
    NO_DATE = "no_date"
    NO_CHOICE = "no_choice"
    NO_TOPIC = "no_topic"
    NOT_AGREED = "not_agreed"


@dataclass(frozen=True)
class Fault:
    """One fault; `where` is the key of the field, `email`, `topic` or `agree`."""

    where: str
    kind: FaultKind


@dataclass(frozen=True)
class Question:
    """A field as the form asks for it; `limit` is the longest text; `is_filled_in`: for who comes by a mail's link."""

    key: str
    label: str
    type: FieldType
    is_required: bool
    limit: int = _TEXT_LIMIT
    choices: Sequence[str] = ()
    is_filled_in: bool = False


@dataclass(frozen=True)
class Given:
    """What came in, as it came: kept to be shown again."""

    email: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    topic_ids: frozenset[int] = frozenset()
    has_agreed: bool = False


@dataclass(frozen=True)
class Answers:
    """What may be kept: an address, values by key of the field (None: not answered), topics."""

    address: Address
    data: Mapping[str, Any]
    topic_ids: Sequence[int]


def check_answers(given: Given, questions: Sequence[Question], topic_ids: Sequence[int]) -> Answers | list[Fault]:
    """Return the answers, or every fault in the order of the page. One topic needs no choice."""
    faults: list[Fault] = []
    address = _check_email(given.email, faults)
    data = {question.key: _check_value(question, given.texts.get(question.key, ""), faults) for question in questions}
    chosen = [number for number in topic_ids if number in given.topic_ids] if len(topic_ids) > 1 else list(topic_ids)
    if topic_ids and not chosen:
        faults.append(Fault("topic", FaultKind.NO_TOPIC))
    if not given.has_agreed:
        faults.append(Fault("agree", FaultKind.NOT_AGREED))
    if faults or address is None:
        return faults
    return Answers(address, {key: value for key, value in data.items() if value not in (None, "")}, chosen)


def _check_email(text: str, faults: list[Fault]) -> Address | None:
    if not text.strip():
        faults.append(Fault("email", FaultKind.MISSING))
        return None
    if len(text) > MAX_EMAIL:
        faults.append(Fault("email", FaultKind.TOO_LONG))
        return None
    try:
        return check_address(text)
    except AddressError:
        faults.append(Fault("email", FaultKind.NO_ADDRESS))
        return None


def _check_value(question: Question, text: str, faults: list[Fault]) -> Any:
    text = _CONTROLS.sub(" ", text).strip()
    if not text:
        if question.is_required:
            faults.append(Fault(question.key, FaultKind.MISSING))
        return False if question.type is FieldType.YES_NO else None
    if len(text) > question.limit:
        faults.append(Fault(question.key, FaultKind.TOO_LONG))
        return None
    value, kind = _read(question, text)
    if kind is not None:
        faults.append(Fault(question.key, kind))
    return value


def _read(question: Question, text: str) -> tuple[Any, FaultKind | None]:
    if question.type is FieldType.YES_NO:
        return True, None
    if question.type is FieldType.NUMBER:
        number = _read_number(text)
        return number, None if number is not None else FaultKind.NO_NUMBER
    if question.type is FieldType.DATE:
        try:
            return date.fromisoformat(text).isoformat(), None
        except ValueError:
            return None, FaultKind.NO_DATE
    if question.type is FieldType.CHOICE and text not in question.choices:
        return None, FaultKind.NO_CHOICE
    return text, None


def _read_number(text: str) -> int | float | None:
    plain = text.replace(" ", "").replace(",", ".")
    if not re.fullmatch(r"[+-]?\d{1,16}(\.\d{1,9})?", plain, re.ASCII):
        return None
    number = float(plain) if "." in plain else int(plain)
    return number if math.isfinite(number) and abs(number) < _NUMBER_LIMIT else None
