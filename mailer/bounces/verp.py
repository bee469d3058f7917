"""Which of our messages a report is about: tokens that only we can have made (FEATURES B3). Pure but for the keys.

An address that merely stands in a report's text never leads anywhere: whoever writes a mail can write any address.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message

from mailer.errors import UntrustedRequestError
from mailer.tokens import Keys, read_message_id_local, read_verp_local

_VERP = re.compile(r"\bb\+[a-z2-7]{32}(?![a-z2-7])", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<?([a-z2-7]{32})@", re.IGNORECASE)
_MESSAGE_ID_LINE = re.compile(r"^message-id:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_ANSWERED = re.compile(r"^(?:in-reply-to|references):[ \t]*(?:\r?\n[ \t]+)?([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_RELAY_IDS = re.compile(
    r"^(?:x-postfix-queue-id|x-[a-z-]*queue-id|original-envelope-id|x-ses-message-id|x-sg-eid|x-original-message-id):"
    r"[ \t]*<?([\w.@+=-]{4,200})>?",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_READ = 300_000
_ADDRESSED = ("To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Failed-Recipients")


@dataclass(frozen=True, slots=True)
class Match:
    """The message that a report is about, and by what it was found."""

    message_id: int
    by: str


def find_by_verp(keys: Keys, rcpt_to: str, message: Message) -> Match | None:
    """Return the message whose envelope sender the report was sent to: the envelope, else the headers that show it."""
    shown = (str(value) for name in _ADDRESSED for value in message.get_all(name, []))
    for text in (rcpt_to, *shown):
        for found in _VERP.findall(text):
            if (message_id := _read(read_verp_local, keys, found)) is not None:
                return Match(message_id, "verp")
    return None


def find_by_token_header(keys: Keys, raw: bytes) -> Match | None:
    """Return the message whose token stands in what the report returns of our mail (X-Message-Ref, Return-Path)."""
    text = raw[:_MAX_READ].decode("latin-1")
    for found in _VERP.findall(text):
        if (message_id := _read(read_verp_local, keys, found)) is not None:
            return Match(message_id, "token_header")
    return None


def find_by_message_id(keys: Keys, raw: bytes) -> Match | None:
    """Return the message whose Message-ID the report returns, or the mail answers."""
    text = raw[:_MAX_READ].decode("latin-1")
    for value in (*_MESSAGE_ID_LINE.findall(text), *_ANSWERED.findall(text)):
        for found in _MESSAGE_ID.findall(value):
            if (message_id := _read(read_message_id_local, keys, found)) is not None:
                return Match(message_id, "message_id")
    return None


def list_relay_ids(raw: bytes) -> list[str]:
    """Return ids that the relay may have given our mail: its queue id, or the Message-ID it put in place of ours."""
    text = raw[:_MAX_READ].decode("latin-1")
    ids = _RELAY_IDS.findall(text)
    for value in _MESSAGE_ID_LINE.findall(text):
        whole = value.strip().strip("<>")
        ids += [whole, whole.partition("@")[0]]
    return list(dict.fromkeys(one for one in ids if one))[:20]


def _read(reader: Callable[[Keys, str], int], keys: Keys, text: str) -> int | None:
    try:
        return reader(keys, text)
    except UntrustedRequestError:
        return None


def iter_matches(keys: Keys, rcpt_to: str, message: Message, raw: bytes) -> Iterator[Match | Iterable[str]]:
    """Yield ways to a message, most trusted first; a list stands for relay ids that only the database can tell."""
    if (match := find_by_verp(keys, rcpt_to, message)) is not None:
        yield match
    yield list_relay_ids(raw)
    if (match := find_by_token_header(keys, raw)) is not None:
        yield match
    if (match := find_by_message_id(keys, raw)) is not None:
        yield match
