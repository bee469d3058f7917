"""SMTP replies as values, and what is to be done about each (RFC 5321, section 4.2; RFC 3463; RFC 2034). Pure.

Two questions are kept apart: what happens to this mail (`NextStep`), and whose fault it was (`Blame`). A reply that
blames the sender or its rate never counts against a contact.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from mailer.delivery.reasons import HARD_REASONS, Reason, blame_of, find_reason, reason_of_status, says_try_later
from mailer.statuses import Blame

MAX_TEXT = 1_000


class Phase(StrEnum):
    """What the server was answering. `local`: nothing was sent, the client refused by itself."""

    LOCAL = "local"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    RSET = "rset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


class Reply(NamedTuple):
    """One reply. `enhanced` is empty where the server gave none; `text` is one line without codes and controls."""

    code: int
    enhanced: str
    text: str
    phase: Phase
    lines: tuple[str, ...] = ()


class NextStep(StrEnum):
    """What happens to the mail, or to the sending, after a reply."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REJECT_ADDRESS = "reject_address"
    REJECT_MAILBOX = "reject_mailbox"
    SENDER_POLICY = "sender_policy"
    CONTENT = "content"
    THROTTLE = "throttle"


class ReplyVerdict(NamedTuple):
    """`is_permanent`: the same try will fail again, so the mail has failed; else it goes back with a `not_before`."""

    step: NextStep
    blame: Blame
    reason: Reason
    is_permanent: bool


