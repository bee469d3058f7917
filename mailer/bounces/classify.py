"""What a report says about an address: verdict, reason, blame (INTERFACES: Vocabulary of bounces). Pure, never raises.

Detectors from the standard to the heuristic: feedback report (RFC 5965), domain report, receipt (RFC 8098), delivery
status (RFC 3464), a provider's notice, then words: those of a program that answers for a person (RFC 3834), of somebody
who wants to leave, of a mail server. The verdict answers one question, "is the address dead?", so what cannot be told
is soft, never hard.
"""

import re
from dataclasses import dataclass, replace

from mailer.bounces import amazon, autoreply, notice, unsubscribes
from mailer.bounces.arf import Feedback, parse_arf
from mailer.bounces.delays import says_delayed, says_delayed_surely
from mailer.bounces.dsn import RecipientReport, parse_dsn
from mailer.bounces.judge import Judged, judge, judge_best, status_in
from mailer.bounces.mail import MAX_BYTES, Part, read_mail
from mailer.bounces.recipients import find_recipients, find_sender
from mailer.bounces.words import Kind
from mailer.delivery.reasons import Reason, blame_of
from mailer.statuses import Blame, Verdict

__all__ = ["MAX_BYTES", "Classification", "classify_mail", "classify_report"]
_EVIDENCE = 300
_MAX_ADDRESS = 320
_ORDER = (Verdict.HARD, Verdict.SOFT, Verdict.DELAYED, Verdict.NOT_BOUNCE)
_FINE = ("delivered", "relayed", "expanded", "deliverable")
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


def classify_report(raw: bytes) -> Classification:
    """Return what the mail in `raw` says; `undetermined` where even that cannot be told."""
    return classify_mail(read_mail(raw))


def classify_mail(mail: Part) -> Classification:
    """Return what a mail says that was read already."""
    try:
        return _classify(mail)
    except Exception as error:  # noqa: BLE001 - hostile input; the report is kept for a person
        return _other(Verdict.UNDETERMINED, Kind.UNREADABLE, evidence=type(error).__name__)


def _classify(mail: Part) -> Classification:
    if (feedback := parse_arf(mail)) is not None:
        return _by_feedback(feedback)
    if autoreply.is_domain_report(mail):
        return _other(Verdict.NOT_BOUNCE, Kind.DOMAIN_REPORT, evidence=mail.subject)
    if autoreply.is_receipt(mail):
        return _other(Verdict.NOT_BOUNCE, Kind.RECEIPT, evidence=mail.subject)
    text = notice.own_words(mail)
    if reports := parse_dsn(mail):
        return _by_dsn(mail, text, reports)
    if (found := amazon.parse_notice(text)) is not None:
        return _by_amazon(found)
    return _by_words(mail, text)


def _by_words(mail: Part, text: str) -> Classification:
    """Judge a mail without machine-readable parts: whose words are these?"""
    is_servers = notice.looks_like_bounce(mail, text) or notice.may_be_bounce(mail, text)
    if not notice.is_surely_bounce(mail):
        if not is_servers and unsubscribes.asks_by_mailto(mail):
            return _other(Verdict.UNSUBSCRIBE, Kind.UNSUBSCRIBE_MAIL, find_sender(mail), mail.subject)
        if (not is_servers or _only_answers(mail, text)) and autoreply.is_auto_reply(mail, text):
            return _other(Verdict.NOT_BOUNCE, Kind.AUTO_REPLY, evidence=mail.subject)
    if is_servers or _tells_of_failure(mail, text):
        return _by_notice(mail, text)
    if unsubscribes.asks_to_unsubscribe(mail, text):
        return _other(Verdict.UNSUBSCRIBE, Kind.UNSUBSCRIBE_MAIL, find_sender(mail), mail.subject or text)
    return _other(Verdict.NOT_BOUNCE, Kind.OTHER_MAIL, evidence=mail.subject)


def _only_answers(mail: Part, text: str) -> bool:
    """Tell whether a mail that may be a server's is an answer after all: it says so, and speaks of no failure."""
    return autoreply.is_named_auto_reply(mail) or not notice.has_failure_words(text)


_TELLS = re.compile(
    r"(?:message|mail|e-?mail|delivery)(?: \S+){0,12} (?:could not|can ?not|was not|wasn't|couldn't"
    r"|unable to) be(?:en)? deliver"
    r"|(?:could not|can ?not|couldn't|unable to|failed to) (?:be )?deliver(?:ed)? (?:\S+ ){0,6}(?:message|mail|to)"
    r"|returned to (?:the )?sender"
    r"|did not reach|(?:^|\n)[ \t<]*\S+@\S+>?:?[ \t]*\n?[ \t]*[45]\d\d |undeliverable|message loop|loop alert"
    r"|has been (?:rejected|bounced|returned)"
    r"|unzustellbar|n'a pas pu [êe]tre|no (?:ha podido|pudo) ser entreg|n[ãa]o (?:p[ôo]de|foi) .{0,20}entreg"
    r"|配信できません",
    re.IGNORECASE,
)


_REPLY = re.compile(r"^[ \t]*5\d\d[ -]", re.MULTILINE)


def _tells_of_failure(mail: Part, text: str) -> bool:
    """Tell whether a mail that nobody announced as a bounce is one: by its words, or by what it returns."""
    if not notice.has_failure_words(text):
        return False
    if notice.is_answer(mail.subject) and "in-reply-to" in mail and not notice.returns_a_message(mail):
        return _REPLY.search(text) is not None  # some gateways answer
    return notice.returns_a_message(mail) or _TELLS.search(text[:3_000]) is not None


