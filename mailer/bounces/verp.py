"""Which of our messages a report is about: tokens that only we can have made (FEATURES B3). Pure but for the keys.

An address that merely stands in a report's text never leads anywhere: whoever writes a mail can write any address.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mailer.bounces.mail import Part
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


def find_by_verp(keys: Keys, rcpt_to: str, mail: Part) -> Match | None:
    """Return the message whose envelope sender the report was sent to: the envelope, else the headers that show it."""
    shown = mail.get_all(*_ADDRESSED)
    for text in (rcpt_to, *shown):
        for found in _VERP.findall(text):
            if (message_id := _read(read_verp_local, keys, found)) is not None:
                return Match(message_id, "verp")
    return None


def find_by_token_header(keys: Keys, text: str) -> Match | None:
    """Return the message whose token stands in what the report returns of our mail (X-Message-Ref, Return-Path)."""
    for found in _VERP.findall(text):
        if (message_id := _read(read_verp_local, keys, found)) is not None:
            return Match(message_id, "token_header")
    return None


def find_by_message_id(keys: Keys, text: str) -> Match | None:
    """Return the message whose Message-ID the report returns, or the mail answers."""
    for value in (*_MESSAGE_ID_LINE.findall(text), *_ANSWERED.findall(text)):
        for found in _MESSAGE_ID.findall(value):
            if (message_id := _read(read_message_id_local, keys, found)) is not None:
                return Match(message_id, "message_id")
    return None


def find_in_text(keys: Keys, text: str) -> Iterator[Match]:
    """Yield messages whose VERP token or Message-ID stands anywhere in a provider's event, which it has signed."""
    for found in _VERP.findall(text[:_MAX_READ]):
        if (message_id := _read(read_verp_local, keys, found)) is not None:
            yield Match(message_id, "token_header")
    for found in _MESSAGE_ID_ANYWHERE.findall(text[:_MAX_READ]):
        if (message_id := _read(read_message_id_local, keys, found)) is not None:
            yield Match(message_id, "message_id")


_MESSAGE_ID_ANYWHERE = re.compile(r"(?<![a-z2-7])[a-z2-7]{32}(?=@)", re.IGNORECASE)


def list_relay_ids(text: str) -> list[str]:
    """Return ids that the relay may have given our mail: its queue id, or the Message-ID it put in place of ours."""
    ids = _RELAY_IDS.findall(text)
    for value in _MESSAGE_ID_LINE.findall(text):
        ids += list_relay_ids_of(value)
    return list(dict.fromkeys(one for one in ids if one))[:20]


def list_relay_ids_of(value: str) -> list[str]:
    """Return the forms in which a relay's id of a mail may have been stored: whole, or what stands before the at."""
    whole = value.strip().strip("<>")
    return [one for one in dict.fromkeys((whole, whole.partition("@")[0])) if one]


def _read(reader: Callable[[Keys, str], int], keys: Keys, text: str) -> int | None:
    try:
        return reader(keys, text)
    except UntrustedRequestError:
        return None


def iter_matches(keys: Keys, rcpt_to: str, mail: Part, raw: bytes) -> Iterator[Match | Iterable[str]]:
    """Yield ways to a message, most trusted first; a list stands for relay ids that only the database can tell."""
    if (match := find_by_verp(keys, rcpt_to, mail)) is not None:
        yield match
    text = raw[:_MAX_READ].decode("latin-1")
    yield list_relay_ids(text)
    if (match := find_by_token_header(keys, text)) is not None:
        yield match
    if (match := find_by_message_id(keys, text)) is not None:
        yield match