_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?=[\s:;,#)\]-]|$)[:;,]?\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_THROTTLE_CODES = (421, 454)
_AUTH_CODES = (530, 534, 535, 538)  # RFC 4954, section 6
_STEPS = {
    Blame.ADDRESS: NextStep.REJECT_ADDRESS,
    Blame.MAILBOX: NextStep.REJECT_MAILBOX,
    Blame.CONTENT: NextStep.CONTENT,
    Blame.POLICY: NextStep.SENDER_POLICY,
    Blame.SENDER: NextStep.SENDER_POLICY,
    Blame.THROTTLE: NextStep.THROTTLE,
    Blame.NETWORK: NextStep.RETRY,
}
_ACCEPTED = ReplyVerdict(NextStep.ACCEPTED, Blame.UNKNOWN, Reason.UNKNOWN, is_permanent=False)
_SESSION_PHASES = (Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH)


def parse_reply_text(lines: list[bytes], phase: Phase) -> Reply:
    """Return the reply in `lines`, each with its three digits; the caller has checked their form."""
    texts = [line[4:].decode("utf-8", "replace").strip() for line in lines]
    parts, enhanced = [], ""
    for text in texts:
        found = _ENHANCED.match(text)
        if found:
            enhanced = enhanced or found[1]
            text = text[found.end() :]  # noqa: PLW2901 - the code stands on each line (RFC 2034)
        parts.append(text)
    shown = _CONTROL.sub(" ", " ".join(parts)).strip()[:MAX_TEXT]
    return Reply(int(lines[-1][:3]), enhanced, shown, phase, tuple(texts))


def classify_reply(code: int, enhanced: str, text: str, phase: Phase) -> ReplyVerdict:
    """Return what a reply means. Total: every code and text has an answer.

    Text comes before the enhanced code, the enhanced code before the three digits. 4yz never ends a mail; 421, 454 and
    4.7.x slow the sending down. 5.7.x is the sender's matter unless the words say that there is no such mailbox.
    """
    if 200 <= code < 300:  # noqa: PLR2004 - 2yz, RFC 5321, section 4.2.1
        return _ACCEPTED
    if phase in _SESSION_PHASES:
        return _session_refused(code, text)
    reason = _find_reason(enhanced, text, phase)
    if code < 500:  # noqa: PLR2004 - 4yz
        return _temporary(code, enhanced, reason)
    return _permanent(code, text, reason, phase)


def _find_reason(enhanced: str, text: str, phase: Phase) -> Reason:
    """Return the reason by text, then by enhanced code."""
    by_status = reason_of_status(enhanced)
    by_text = find_reason(text)
    if by_text is None or by_text in _WEAK:
        return by_status if by_status is not Reason.UNKNOWN else by_text or Reason.UNKNOWN
    if by_text in HARD_REASONS and phase is Phase.MAIL:
        return Reason.SENDER_REFUSED  # "domain not found" about our own envelope sender
    return by_text


_WEAK = frozenset({Reason.POLICY, Reason.SYSTEM, Reason.CONTENT, Reason.PROTOCOL})  # words too common to beat a code


def _session_refused(code: int, text: str) -> ReplyVerdict:
    """Judge a refusal before any mail was named: never the contact's fault, never final for a mail."""
    reason = find_reason(text) or Reason.UNKNOWN
    if code in _THROTTLE_CODES or reason in (Reason.THROTTLED, Reason.GREYLISTED):
        return ReplyVerdict(NextStep.THROTTLE, Blame.THROTTLE, Reason.THROTTLED, is_permanent=False)
    if code < 500:  # noqa: PLR2004 - 4yz
        return ReplyVerdict(NextStep.RETRY, Blame.NETWORK, Reason.SYSTEM, is_permanent=False)
    reason = reason if blame_of(reason) is Blame.SENDER else Reason.SENDER_REFUSED
    return ReplyVerdict(NextStep.SENDER_POLICY, Blame.SENDER, reason, is_permanent=False)


def _temporary(code: int, enhanced: str, reason: Reason) -> ReplyVerdict:
    if code in _THROTTLE_CODES or enhanced.startswith("4.7.") or blame_of(reason) is Blame.THROTTLE:
        kept = reason if blame_of(reason) in (Blame.THROTTLE, Blame.SENDER) else Reason.THROTTLED
        return ReplyVerdict(NextStep.THROTTLE, Blame.THROTTLE, kept, is_permanent=False)
    return ReplyVerdict(NextStep.RETRY, blame_of(reason), reason, is_permanent=False)


def _permanent(code: int, text: str, reason: Reason, phase: Phase) -> ReplyVerdict:
    if reason in HARD_REASONS and says_try_later(text):
        return ReplyVerdict(NextStep.RETRY, Blame.UNKNOWN, Reason.UNKNOWN, is_permanent=False)
    if blame_of(reason) is Blame.THROTTLE:
        return ReplyVerdict(NextStep.THROTTLE, Blame.THROTTLE, reason, is_permanent=False)
    if code in _AUTH_CODES or (phase is Phase.MAIL and blame_of(reason) not in (Blame.CONTENT, Blame.POLICY)):
        kept = reason if blame_of(reason) is Blame.SENDER else Reason.SENDER_REFUSED
        return ReplyVerdict(NextStep.SENDER_POLICY, Blame.SENDER, kept, is_permanent=True)
    if reason is Reason.UNKNOWN:
        return _by_phase(phase)
    step = NextStep.REJECT_MAILBOX if blame_of(reason) is Blame.NETWORK else _STEPS[blame_of(reason)]
    return ReplyVerdict(step, blame_of(reason), reason, is_permanent=True)


def _by_phase(phase: Phase) -> ReplyVerdict:
    """Judge 5yz without a reason that we know: by what was being answered; nobody's address dies of it."""
    if phase in (Phase.DATA, Phase.BODY, Phase.DOT):
        return ReplyVerdict(NextStep.CONTENT, Blame.CONTENT, Reason.CONTENT, is_permanent=True)
    return ReplyVerdict(NextStep.REJECT_MAILBOX, Blame.UNKNOWN, Reason.UNKNOWN, is_permanent=True)


_QUEUE_IDS = (
    re.compile(r"queued as ([\w.@+-]{4,120})", re.IGNORECASE),
    re.compile(r"\bid=([\w.@+-]{4,120})", re.IGNORECASE),
    re.compile(r"<([^<>\s]{4,200})> *\[internalid=", re.IGNORECASE),
    re.compile(r"^ok:? ([0-9a-f]{16}-[0-9a-f-]{20,60})", re.IGNORECASE),
    re.compile(r"message (?:accepted|queued)[^\w]+(?:as |for delivery )?([\w.@+-]{8,120})$", re.IGNORECASE),
    re.compile(r"^(?:ok:? )?([0-9a-zA-Z][\w.@+-]{13,119})$"),
)


def parse_relay_id(text: str) -> str:
    """Return the id that a relay gave the mail in its 250 reply, empty where it gave none.

    Relays such as Amazon SES replace the Message-ID; this id is then what their bounces and events name.
    """
    for pattern in _QUEUE_IDS:
        found = pattern.search(text.strip())
        if found:
            return found[1]
    return ""
