"""The words that a mail server wrote itself, without the copy of our mail that it returns. Pure, never raises."""

import re
from collections.abc import Iterator

from mailer.bounces.mail import Part

_MAX_TEXT = 20_000
RETURNED_TYPES = frozenset(
    {
        "message/rfc822", "message/global", "text/rfc822-headers", "text/rfc822", "message/rfc822-headers",
        "message/global-headers", "message/partial",
    }
)  # fmt: skip
# Where the copy of our own mail begins: its words must not be read as the server's.
_COPY = re.compile(
    r"^[-=*_#>~ \t]{0,60}[^\n]{0,50}?(?:original (?:message|mail)(?! was| to| received| has| could| is| you)"
    r"|(?<!receive a )copy of (?:the|your) (?:\w+ )?(?:message|mail|header)"
    r"|message follows|(?:unsent|returned|undelivered|undeliverable|failed|bounced) message(?: (?:follows"
    r"|below|header|text))?(?=[ \t]{0,9}(?:[-=:*_#]|$))"
    r"|header and top|headers? (?:of|follow)|message headers?|your message (?:reads|follows)"
    r"|text of (?:the|your) message|forwarded message|below this line|rest of (?:the|your) message)"
    r"[^\n]*$"
    r"|^(?:Received|Return-Path): ?(?:from|by|\(|<|$)"
    r"|^[ >]*(?:Received|Return-Path|Message-I[Dd]|MIME-Version|DKIM-Signature"
    r"|X-Mailer): [^\n]*\n[ >]*[A-Z][A-Za-z-]+: ",
    re.MULTILINE | re.IGNORECASE,
)
_TAG = re.compile(r"<(?:br|p|div|tr|li|h\d)\b[^>]*>", re.IGNORECASE)
_STYLE = re.compile(r"<(style|script|head)\b.{0,20000}?</\1>", re.IGNORECASE | re.DOTALL)
_ANY_TAG = re.compile(r"<(?:/?[a-z][a-z0-9]*\b[^<>@]*|!--[^>]{0,500}?--)>", re.IGNORECASE | re.DOTALL)
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&nbsp;", " "), ("&#39;", "'"), ("&amp;", "&"))
# What an Exchange server tells of our mail: its subject is ours, not the server's.
_OURS = re.compile(
    r"^[ \t]*(?:subject|betreff|objet|asunto|oggetto|onderwerp|件名|assunto)[ \t]*:.*$", re.IGNORECASE | re.MULTILINE
)
_OURS_KEYS = ("ubject", "ubjet", "etreff", "bjet", "sunto", "ggetto", "nderwerp", "件名", "ssunto")
_REPLY_LINE = re.compile(
    r"(?:^|[\s:(<#=\"'>])(?:[45]\d\d[ -](?![\d/:.])|[45]\d\d[ -]?#?[45]\.\d{1,3}\.\d{1,3}|#?[45]\.\d\.\d{1,3}\b)"
    r"|\bsaid\b"
)
_REPLY_KEYS = ("4", "5", "said")
_CAUSES = (
    "remote host", "reason", "diagnos", "error", "because", "grund", "raison", "motivo", "causa", "理由", "fehler",
    "erreur",
)  # fmt: skip


def own_words(mail: Part) -> str:
    """Return what the server itself wrote: the text parts before any returned message, its copy cut off."""
    texts: list[str] = []
    for part in mail.walk():
        if part.content_type in RETURNED_TYPES:
            break
        if part.content_type == "text/plain" and not part.parts:
            texts.append(part.text[:_MAX_TEXT])
        elif part.content_type == "text/html" and not any(text.strip() for text in texts):
            texts.append(plain_of(part.text[:_MAX_TEXT]))
        elif part.content_type.startswith("multipart/") and not part.parts:
            texts.append(part.body[:_MAX_TEXT])  # its boundaries are gone
    joined = _without_told_fields("\n".join(texts))
    words = joined[: find_copy(joined)]
    return _OURS.sub("", words) if any(key in words for key in _OURS_KEYS) else words


