"""Bounce mail without machine-readable parts: what the words say, and about whom. Pure, never raises."""

import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message

from mailer.bounces.dsn import part_text

_MAX_TEXT = 20_000
_RETURNED_TYPES = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/global-headers",
    "message/partial",
)
# Where the copy of our own mail begins: its words must not be read as the server's.
_COPY = re.compile(
    r"^[-=*_#>~ \t]{0,60}[^\n]{0,50}?(?:original (?:message|mail)(?! was| to| received)|copy of (?:the"
    r"|your) (?:\w+ )?(?:message|mail|header)"
    r"|message follows|(?:unsent|returned|undelivered|undeliverable|failed|bounced) message(?: (?:follows"
    r"|below|header|text))?(?=[ \t]{0,9}(?:[-=:*_#]|$))"
    r"|header and top|headers? (?:of|follow)|message headers?|your message (?:reads|follows)"
    r"|text of (?:the|your) message|forwarded message)"
    r"[^\n]*$"
    r"|^(?:Received|Return-Path): ?(?:from|by|\(|<|$)"
    r"|^[ >]*(?:Received|Return-Path|Message-I[Dd]|MIME-Version|DKIM-Signature"
    r"|X-Mailer): [^\n]*\n[ >]*[A-Z][A-Za-z-]+: "
    r"|^--- (?:Below this line|Original message|Enclosed)",
    re.MULTILINE | re.IGNORECASE,
)
_TAG = re.compile(r"<(?:br|p|div|tr|li|h\d)\b[^>]*>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<(?:/?[a-z][a-z0-9]*\b[^<>@]*|!--[^>]{0,500}?--)>", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(
    r"[A-Za-z0-9._%+=!#$&'*/?^`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+"
)
_REPLY_LINE = re.compile(
    r"(?:^|[\s:(<#=\"'>])(?:[45]\d\d[ -](?![\d/:.])|[45]\d\d[ -]?#?[45]\.\d{1,3}\.\d{1,3}|#?[45]\.\d\.\d{1,3}\b)"
    r"|\bsaid\b|remote host|reason|diagnostic|error|because",
    re.IGNORECASE,
)
_DAEMON = re.compile(
    r"mailer-?daemon|postmaster|mail ?deliver|mail ?system|mdaemon|bounce|mail administrator"
    r"|system administrator|mail-?subsystem|internet mail|mailgate|daemon@",
    re.IGNORECASE,
)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|deliver(?:y|ing)? (?:status|fail|problem|report|error|has failed|incomplete|delay)"
    r"|fail(?:ed|ure) (?:notice|delivery|to deliver|mail)|returned (?:mail|to sender|message)"
    r"|mail (?:delivery|system) (?:fail|error|problem|warning)|delivery (?:notification|subsystem)"
    r"|could ?n[o']t? (?:be )?deliver|not (?:be )?delivered|mail (?:could )?not|non remis|unzustellbar"
    r"|nondeliverable|non-?deliver|can(?:no|')t (?:be )?deliver|undelivered|delayed mail|warning: (?:could"
    r"|message)|message (?:delayed|status|you sent)|bounce|mail failure|fehlgeschlagen|rejected"
    r"|no se (?:ha )?pud|mail error",
    re.IGNORECASE,
)
_DELAY_SURELY = re.compile(
    r"warning message only|this is (?:just )?a warning|still being retried|do(?: not|n't) need to resend"
    r"|it will be retried until|delivery status notification \(delay\)|message will be retried",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"not yet been delivered|has been delayed|delivery delayed|will (?:be retried|continue to (?:try"
    r"|attempt|be attempted))"
    r"|will keep trying|delayed mail|warning: (?:could not send|message)|temporary non-?delivery|being delayed"
    r"|delivery attempts will continue|no action is required",
    re.IGNORECASE,
)
_GAVE_UP = re.compile(
    r"giv(?:en|ing) up|permanent(?:ly)? (?:error|fail)|could not be delivered for|has been returned"
    r"|failed permanently"
    r"|will not (?:be )?(?:retr|continue)|no further|did not reach|undeliverable|too long"
    r"|retry time(?:out)? (?:exceeded|not reached)|unable to deliver your message after",
    re.IGNORECASE,
)


