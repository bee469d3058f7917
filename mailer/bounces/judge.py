"""What words and codes of a mail server say about an address: verdict, reason, enhanced code. Pure, never raises.

Text beats code: a code is often a default of the software, while the sentence beside it was written for the case. Words
that could mean anything (refused, policy, error) give way to a code that says more (RFC 3463). What cannot be told is
soft: a false "hard" loses a customer.
"""

import re
from dataclasses import dataclass

from mailer.delivery.reasons import HARD_REASONS, Reason, find_reason, reason_of_status, says_try_later
from mailer.statuses import Verdict

WEAK = frozenset(
    {
        Reason.POLICY,
        Reason.SYSTEM,
        Reason.CONTENT,
        Reason.PROTOCOL,
        Reason.EXPIRED,
        Reason.NETWORK,
        Reason.MAILBOX_REFUSES,
    }
)
# Each begins with its digit, so that a search skips to the next; what stands before it is looked at then.
_STATUS = re.compile(r"[45](?<![\d.].)\.\d{1,3}\.\d{1,3}(?![\d.])")
_CODE = re.compile(r"[45](?<![^\s:(<#=\"'>-].)\d\d(?=[\s-])")
_ABOUT_SENDER = re.compile(r"(?:after|in (?:reply|response) to) (?:end of )?mail from|>>> mail from", re.IGNORECASE)
_REMOTE = re.compile(r"\bsaid:|remote host said", re.IGNORECASE)
_CISCO = re.compile(r"\d\.\d\.\d - [\w /-]{3,60} (\d{3}-?'.*')", re.DOTALL)  # its own guess before the server's words
_CONSEQUENCE = re.compile(  # of every recipient having been refused, whatever the reason
    r"\b5(?:03|54)[ -](?:#?5\.5\.[01] )?(?:\w+: )?(?:no valid recipients?|valid rcpt command|need (?:a )?rcpt"
    r"|rcpt first)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Judged:
    """A verdict on words; `status` is an enhanced code or empty, `evidence` the words."""

    verdict: Verdict
    reason: Reason
    status: str
    evidence: str

    @property
    def is_weak(self) -> bool:
        """Whether other words may know better."""
        return self.reason is Reason.UNKNOWN or (self.reason in WEAK and self.verdict is not Verdict.HARD)


def judge(text: str, status: str) -> Judged:
    """Return the verdict of words and an enhanced code: the words first, the code where they say little."""
    text = _CONSEQUENCE.sub(" ", _CISCO.sub(r"\1", text) if "-'" in text else text)
    status = _better_status(status, status_in(text))
    reason = _pick(find_reason(text), reason_of_status(status))
    if reason is Reason.UNKNOWN and "552" in _CODE.findall(text):
        reason = Reason.MAILBOX_FULL  # the one bare code that is unmistakable (RFC 5321, section 4.2.2)
    if reason in HARD_REASONS and (status.endswith((".1.7", ".1.8")) or _is_about_sender(reason, text, status)):
        reason = Reason.SENDER_REFUSED
    verdict = Verdict.HARD if reason in HARD_REASONS else Verdict.SOFT
    if verdict is Verdict.HARD and is_temporary(text, status):
        verdict = Verdict.SOFT
    return Judged(verdict, reason, status, text)


def judge_best(texts: tuple[str, ...], status: str = "") -> Judged:
    """Return the verdict of the first text that says something; each is wider than the one before."""
    judged = judge(texts[0], status)
    for text in texts[1:]:
        if not judged.is_weak:
            break
        wider = judge(text, judged.status)
        if wider.reason is not Reason.UNKNOWN and (judged.reason is Reason.UNKNOWN or not wider.is_weak):
            judged = wider
    return judged


def _pick(by_text: Reason | None, by_code: Reason) -> Reason:
    if by_text is None:
        return by_code
    if by_text in WEAK and by_code not in (Reason.UNKNOWN, Reason.POLICY):
        return by_code
    return by_text


def _is_about_sender(reason: Reason, text: str, status: str) -> bool:
    """Tell whether a dead-sounding reply is about us: it answers MAIL, or a server speaks of a domain not its own."""
    if _ABOUT_SENDER.search(text):
        return True
    if reason is not Reason.HOST_UNKNOWN:
        return False
    return _REMOTE.search(text) is not None and not status.startswith(("5.1.", "5.4."))


def is_temporary(text: str, status: str) -> bool:
    """Tell whether a dead-sounding reply was a temporary one: its code, or a wish for another try."""
    codes = _CODE.findall(text)
    if codes and all(code.startswith("4") for code in codes):
        return True
    if status.startswith("4.") and not codes:
        return True
    return says_try_later(text) and not status.startswith("5.1.1")


def status_in(text: str) -> str:
    """Return the most telling enhanced code in a text, empty where there is none."""
    found = _STATUS.findall(text)
    return next((status for status in found if not status.endswith(".0.0")), found[0] if found else "")


def _better_status(first: str, second: str) -> str:
    """Return the more telling of two codes: that of the reply, where it says more than x.0.0."""
    if second and (not first or first.endswith(".0.0") or not second.endswith((".0", ".0.0"))):
        return second
    return first
