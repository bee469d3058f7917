"""One report that was read: what a person taught about it, which message it is about, what delivery is told.

Applying is delivery's: the same `apply_event` that SMTP-time replies use. Safe to repeat, in any order: an event is
known by its message and kind.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import hash_address
from mailer.bounces import leaving
from mailer.bounces.classify import Classification
from mailer.bounces.reading import Read, iter_ways
from mailer.bounces.verp import Match
from mailer.bounces.words import Kind
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.queries import find_by_relay_id
from mailer.delivery.service import apply_event
from mailer.log import get_logger
from mailer.schema.bounces import BounceLesson, BounceReport
from mailer.schema.contacts import Address
from mailer.schema.delivery import Message
from mailer.statuses import EventKind, Verdict
from mailer.tokens import Keys

log = get_logger("bounces")
_MAX_RECIPIENTS = 50
_OLDEST = timedelta(days=400)
KINDS = {
    Verdict.HARD: EventKind.HARD_BOUNCE,
    Verdict.SOFT: EventKind.SOFT_BOUNCE,
    Verdict.DELAYED: EventKind.DELAYED,
    Verdict.COMPLAINT: EventKind.COMPLAINT,
    Verdict.UNSUBSCRIBE: EventKind.UNSUBSCRIBE,
}


def apply_report(session: Session, ctx: Context, report: BounceReport, read: Read) -> None:
    """Write down what a report means, find its message, and tell delivery."""
    report.wording = read.wording
    read = _taught(session, read)
    said = read.said
    if _take_request(session, ctx, report, read):
        return
    match = _find_message(session, ctx.keys, report, read) if _is_about_a_message(said) else None
    _note(report, said, match)
    if said.reason == Kind.UNSUBSCRIBE_MAIL and report.matched_by != "verp" and read.mail is not None:
        leaving.ask_a_person(session, ctx, report, read.mail)
    if _is_about_nobody(session, ctx, report, match):
        _forget(report)
    if match is not None and (event := _event(report, read, match)) is not None:
        is_new = apply_event(session, event)
        log.info("report_applied", report_id=report.id, message_id=match.message_id, kind=event.kind, new=is_new)


def _taught(session: Session, read: Read) -> Read:
    """Return what was read, with the verdict of the lesson that fits."""
    if read.wording is None:
        return read
    verdict = session.scalar(select(BounceLesson.verdict).where(BounceLesson.wording == read.wording))
    return read if verdict is None else read.with_verdict(Verdict(verdict))


def _take_request(session: Session, ctx: Context, report: BounceReport, read: Read) -> bool:
    """Do what a mail to the address of a List-Unsubscribe header asks for; False where this is none."""
    local = leaving.find_local(report.rcpt_to, read.mail) if read.mail is not None else None
    if local is None or not leaving.is_request(read.said) or not leaving.unsubscribe(session, ctx, local):
        return False
    _note(report, read.said, None)
    report.verdict, report.reason = Verdict.UNSUBSCRIBE.value, Kind.UNSUBSCRIBE_MAIL.value
    report.state, report.matched_by = "matched", "unsubscribe_address"
    log.info("report_unsubscribed", report_id=report.id)
    return True


def _is_about_a_message(said: Classification) -> bool:
    return said.verdict in KINDS or said.reason == Kind.DELIVERED


def _find_message(session: Session, keys: Keys, report: BounceReport, read: Read) -> Match | None:
    """Return the first way to a message that exists, the most trusted first."""
    for way in iter_ways(keys, report.rcpt_to, read, report.raw or b""):
        match = way if isinstance(way, Match) else match_relay_ids(session, way)
        if match is not None and session.get(Message, match.message_id) is not None:
            return match
    return None


def match_relay_ids(session: Session, relay_ids: Iterable[str]) -> Match | None:
    """Return the message to which a relay gave one of these ids."""
    for relay_id in relay_ids:
        if (message := find_by_relay_id(session, relay_id)) is not None:
            return Match(message.id, "relay_id")
    return None


def _note(report: BounceReport, said: Classification, match: Match | None) -> None:
    report.verdict, report.blame = said.verdict.value, said.blame.value
    report.reason, report.status, report.diagnostic = said.reason, said.status, said.evidence
    report.recipients = list(said.recipients[:_MAX_RECIPIENTS])
    if match is not None:
        report.message_id, report.matched_by = match.message_id, match.by
    if said.verdict is Verdict.NOT_BOUNCE:
        report.state = "ignored"
    else:
        report.state = "matched" if match is not None else "unmatched"


def _is_about_nobody(session: Session, ctx: Context, report: BounceReport, match: Match | None) -> bool:
    """Whether the person whom a report is about was erased: by its mail, else by the addresses that it names."""
    if match is not None:
        message = session.get_one(Message, match.message_id)
        return message.contact_id is None and message.to_address is None
    hashes = [hash_address(str(one).strip().lower(), ctx.keys.suppression) for one in report.recipients]
    erased = select(Address.id).where(Address.email_hash.in_(hashes), Address.email.is_(None))
    return bool(hashes) and session.scalar(erased.limit(1)) is not None


def _forget(report: BounceReport) -> None:
    """Keep the verdict only: whom it was about must not come back with a report."""
    report.raw, report.recipients, report.diagnostic = None, [], ""
    report.mail_from, report.rcpt_to = "", ""


def _event(report: BounceReport, read: Read, match: Match) -> DeliveryEvent | None:
    """Return what delivery is told; None where a person is to read it (FEATURES C11)."""
    said = read.said
    if said.reason == Kind.DELIVERED:
        kind = EventKind.DELIVERED
    elif said.reason == Kind.UNSUBSCRIBE_MAIL and match.by != "verp":
        return None  # not sent to the address of a List-Unsubscribe header: a reply, and replies change nothing
    elif said.verdict in KINDS:
        kind = KINDS[said.verdict]
    else:
        return None
    return DeliveryEvent(
        message_id=match.message_id,
        kind=kind,
        at=believable(read.at, report.received_at),
        dedupe_key=dedupe_key(kind, match.message_id),
        reason=said.reason,
        code=said.status,
        detail={"blame": said.blame.value, "report_id": report.id, "matched_by": match.by, "source": "report"},
    )


def dedupe_key(kind: EventKind, message_id: int) -> str:
    """Return the key under which a message has one event of a kind, however many tell of it."""
    return f"report:{kind}:{message_id}"


def believable(told: datetime | None, received: datetime) -> datetime:
    """Return when something happened: as a provider told, unless that lies in the future or in another age."""
    received = received.astimezone(UTC)
    return told if told is not None and received - _OLDEST < told < received else received