def decode_subject(message: Message) -> str:
    """Return the subject in clear text; as it stands where it cannot be decoded."""
    value = str(message.get("Subject", ""))
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return value


def looks_like_bounce(message: Message, subject: str) -> bool:
    """Tell whether a mail server wrote this: its sender, its subject or a header of failed recipients says so."""
    sender = str(message.get("From", ""))
    is_named = _BOUNCE_SUBJECT.search(subject) is not None
    return is_named or _DAEMON.search(sender) is not None or message.get("X-Failed-Recipients") is not None


def is_surely_bounce(message: Message, subject: str) -> bool:
    """Tell whether both the sender and the subject are a mail server's."""
    return _DAEMON.search(str(message.get("From", ""))) is not None and _BOUNCE_SUBJECT.search(subject) is not None


def returns_a_message(message: Message) -> bool:
    """Tell whether a message or its header is attached, as bounces have it, or nobody is to answer it."""
    is_null = str(message.get("Return-Path", "")).strip() == "<>"
    return is_null or any(part.get_content_type() in _RETURNED_TYPES for part in message.walk())


def own_words(message: Message) -> str:
    """Return what the server itself wrote: the text parts before any returned message, its copy cut off."""
    texts: list[str] = []
    for part in _parts_before_copy(message):
        text = part_text(part)[:_MAX_TEXT]
        if part.get_content_subtype() == "html":
            if texts and any(text.strip() for text in texts):
                continue  # the same once more
            text = _ANY_TAG.sub(" ", _TAG.sub("\n", text)).replace("&lt;", "<").replace("&gt;", ">")
        texts.append(text)
    joined = "\n".join(texts).replace("\r\n", "\n")
    copy = _COPY.search(joined)
    return joined[: copy.start()] if copy and copy.start() > 0 else joined


def _parts_before_copy(message: Message) -> Iterator[Message]:
    """Yield text parts of the report, never those inside a returned message."""
    pending = [message]
    while pending:
        part = pending.pop(0)
        if part.get_content_type() in _RETURNED_TYPES:
            continue
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            inner = part.get_payload()
            pending[:0] = [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []
        elif part.get_content_maintype() == "text":
            yield part


def telling_lines(text: str) -> str:
    """Return the lines with reply codes or words of cause, each with the two that follow; all where there are none."""
    lines = text.splitlines()
    kept: list[str] = []
    until = -1
    for number, line in enumerate(lines):
        if _REPLY_LINE.search(line):
            until = number + 2
        if number <= until and line.strip():
            kept.append(line.strip())
    return " ".join(kept) if kept else text


def list_addresses(text: str, *, but: frozenset[str]) -> list[str]:
    """Return the addresses in `text` in order, each once, without those in `but` (lower case)."""
    found = (address.rstrip(".").strip("'`") for address in _ADDRESS.findall(text))
    return list(dict.fromkeys(address for address in found if address.lower() not in but and not _is_server(address)))


def _is_server(address: str) -> bool:
    local = address.partition("@")[0].lower()
    return local in ("mailer-daemon", "postmaster", "abuse") or "#" in local


def addresses_of(message: Message, *names: str) -> frozenset[str]:
    """Return the addresses in the headers `names`, lower case."""
    values = " ".join(str(value) for name in names for value in message.get_all(name, []))
    return frozenset(address.lower() for address in _ADDRESS.findall(values))


def says_delayed(subject: str, text: str) -> bool:
    """Tell whether the server still tries."""
    both = f"{subject}\n{text[:3_000]}"
    if _DELAY_SURELY.search(both) is not None:
        return True
    return _DELAY.search(both) is not None and _GAVE_UP.search(both) is None