# "A message you sent with the following header fields:", and below the fields what happened to it.
_TOLD_FIELDS = re.compile(
    r"(header fields:[ \t]{0,9}\n(?:[ \t]{0,9}\n){0,3})"
    r"(?:[ \t]{1,9}[\w-]{1,40}:[^\n]{0,500}\n){1,20}(?=[ \t]{0,9}\n\S)",
    re.IGNORECASE,
)


def _without_told_fields(text: str) -> str:
    return _TOLD_FIELDS.sub(r"\1", text) if "eader fields:" in text else text


_COPY_KEYS = (
    "original m", "copy of", "follow", "unsent message", "returned message", "undelivered message",
    "undeliverable message", "failed message", "bounced message", "header", "message reads", "text of",
    "forwarded message", "below this", "rest of", "received:", "return-path:", "message-id: ", "mime-version: ",
    "dkim-sig", "x-mailer: ",
)  # fmt: skip
"""In lower case; one stands in each line that _COPY matches."""
_ASCII_LOWER = {sign: sign + 32 for sign in range(ord("A"), ord("Z") + 1)}


def find_copy(text: str) -> int | None:
    """Return where the copy of our mail begins, None where there is none but at the very beginning."""
    lowered = text.lower()
    if len(lowered) != len(text):  # some letters become two
        lowered = text.translate(_ASCII_LOWER)
    begins = {begin for key in _COPY_KEYS for begin in _iter_lines_with(key, lowered)}
    return next((begin for begin in sorted(begins) if begin > 0 and _COPY.match(text, begin)), None)


def _iter_lines_with(key: str, text: str) -> Iterator[int]:
    """Yield where each line with `key` begins."""
    at = text.find(key)
    while at >= 0:
        yield text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        at = text.find(key, end) if end >= 0 else -1


def plain_of(html: str) -> str:
    """Return the text of a page, a line for each block."""
    text = _ANY_TAG.sub(" ", _TAG.sub("\n", _STYLE.sub(" ", html)))
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    return text


def telling_lines(text: str) -> str:
    """Return the lines with reply codes or words of cause, each with the two that follow; all where there are none."""
    kept: list[str] = []
    until = -1
    for number, line in enumerate(text.splitlines()):
        if _is_telling(line.lower()):
            until = number + 2
        if number <= until and line.strip():
            kept.append(line.strip())
    return " ".join(kept) if kept else text


def _is_telling(line: str) -> bool:
    if any(cause in line for cause in _CAUSES):
        return True
    return any(key in line for key in _REPLY_KEYS) and _REPLY_LINE.search(line) is not None


# ------------------------------------------------------------------ is it from a mail server at all?

_DAEMON = re.compile(
    r"mailer-?daemon|postmaster|mail ?deliver|mail[ -]?system|mdaemon|bounce|mail administrator"
    r"|system administrator|systemadministrator|mail-?subsystem|internet mail|mailgate|daemon@|microsoft ?exchange"
    r"|administrateur|administrador|amministratore|mail ?transport|mail ?router|mail ?server|mta-?|e-?mail ?gateway"
    r"|notification|no-?reply|delivery|returned|security gateway|fml|majordomo",
    re.IGNORECASE,
)
_SURE_DAEMON = re.compile(
    r"mailer-?daemon|post[-_]?master|mail ?deliver|mail delivery|mdaemon|systemadministrator|system administrator"
    r"|microsoftexchange",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"^\s*(?:re|aw|sv|vs|fw|fwd|wg|tr|rv|antw|odp|res?p?)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|loop alert|mail loop|deliver(?:y|ing)? (?:status|fail|problem|report|error|has failed|incomplete"
    r"|delay|notif)"
    r"|fail(?:ed|ure) (?:notice|delivery|to deliver|mail|sending|recipient)|returned (?:mail|to sender|message|e-?mail)"
    r"|mail (?:delivery|system|status) ?(?:fail|error|problem|warning|report)?|delivery (?:notification|subsystem)"
    r"|could ?n[o']t? (?:be )?(?:deliver|sen[dt])|not (?:be )?delivered|mail (?:could )?not|nondeliverable"
    r"|non-?deliver|can(?:no|')t (?:be )?(?:deliver|sen[dt])|undelivered|delayed mail|warning: (?:could|message)"
    r"|message (?:delayed|status|you sent|undeliver|not deliver|rejected|blocked|bounced|returned)|\bbounced?\b"
    r"|mail (?:failure|error|bounced|returned|refused|rejected)|\brejected\b|permanent error|user unknown|unknown user"
    r"|sendmail error|problems? (?:with|deliver)|recipient unknown|invalid (?:recipient|address)|mailbox (?:full"
    r"|unavailable)"
    r"|non remis|[ée]chec (?:de|d')|non-?remise|unzustellbar|fehlgeschlagen|nicht zugestellt|nicht zustellbar"
    r"|r[üu]ckl[äa]ufer"
    r"|zustell(?:ung|fehler|ungs)|no se (?:ha )?pud|no entregad|no se entreg|devuelto|devolvido|n[ãa]o (?:foi )?entreg"
    r"|falha n|mancato recapito|non recapitat|impossibile recapitare|onbestelbaar|niet (?:bezorgd|afgeleverd)"
    r"|kan inte leverer|kunde inte lever|kunne ikke lever|ikke leveret|olevererbar|ej leverer|не доставлен"
    r"|недоставлен|не удалось"
    r"|配信(?:不能|できません|エラー|失敗)|送信(?:できません|エラー|失敗)|エラーメール|退信|无法投递|投递失败"
    r"|niedostarcz|nie dostarcz|teslim edilemedi"
    r"|kézbesíthetetlen|nedoručiteln",
    re.IGNORECASE,
)


