"""Who failed, where no machine-readable field says it: by the places in which MTAs write addresses. Pure.

In order: the header of failed recipients, a line that is about one address (Postfix and qmail `<address>:`, Exim and
Sendmail a line of its own, Exchange and Domino after a label), the command that was refused, any address in the
words that is not ours or the server's, and last the To of the mail that is returned.
"""

import re
from itertools import chain

from mailer.bounces.mail import Part, decode_words
from mailer.bounces.notice import RETURNED_TYPES

ADDRESS = r"[^\s<>()\[\]\",;:@\x00-\x20]{1,64}@[A-Za-z0-9\u0080-\uffff](?:[\w-]{0,62}\w)?(?:\.[\w-]{1,63})+"
_ADDRESS = re.compile(ADDRESS)
_EAST_ASIAN = re.compile(r"[\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_PLAIN_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9][\w-]*(?:\.[\w-]+)+", re.ASCII | re.IGNORECASE)
_OWN_LINE = re.compile(
    rf"^[ \t]*(?:[*>-]{{1,3}} )?(?:(?:smtp|rfc822|mailto)[:;=][ \t]*)?[\"'“]?<?({ADDRESS})>?[\"'”]?[ \t]*"
    r"(?:$|:[ \t]*$|:[ \t]|\.{3}|[ \t]*[\[(]|[ \t]on (?:mon|tue|wed|thu|fri|sat|sun)|[ \t]*-[ \t])",
    re.IGNORECASE | re.MULTILINE,
)
_X400 = re.compile(rf"\bsmtp=({ADDRESS})", re.IGNORECASE)
_EXPANDED = re.compile(rf"\(expanded from: <?({ADDRESS})>?\)", re.IGNORECASE)
_LABELLED = re.compile(
    r"(?:^|[\s\"(])(?:(?:failed|invalid|unknown|final|original|intended) )?(?:recipients?|rcpt|rcpt to|addressee"
    r"|e-?mail address|"
    r"user|mailbox|account|empf[äa]nger|destinataires?|destinatari[oe]s?|ontvanger|mottagare|modtager|宛先"
    r"|получател\w+|あて先|送信先|收件人(?:邮件地址)?|收件者|用户|받는 ?사람|수신자)"
    rf"(?: address)?(?:\(s\))?[ \t]*[:\uff1a=<(\uff08\"'][ \t\n]*[\"']?<?(?:smtp:|rfc822;)?[ \t]*({ADDRESS})",
    re.IGNORECASE,
)
_REACH = re.compile(
    r"(?:deliver(?:ed|ing)?(?: (?:your|the|a|this))?(?: (?:e-?mail|message|mail))?|(?:message|mail"
    r"|sent)(?: \w+){0,3}) (?:to|for):?"
    rf"[ \t\n]{{1,4}}[\"'“]?<?({ADDRESS})",
    re.IGNORECASE,
)
_COPIED_TO = re.compile(
    r"^(?:To|X-Envelope-To|Envelope-To|X-Original-To|X-Rcpt-To)[ \t]*:[ \t]*([^\n]*)$", re.IGNORECASE | re.MULTILINE
)
_SERVER = frozenset({"mailer-daemon", "postmaster", "abuse", "mail-daemon", "noreply", "no-reply"})
_MAX = 500


def find_recipients(mail: Part, text: str) -> tuple[str, ...]:
    """Return the addresses that failed, each once, in order."""
    named = decode_words(" ".join(mail.get_all("x-failed-recipients")))
    if "@" in named:
        if not named.isascii():
            return _unique(_ADDRESS.findall(text), frozenset()) or _list(named)
        return _unique([*_ADDRESS.findall(named), *_OWN_LINE.findall(text)], frozenset())
    ours = frozenset(one.lower() for one in _ADDRESS.findall(" ".join(mail.get_all(*_OURS))))
    own_lines = [*_X400.findall(text), *_OWN_LINE.findall(text), *_EXPANDED.findall(text)]
    for found in chain((own_lines,), (pattern.findall(text) for pattern in (_LABELLED, _REACH, _ADDRESS))):
        if others := _unique([one for one in found if not _is_server(one)], ours):
            return others
    copied = _in_copy(mail)
    return _unique(own_lines, frozenset()) or _unique(copied, ours) or _unique(copied, frozenset())


_OURS = ("to", "from", "delivered-to", "reply-to", "return-path", "cc", "sender", "x-original-to", "envelope-to")


def find_sender(mail: Part) -> tuple[str, ...]:
    """Return whose mail this is: the address that asks to be left alone."""
    return _list(" ".join(mail.get_all("from")))[:1]


def _list(text: str) -> tuple[str, ...]:
    return _unique(_ADDRESS.findall(text), frozenset())


def _unique(addresses: list[str], but: frozenset[str]) -> tuple[str, ...]:
    found = (_without_words(address).strip("'`.\"=") for address in addresses[:_MAX])
    kept = (address for address in found if address.lower() not in but)
    return tuple({address.lower(): address for address in kept}.values())


def _without_words(address: str) -> str:
    """Return an address without the words that stand beside it in languages that write no spaces."""
    if address.isascii() or not _EAST_ASIAN.search(address):
        return address
    plain = _PLAIN_ADDRESS.search(address)
    return plain[0] if plain else address


def _is_server(address: str) -> bool:
    local = address.partition("@")[0].lower()
    return local in _SERVER or "#" in local or local.startswith(("b+", "mailer-daemon")) or "/" in local


def _in_copy(mail: Part) -> list[str]:
    """Return the To of the returned mail."""
    for part in mail.walk():
        if part.content_type in RETURNED_TYPES:
            return [
                one for value in _COPIED_TO.findall(part.text[:20_000]) for one in _ADDRESS.findall(decode_words(value))
            ]
    return []
