"""Delivery status notifications: the fields of each recipient (RFC 3464, section 2; RFC 3462). Pure, never raises.

Real reports break the rules in every way: fields with a space before the colon, groups without an empty line, parts
nobody may put there. What can be read is read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)")
_ADDRESS = re.compile(r"[^\s<>\"(),;:\[\]]+@[^\s<>\"(),;:]+")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_MAX_RECIPIENTS = 500


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """One recipient group. Empty text where a field is missing; `status` is an enhanced code, `action` lower case."""

    recipient: str
    action: str
    status: str
    diagnostic: str
    original_recipient: str = ""


def parse_dsn(message: Message) -> list[RecipientReport]:
    """Return one report for each recipient group, in message order (RFC 3464, section 2.3)."""
    reports: list[RecipientReport] = []
    for part in message.walk():
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            reports += [report for group in _groups(part_text(part)) if (report := _read_group(group))]
    return reports[:_MAX_RECIPIENTS]


def part_text(part: Message) -> str:
    """Return the text of a part whatever its type: the parser makes messages of message/* parts."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return "\n\n".join(_message_text(inner) for inner in payload)
    raw = part.get_payload(decode=True)
    return _decode(raw, part.get_content_charset()) if isinstance(raw, bytes) else str(payload)


def _message_text(inner: object) -> str:
    if not isinstance(inner, Message):
        return str(inner)
    lines = [f"{name}: {value}" for name, value in inner.items()]
    body = inner.get_payload()
    return "\n".join(lines) + ("\n\n" + body if isinstance(body, str) and body.strip() else "")


def _decode(raw: bytes, charset: str | None) -> str:
    try:
        return raw.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")


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
    return RecipientReport(
        recipient=final or original,
        action=group.get("action", "").split(" ")[0].strip(";,.").lower(),
        status=status[1] if status else "",
        diagnostic=(diagnostic or kind).strip(),
        original_recipient=original,
    )


def _address(value: str) -> str:
    """Return the address in `type; address`, empty where there is none (some write X.400 names)."""
    found = _ADDRESS.search(value.partition(";")[2] or value)
    return found[0].rstrip(".") if found else ""