def is_answer(subject: str) -> bool:
    """Tell whether a subject is that of an answer: "Re:" in any language."""
    return _ANSWER.match(subject) is not None


def looks_like_bounce(mail: Part, text: str) -> bool:
    """Tell whether a mail server wrote this: its sender says so, or a header of failed recipients.

    A subject alone does not: people write about bounces, too. It counts with a mark that a person's mail does not have.
    """
    if "x-failed-recipients" in mail or _SURE_DAEMON.search(mail.get("from")) is not None:
        return True
    if is_answer(mail.subject) or _BOUNCE_SUBJECT.search(mail.subject) is None:
        return False
    is_automatic = mail.get("auto-submitted").lower().startswith("auto") or _DAEMON.search(mail.get("from")) is not None
    if is_automatic or returns_a_message(mail) or len(mail.parts) > 1:
        return True
    return _SERVERS_LINE.search(text) is not None or find_copy(mail.text[:_MAX_TEXT]) is not None


# A reply, a command or an address at the beginning of a line, as no person writes it.
_SERVERS_LINE = re.compile(
    r"^[ \t]*(?:[45]\d\d[ -]|>>> |<<< |<?\S+@\S+>?:?[ \t]*$)|\b[45]\d\d[ -]#?[45]\.\d\.\d|remote host said"
    r"|said: [45]\d\d",
    re.IGNORECASE | re.MULTILINE,
)


def may_be_bounce(mail: Part, text: str) -> bool:
    """Tell whether a program sent this that may be a mail server, and it speaks of failure."""
    return _DAEMON.search(mail.get("from")) is not None and not is_answer(mail.subject) and has_failure_words(text)


def is_surely_bounce(mail: Part) -> bool:
    """Tell whether both the sender and the subject are a mail server's."""
    return _SURE_DAEMON.search(mail.get("from")) is not None and _BOUNCE_SUBJECT.search(mail.subject) is not None


def returns_a_message(mail: Part) -> bool:
    """Tell whether a message or its header is attached, as bounces have it, or nobody is to answer it."""
    return mail.get("return-path") == "<>" or any(part.content_type in RETURNED_TYPES for part in mail.walk())


_FAILURE = re.compile(
    r"not (?:be )?(?:been )?(?:delivered|sent)|undeliver|permanent|user unknown|unknown user|could not|couldn't"
    r"|unable to"
    r"|returned|failed|failure|rejected|bounced|can(?:no|')t be|no such|does not exist|over quota"
    r"|mailbox (?:is )?full|\b5\d\d[ -]"
    r"|zugestellt|unzustellbar|remis|entreg|recapit|bezorgd|leverer|доставлен|できません|配信|投递",
    re.IGNORECASE,
)


def has_failure_words(text: str) -> bool:
    """Tell whether a text speaks of mail that did not arrive."""
    return _FAILURE.search(text[:3_000]) is not None