# ------------------------------------------------------------------ the standards


def _by_feedback(feedback: Feedback) -> Classification:
    kind = feedback.kind
    if kind in ("opt-out", "opt-out-list"):
        return _other(Verdict.UNSUBSCRIBE, Kind.FEEDBACK_OPT_OUT, feedback.recipients, kind)
    if kind in ("not-spam", "auth-failure", "dmarc", "dkim-failure"):
        reason = Kind.FEEDBACK_NOT_SPAM if kind == "not-spam" else Kind.DOMAIN_REPORT
        return _other(Verdict.NOT_BOUNCE, reason, feedback.recipients if kind == "not-spam" else (), kind)
    return _other(Verdict.COMPLAINT, Kind.FEEDBACK_ABUSE, feedback.recipients, kind)


def _by_dsn(mail: Part, text: str, reports: list[RecipientReport]) -> Classification:
    judged = _judge_recipients(mail, text, reports)
    worst = min((said for _, said in judged), key=lambda said: _ORDER.index(said.verdict))
    if worst.verdict is Verdict.NOT_BOUNCE:
        reached = tuple(dict.fromkeys(one.recipient for one in reports if one.recipient))
        return _other(Verdict.NOT_BOUNCE, Kind.DELIVERED, reached, mail.subject)
    failed = [one for one, said in judged if said.verdict is not Verdict.NOT_BOUNCE]
    named = dict.fromkeys(address for one in failed for address in (one.recipient, one.original_recipient) if address)
    recipients = tuple({address.lower(): address for address in named}.values()) or find_recipients(mail, text)
    return _of(worst, recipients)


def _judge_recipients(mail: Part, text: str, reports: list[RecipientReport]) -> list[tuple[RecipientReport, Judged]]:
    is_warning = says_delayed_surely(mail.subject, text)
    judged = []
    for report in reports:
        said = _judge_recipient(report, text, alone=len(reports) == 1)
        still_tries = is_warning or _still_tries(report, text, mail.subject)
        if said.verdict is not Verdict.NOT_BOUNCE and still_tries:
            said = replace(said, verdict=Verdict.DELAYED)
        judged.append((report, said))
    return judged


def _judge_recipient(report: RecipientReport, text: str, *, alone: bool) -> Judged:
    is_fine = report.status.startswith("2.") and report.action not in ("failed", "delayed")
    if report.action in _FINE or is_fine:
        return Judged(Verdict.NOT_BOUNCE, Reason.UNKNOWN, report.status, report.diagnostic)
    said = judge(report.diagnostic, report.status)
    if said.is_weak:
        around = _lines_about(report.recipient, text, alone=alone)
        by_words = judge_best((notice.telling_lines(around), around), status_in(report.diagnostic) or report.status)
        if by_words.reason is not Reason.UNKNOWN and (said.reason is Reason.UNKNOWN or not by_words.is_weak):
            said = by_words
    is_filtered = said.verdict is Verdict.HARD and _FILTER.search(text)
    return Judged(
        Verdict.SOFT if is_filtered else said.verdict,
        Reason.MAILBOX_REFUSES if is_filtered else said.reason,
        said.status or report.status,
        said.evidence or report.diagnostic,
    )


# A phone company whose filter calls a refused mail "unknown user", once it has read all of it.
_FILTER = re.compile(r"docomo\.ne\.jp.{0,400}in reply to end of data", re.IGNORECASE | re.DOTALL)


def _still_tries(report: RecipientReport, text: str, subject: str) -> bool:
    """Tell whether the fields are a warning's; some come without an action."""
    if report.action == "delayed":
        return True
    return report.action != "failed" and report.status.startswith("4.") and says_delayed(subject, text)


def _lines_about(recipient: str, text: str, *, alone: bool) -> str:
    """Return the words about one recipient: all of them where it is the only one."""
    if alone or not recipient:
        return text
    place = text.lower().find(recipient.lower())
    return text[place : place + 600] if place >= 0 else ""


def _by_amazon(found: amazon.Notice) -> Classification:
    if found.verdict is not None:
        reason = Kind.DELIVERED if found.verdict is Verdict.NOT_BOUNCE else Kind.FEEDBACK_ABUSE
        return _other(found.verdict, reason, found.recipients, found.kind)
    return _of(judge(found.diagnostic, found.status), found.recipients)


# ------------------------------------------------------------------ words


def _by_notice(mail: Part, text: str) -> Classification:
    said = judge_best((notice.telling_lines(text), text, mail.subject))
    verdict = Verdict.DELAYED if says_delayed(mail.subject, text) else said.verdict
    return _of(Judged(verdict, said.reason, said.status, said.evidence), find_recipients(mail, text))


def _of(said: Judged, recipients: tuple[str, ...]) -> Classification:
    return Classification(
        said.verdict,
        said.reason.value,
        blame_of(said.reason),
        said.status,
        _clean_all(recipients),
        _clean(said.evidence),
    )


def _other(verdict: Verdict, reason: Kind, recipients: tuple[str, ...] = (), evidence: str = "") -> Classification:
    return Classification(verdict, reason.value, Blame.UNKNOWN, "", _clean_all(recipients), _clean(evidence))


def _clean(text: str) -> str:
    """Return `text` as every database takes it: no controls, no lone surrogates, not long."""
    return _CONTROL.sub(" ", text[: 2 * _EVIDENCE].encode("utf-8", "replace").decode()).strip()[:_EVIDENCE]


def _clean_all(addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_clean(address)[:_MAX_ADDRESS] for address in addresses)
