"""Complaints and other feedback in the Abuse Reporting Format (RFC 5965, RFC 6449, RFC 6591). Pure, never raises."""

import re
from dataclasses import dataclass
from email.message import Message

from mailer.bounces.dsn import part_text

_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_ADDRESS = re.compile(r"[^\s<>\"(),;:\[\]]+@[^\s<>\"(),;:]+")
_MICROSOFT = ("staff@hotmail.com", "staff@outlook.com")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a report says. `kind` is the feedback type in lower case; `recipients` may be redacted or empty."""

    kind: str
    recipients: tuple[str, ...]


def parse_arf(message: Message) -> Feedback | None:
    """Return the feedback in `message`, None where it is no report.

    Microsoft's reports (JMRP) carry no feedback part: they are known by their sender and the copy they attach.
    """
    for part in message.walk():
        if part.get_content_type() == "message/feedback-report":
            return _read_fields(part_text(part))
    if message.get_param("report-type") == "feedback-report":
        return Feedback("abuse", ())
    sender = str(message.get("From", "")).lower()
    if any(known in sender for known in _MICROSOFT) and "complaint" in str(message.get("Subject", "")).lower():
        return Feedback("abuse", _microsoft_recipients(message))
    return None


def _read_fields(text: str) -> Feedback:
    kind, recipients = "abuse", []
    for name, value in _FIELD.findall(text):
        if name.lower() == "feedback-type":
            kind = value.strip().lower()
        elif name.lower() in ("original-rcpt-to", "removal-recipient"):
            recipients += _ADDRESS.findall(value)
    return Feedback(kind, tuple(dict.fromkeys(recipients)))


def _microsoft_recipients(message: Message) -> tuple[str, ...]:
    for part in message.walk():
        value = part.get("X-HmXmrOriginalRecipient")
        if value:
            return tuple(_ADDRESS.findall(str(value)))
    return ()
