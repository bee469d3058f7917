"""Complaints and other feedback in the Abuse Reporting Format (RFC 5965, RFC 6449, RFC 6591). Pure, never raises."""

import re
from dataclasses import dataclass

from mailer.bounces.mail import Part

_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_BARE = re.compile(r"^Feedback-Type[ \t]*:[ \t]*[\w-]+[ \t]*$", re.IGNORECASE | re.MULTILINE)
_BESIDE = re.compile(
    r"^(?:User-Agent|Version|Original-Mail-From|Arrival-Date|Source-IP)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_ADDRESS = re.compile(r"[^\s<>\"(),;:\[\]]+@[^\s<>\"(),;:]+")
_MICROSOFT = ("staff@hotmail.com", "staff@outlook.com")
_COPIED = re.compile(
    r"^(?:X-HmXmrOriginalRecipient|X-Original-To|Delivered-To)[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE
)
_COPIED_TO = re.compile(r"^To[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_RETURNED = (
    "message/rfc822",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
)
_REDACTED = re.compile(r"redact|^x+@|^\*+@|undisclosed", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a report says. `kind` is the feedback type in lower case; `recipients` is empty where they were redacted."""

    kind: str
    recipients: tuple[str, ...]


def parse_arf(mail: Part) -> Feedback | None:
    """Return the feedback in `mail`, None where it is no report.

    Microsoft's reports (JMRP) carry no feedback part: they are known by their sender and the copy they attach. Where
    a report names nobody, the copy of our mail does.
    """
    parts = mail.walk()
    text = next((part.text for part in parts if part.content_type == "message/feedback-report"), "")
    if not text and mail.param("report-type") != "feedback-report":
        text = next((part.text for part in parts if _is_bare(part.body)), "")
        if not text:
            return _by_microsoft(mail, parts)
    feedback = _read_fields(text)
    return feedback if feedback.recipients else Feedback(feedback.kind, _in_copy(parts))


def _is_bare(text: str) -> bool:
    return "eedback-" in text and _BARE.search(text) is not None and _BESIDE.search(text) is not None


def _read_fields(text: str) -> Feedback:
    kind, recipients = "abuse", []
    for name, value in _FIELD.findall(text):
        if name.lower() == "feedback-type":
            kind = value.strip().lower()
        elif name.lower() in ("original-rcpt-to", "removal-recipient"):
            recipients += [one.rstrip(">") for one in _ADDRESS.findall(value)]
    return Feedback(kind, tuple(dict.fromkeys(one for one in recipients if not _REDACTED.search(one))))


def _by_microsoft(mail: Part, parts: list[Part]) -> Feedback | None:
    sender = mail.get("from").lower()
    if any(known in sender for known in _MICROSOFT) and "complaint" in mail.subject.lower():
        return Feedback("abuse", _in_copy(parts))
    return None


def _in_copy(parts: list[Part]) -> tuple[str, ...]:
    """Return whom the copy of our mail names: one header that its way left behind, else its To."""
    for part in parts:
        if part.content_type in _RETURNED:
            copy = part.body[:20_000]
            for pattern in (_COPIED, _COPIED_TO):
                found = [one for value in pattern.findall(copy) for one in _ADDRESS.findall(value)]
                if found := [one for one in found if not _REDACTED.search(one)]:
                    return tuple(dict.fromkeys(found))
    return ()
