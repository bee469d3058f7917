"""Read a caught mail: its headers in clear text, and the http(s) links of its decoded parts. Pure."""

import email
import html
import re
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32

_IN_HTML = re.compile(
    r"""\b(?:href|src)\s*=\s*(?:"(https?://[^"]*)"|'(https?://[^']*)'|(https?://[^\s>"']+))""", re.IGNORECASE
)
_IN_TEXT = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True)
class ReadMail:
    """What a list of caught mails shows; `message_id` without angle brackets."""

    message_id: str
    subject: str
    links: tuple[str, ...]


def read_mail(raw: bytes) -> ReadMail:
    """Return what the mail says of itself; never raises, whatever it is."""
    mail = email.message_from_bytes(raw, policy=compat32)
    links: dict[str, None] = {}
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            links.update(dict.fromkeys(_links_of(part)))
    message_id = str(mail.get("Message-ID", "")).strip().removeprefix("<").removesuffix(">")
    return ReadMail(message_id, _clear(mail.get("Subject", "")), tuple(links))


def _links_of(part: Message) -> list[str]:
    payload = part.get_payload(decode=True)
    text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    if part.get_content_subtype() == "html":
        return [html.unescape("".join(found)) for found in _IN_HTML.findall(text)]
    return [link.rstrip(".,;:!?)]") for link in _IN_TEXT.findall(text)]


def _clear(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value)))).replace("\r\n", "")
    except (LookupError, ValueError):  # an unknown charset, a broken encoded word
        return str(value)
