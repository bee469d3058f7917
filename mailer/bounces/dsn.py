"""Delivery status notifications: the fields of each recipient (RFC 3464, section 2; RFC 3462). Pure, never raises.

Real reports break the rules in every way: fields with a space before the colon, groups without an empty line, parts
without their MIME header, so that the fields stand in plain text. What can be read is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailer.bounces.mail import Part, decode_words

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)")
_BARE = re.compile(
    r"^(?:Final-Recipient|Original-Recipient)[ \t]*:[ \t]*[\w-]{3,10}[ \t]*;", re.IGNORECASE | re.MULTILINE
)
_BARE_BEGIN = re.compile(
    r"^(?:Reporting-MTA|Final-Recipient|Original-Recipient|Action)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_RETURNED = re.compile(r"^(?:Return-Path|Received|From|Message-Id)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"[^\s<>\"(),;:\[\]]+@[^\s<>\"(),;:]+")
_PREFIX = re.compile(r"^smtp[:=]", re.IGNORECASE)
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_COMMENT = re.compile(r"\(([^()]{4,300})\)")
_MAX_RECIPIENTS = 500
_TYPES = ("message/delivery-status", "message/global-delivery-status")


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """One recipient group. Empty text where a field is missing; `status` is an enhanced code, `action` lower case."""

    recipient: str
    action: str
    status: str
    diagnostic: str
    original_recipient: str = ""


def parse_dsn(mail: Part) -> list[RecipientReport]:
    """Return one report for each recipient group, in message order (RFC 3464, section 2.3)."""
    parts = mail.walk()
    texts = [part.text for part in parts if part.content_type in _TYPES]
    texts = texts or [_bare_fields(part.text) for part in parts if _holds_fields(part.body)]
    reports = [report for text in texts for group in _groups(text) if (report := _read_group(group))]
    return reports[:_MAX_RECIPIENTS]


def _holds_fields(text: str) -> bool:
    return "-recipient" in text.lower() and _BARE.search(text) is not None


def _bare_fields(text: str) -> str:
    """Return the fields that stand in a text, up to the header of the mail that is returned below them."""
    begin = _BARE_BEGIN.search(text)
    if begin is None:
        return ""
    end = _RETURNED.search(text, begin.start())
    return text[begin.start() : end.start() if end else len(text)]


def _groups(text: str) -> Iterator[dict[str, str]]:
    """Yield groups of fields; a second Final-Recipient begins a new group even without an empty line."""
    group: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        field = _FIELD.match(line)
        if not line.strip():
            yield group
            group, last = {}, ""
        elif field is None or line[:1] in " \t":
            if last:
                group[last] += " " + line.strip()
        else:
            last = field[1].lower()
            if last == "final-recipient" and last in group:
                yield group
                group = {}
            if last in group:
                last = ""  # the first of its kind counts
            else:
                group[last] = field[2].strip()
    yield group


def _read_group(group: dict[str, str]) -> RecipientReport | None:
    if not ({"final-recipient", "original-recipient", "action"} & group.keys()):
        return None
    final, original = _address(group.get("final-recipient", "")), _address(group.get("original-recipient", ""))
    status = _STATUS.search(group.get("status", ""))
    kind, _, diagnostic = group.get("diagnostic-code", "").partition(";")
    comment = _COMMENT.search(group.get("status", "")) if not (diagnostic or kind) else None
    return RecipientReport(
        recipient=final or original,
        action=group.get("action", "").split(" ")[0].strip(";,.").lower(),
        status=status[1] if status else "",
        diagnostic=comment[1] if comment else (diagnostic or kind).strip(),
        original_recipient=original,
    )


def _address(value: str) -> str:
    """Return the address in `type; address`, empty where there is none (some write X.400 names)."""
    value = _PREFIX.sub("", (value.partition(";")[2] or value).strip())
    if "=?" in value or not value.isascii():
        value = decode_words(value)
    found = _ADDRESS.search(value)
    return found[0].rstrip(".") if found else ""
