"""What a report says about an address: verdict, reason, blame (INTERFACES: Vocabulary of bounces). Pure, never raises.

From the most authoritative form to the least: feedback report, delivery status, free text. Text beats code. The verdict
answers one question, "is the address dead?", so what cannot be told is soft, never hard.
"""

import email
import json
import logging
import re
from dataclasses import dataclass, field
from email.message import Message
from email.policy import compat32

from flufl.bounce import all_failures

from mailer.bounces import freetext, replies
from mailer.bounces.arf import Feedback, parse_arf
from mailer.bounces.dsn import RecipientReport, parse_dsn
from mailer.delivery.reasons import HARD_REASONS, Reason, blame_of, find_reason, reason_of_status, says_try_later
from mailer.statuses import Blame, Verdict

MAX_BYTES = 300_000  # the report stands before what it returns
_MAX_FLUFL_LINES = 1_500  # its detectors take a pattern to each line many times over
_EVIDENCE = 300
_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?:^|[\s:(<#=\"'>-])([45]\d\d)(?=[\s-])")
_WEAK = frozenset({Reason.POLICY, Reason.SYSTEM, Reason.CONTENT, Reason.PROTOCOL, Reason.EXPIRED, Reason.NETWORK})
_ORDER = (Verdict.HARD, Verdict.SOFT, Verdict.DELAYED, Verdict.NOT_BOUNCE)
_ABOUT_SENDER = re.compile(r"(?:after|in (?:reply|response) to) (?:end of )?mail from|>>> mail from", re.IGNORECASE)
_REMOTE = re.compile(r"\bsaid:|remote host said", re.IGNORECASE)
_CISCO = re.compile(r"\d\.\d\.\d - [\w /-]{3,60} (\d{3}-?'.*')", re.DOTALL)  # its own guess before the server's words
logging.getLogger("flufl.bounce").addHandler(logging.NullHandler())
logging.getLogger("flufl.bounce").propagate = False  # it logs whole tracebacks of its detectors on hostile input
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Classification:
    """A line of `mailer bounces classify`. `status` is an enhanced code or empty; `recipients` those that failed."""

    verdict: Verdict
    reason: str
    blame: Blame
    status: str = ""
    recipients: tuple[str, ...] = ()
    evidence: str = ""


@dataclass(frozen=True)
class _Judged:
    verdict: Verdict
    reason: Reason
    status: str
    evidence: str
    recipients: tuple[str, ...] = field(default=())

    def classified(self) -> Classification:
        return _classified(self.verdict, self.reason.value, blame_of(self.reason), self)


def _classified(verdict: Verdict, reason: str, blame: Blame, judged: _Judged) -> Classification:
    return Classification(verdict, reason, blame, judged.status, _clean_all(judged.recipients), _clean(judged.evidence))


def _clean(text: str) -> str:
    """Return `text` as every database takes it: no controls, no lone surrogates, not long."""
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).strip()[:_EVIDENCE]


def _clean_all(addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_clean(address) for address in addresses)


def _other(verdict: Verdict, reason: str, recipients: tuple[str, ...] = (), evidence: str = "") -> Classification:
    return Classification(verdict, reason[:60], Blame.UNKNOWN, "", _clean_all(recipients), _clean(evidence))


def classify_report(raw: bytes) -> Classification:
    """Return what the mail in `raw` says; `undetermined` where even that cannot be told."""
    try:
        return classify_message(email.message_from_bytes(raw[:MAX_BYTES], policy=compat32))
    except Exception as error:  # noqa: BLE001 - hostile input; the report is kept for a person
        return _other(Verdict.UNDETERMINED, "unreadable", evidence=type(error).__name__)


def classify_message(message: Message) -> Classification:
    """Return what a parsed mail says (policy compat32)."""
    subject = freetext.decode_subject(message)
    if (feedback := parse_arf(message)) is not None:
        return _by_feedback(feedback)
    if replies.is_dmarc_report(subject):
        return _other(Verdict.NOT_BOUNCE, "dmarc_report", evidence=subject)
    if reports := parse_dsn(message):
        return _by_dsn(message, subject, reports)
    if message.get_param("report-type") == "disposition-notification":
        return _other(Verdict.NOT_BOUNCE, "receipt", evidence=subject)
    text = freetext.own_words(message)
    if (notice := _by_amazon_notice(text)) is not None:
        return notice
    if freetext.looks_like_bounce(message, subject):
        return _by_text(message, subject, text)
    if replies.is_auto_reply(message, subject):
        return _other(Verdict.NOT_BOUNCE, "auto_reply", evidence=subject)
    if replies.asks_to_unsubscribe(subject, text):
        return _other(Verdict.UNSUBSCRIBE, "unsubscribe_mail", evidence=subject or text)
    return _by_fallback(message, subject, text)


def _by_feedback(feedback: Feedback) -> Classification:
    kind = feedback.kind
    if kind in ("opt-out", "opt-out-list"):
        return _other(Verdict.UNSUBSCRIBE, "feedback_opt_out", feedback.recipients, kind)
    if kind in ("not-spam", "auth-failure", "dmarc", "dkim-failure"):
        return _other(Verdict.NOT_BOUNCE, f"feedback_{kind.replace('-', '_')}", (), kind)
    return _other(Verdict.COMPLAINT, "feedback_abuse", feedback.recipients, kind)


# ---------------------------------------------------------------- delivery status


def _by_dsn(message: Message, subject: str, reports: list[RecipientReport]) -> Classification:
    text = freetext.own_words(message)
    judged = [_judge_recipient(report, text, alone=len(reports) == 1) for report in reports]
    worst = min(judged, key=lambda one: _ORDER.index(one.verdict))
    if worst.verdict is Verdict.NOT_BOUNCE:
        return _other(Verdict.NOT_BOUNCE, "delivered", evidence=subject)
    failed = [recipient for one in judged if one.verdict is not Verdict.NOT_BOUNCE for recipient in one.recipients]
    if not failed:
        failed = _addresses_in(message, text)
    everyone = tuple(dict.fromkeys(failed))
    return _Judged(worst.verdict, worst.reason, worst.status, worst.evidence, everyone).classified()


def _judge_recipient(report: RecipientReport, text: str, *, alone: bool) -> _Judged:
    recipients = (report.recipient,) if report.recipient else ()
    is_fine = report.status.startswith("2.") and report.action not in ("failed", "delayed")
    if report.action in ("delivered", "relayed", "expanded") or is_fine:
        return _Judged(Verdict.NOT_BOUNCE, Reason.UNKNOWN, report.status, report.diagnostic, recipients)
    said = report.diagnostic
    judged = _judge(said, report.status)
    if judged.reason is Reason.UNKNOWN or (judged.reason in _WEAK and judged.verdict is not Verdict.HARD):
        around = _lines_about(report.recipient, text, alone=alone)
        by_words = _judge(freetext.telling_lines(around), _status_in(said) or report.status)
        if by_words.reason is not Reason.UNKNOWN and (judged.reason is Reason.UNKNOWN or by_words.reason not in _WEAK):
            judged = by_words
    verdict = Verdict.DELAYED if report.action == "delayed" else judged.verdict
    return _Judged(verdict, judged.reason, judged.status or report.status, judged.evidence or said, recipients)


def _lines_about(recipient: str, text: str, *, alone: bool) -> str:
    """Return the words about one recipient: all of them where it is the only one."""
    if alone or not recipient:
        return text
    place = text.lower().find(recipient.lower())
    return text[place : place + 600] if place >= 0 else ""


# ---------------------------------------------------------------- words and codes


def _judge(text: str, status: str) -> _Judged:
    """Return the verdict of words and an enhanced code: the words first, the code where they say little."""
    text = _CISCO.sub(r"\1", text)
    status = _better_status(status, _status_in(text))
    by_text, by_code = find_reason(text), reason_of_status(status)
    reason = by_text or by_code
    if by_text in _WEAK and by_code is not Reason.UNKNOWN and by_code is not Reason.POLICY:
        reason = by_code
    if reason is Reason.UNKNOWN and text:
        reason = _by_three_digits(text)
    if reason in HARD_REASONS and _is_about_sender(reason, text, status):
        reason = Reason.SENDER_REFUSED
    verdict = Verdict.HARD if reason in HARD_REASONS else Verdict.SOFT
    if verdict is Verdict.HARD and _is_temporary(text, status):
        verdict = Verdict.SOFT
    return _Judged(verdict, reason, status, text)


def _is_about_sender(reason: Reason, text: str, status: str) -> bool:
    """Tell whether a dead-sounding reply is about us: it answers MAIL, or a server speaks of a domain not its own."""
    if _ABOUT_SENDER.search(text):
        return True
    is_remote = _REMOTE.search(text) is not None and not status.startswith(("5.1.", "5.4."))
    return reason is Reason.HOST_UNKNOWN and is_remote


def _is_temporary(text: str, status: str) -> bool:
    """Tell whether a dead-sounding reply was a temporary one: its code, or a wish for another try."""
    codes = _CODE.findall(text)
    if codes and all(code.startswith("4") for code in codes):
        return True
    if status.startswith("4.") and not codes:
        return True
    return says_try_later(text) and not status.startswith("5.1.1")


def _by_three_digits(text: str) -> Reason:
    """Return the reason of a bare code: only what RFC 5321, section 4.2.2 makes unmistakable."""
    codes = _CODE.findall(text)
    if "552" in codes:
        return Reason.MAILBOX_FULL
    return Reason.UNKNOWN


def _status_in(text: str) -> str:
    found = _STATUS.findall(text)
    return next((status for status in found if not status.endswith(".0.0")), found[0] if found else "")


def _better_status(first: str, second: str) -> str:
    """Return the more telling of two codes: that of the reply, where it says more than x.0.0."""
    if second and (not first or first.endswith(".0.0") or not second.endswith((".0", ".0.0"))):
        return second
    return first


# ---------------------------------------------------------------- free text


def _by_text(message: Message, subject: str, text: str) -> Classification:
    if not freetext.is_surely_bounce(message, subject) and _is_only_a_reply(message, subject, text):
        return _other(Verdict.NOT_BOUNCE, "auto_reply", evidence=subject)
    told = freetext.telling_lines(text)
    judged = _judge(told, "")
    if judged.reason is Reason.UNKNOWN or judged.reason in _WEAK:
        wider = _judge(text, judged.status)
        judged = wider if wider.reason is not Reason.UNKNOWN and wider.reason not in _WEAK else judged
    if judged.reason is Reason.UNKNOWN:
        by_subject = _judge(subject, judged.status)
        judged = by_subject if by_subject.reason is not Reason.UNKNOWN else judged
    recipients = tuple(_addresses_in(message, text))
    verdict = judged.verdict
    if freetext.says_delayed(subject, text):
        verdict = Verdict.DELAYED
    return _Judged(verdict, judged.reason, judged.status, judged.evidence, recipients).classified()


def _is_only_a_reply(message: Message, subject: str, text: str) -> bool:
    return replies.is_auto_reply(message, subject) and not _has_failure_words(text)


_FAILURE = re.compile(
    r"not (?:be )?delivered|undeliver|permanent|user unknown|could not|unable to|returned|failed", re.IGNORECASE
)


def _has_failure_words(text: str) -> bool:
    return _FAILURE.search(text[:3_000]) is not None


def _addresses_in(message: Message, text: str) -> list[str]:
    """Return who failed: the header that says so, else addresses in the words that are not ours or the server's."""
    named = freetext.addresses_of(message, "X-Failed-Recipients")
    if named:
        return sorted(named)
    ours = freetext.addresses_of(message, "To", "From", "Delivered-To", "Reply-To", "Return-Path", "Cc")
    found = freetext.list_addresses(text, but=ours)
    return found or _flufl_addresses(message)


def _flufl_addresses(message: Message) -> list[str]:
    if (
        sum(str(part.get_payload()).count("\n") for part in message.walk() if not part.is_multipart())
        > _MAX_FLUFL_LINES
    ):
        return []
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # noqa: BLE001 - a detector for each of many formats, on hostile input
        return []
    return sorted(address.decode("utf-8", "replace") for address in temporary | permanent)


def _by_fallback(message: Message, subject: str, text: str) -> Classification:
    """Judge what nobody announced as a bounce: flufl.bounce knows formats that we do not."""
    if not _has_failure_words(text):
        return _other(Verdict.NOT_BOUNCE, "other_mail", evidence=subject)
    if freetext.returns_a_message(message) or _flufl_addresses(message):
        return _by_text(message, subject, text)
    return _other(Verdict.NOT_BOUNCE, "other_mail", evidence=subject)


_AMAZON_KINDS = {"Delivery": Verdict.NOT_BOUNCE, "Complaint": Verdict.COMPLAINT}


def _by_amazon_notice(text: str) -> Classification | None:
    """Return the verdict of a notification of Amazon SES that came by mail, as JSON; None where it is none."""
    if '"notificationType"' not in text[:2_000]:
        return None
    try:
        notice, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
        kind = str(notice["notificationType"])
        if kind in _AMAZON_KINDS:
            return _other(_AMAZON_KINDS[kind], f"amazon_{kind.lower()}", evidence=kind)
        failed = notice["bounce"]["bouncedRecipients"]
        recipients = tuple(str(one["emailAddress"]) for one in failed)
        judged = _judge(str(failed[0].get("diagnosticCode", "")), str(failed[0].get("status", "")))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None
    return _Judged(judged.verdict, judged.reason, judged.status, judged.evidence, recipients).classified()
