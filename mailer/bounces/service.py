"""Reports come in: the raw mail is stored first, then read, matched and applied (DESIGN: Bounce).

Applying is delivery's: the same `apply_event` that SMTP-time replies use. Everything is safe to repeat: a report is
known by its digest, an event by its message and kind.
"""

import email
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.policy import compat32
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mailer.addresses import hash_address
from mailer.bounces import leaving
from mailer.bounces.classify import Classification, classify_report
from mailer.bounces.jobs import PROCESS_REPORTS
from mailer.bounces.queries import list_waiting
from mailer.bounces.verp import Match, iter_matches
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.queries import find_by_relay_id
from mailer.delivery.service import apply_event
from mailer.errors import InputError, Problem
from mailer.log import get_logger
from mailer.schema.bounces import BounceReport
from mailer.schema.contacts import Address
from mailer.schema.delivery import Message
from mailer.statuses import EventKind, Verdict

log = get_logger("bounces")
_PAGE = 100
_MAX_RECIPIENTS = 50
_KINDS = {
    Verdict.HARD: EventKind.HARD_BOUNCE,
    Verdict.SOFT: EventKind.SOFT_BOUNCE,
    Verdict.DELAYED: EventKind.DELAYED,
    Verdict.COMPLAINT: EventKind.COMPLAINT,
    Verdict.UNSUBSCRIBE: EventKind.UNSUBSCRIBE,
}


@dataclass(frozen=True)
class Received:
    """A report as it came in; `source` says through which door."""

    raw: bytes
    source: str
    mail_from: str = ""
    rcpt_to: str = ""

    @property
    def digest(self) -> bytes:
        """What makes a repeated report the same one."""
        return hashlib.sha256(self.rcpt_to.lower().encode() + b"\0" + self.raw).digest()


def record_report(ctx: Context, raw: bytes, source: str, *, mail_from: str = "", rcpt_to: str = "") -> int:
    """Store one report and return its id; one that came before keeps its id."""
    return record_reports(ctx, [Received(raw, source, mail_from, rcpt_to)])[0]


def record_reports(ctx: Context, reports: Sequence[Received]) -> list[int]:
    """Store reports in one transaction, ring for their processing, and return their ids in the order given."""
    with ctx.write() as session:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        statement = dialect.insert(BounceReport).on_conflict_do_nothing(index_elements=["digest"])
        session.connection().execute(statement, [_row(report) for report in reports])
        digests = [report.digest for report in reports]
        query = select(BounceReport.digest, BounceReport.id).where(BounceReport.digest.in_(digests))
        ids = {bytes(digest): report_id for digest, report_id in session.execute(query)}
        ctx.ring(session, PROCESS_REPORTS)
    return [ids[digest] for digest in digests]


def _row(report: Received) -> dict[str, object]:
    return {
        "received_at": utc_now(),
        "source": report.source,
        "mail_from": report.mail_from,
        "rcpt_to": report.rcpt_to,
        "digest": report.digest,
        "raw": report.raw,
        "state": "received",
        "reason": "",
        "status": "",
        "recipients": [],
        "diagnostic": "",
        "matched_by": "",
    }


def process_reports(ctx: Context) -> int:
    """Read, match and apply every report that waits, each in a transaction of its own; return how many."""
    done = 0
    while waiting := _list_waiting(ctx):
        for report_id in waiting:
            done += _process_one(ctx, report_id)
    return done


def _list_waiting(ctx: Context) -> Sequence[int]:
    with ctx.read() as session:
        return list_waiting(session, _PAGE)


def _process_one(ctx: Context, report_id: int) -> int:
    with ctx.write() as session:
        report = session.get(BounceReport, report_id, with_for_update=True)
        if report is None or report.state != "received":
            return 0  # another worker was quicker
        said = classify_report(report.raw or b"")
        if _take_request(session, ctx, report, said):
            return 1
        match = _find_message(session, ctx, report) if _is_about_a_message(said) else None
        _note(report, said, match)
        _ask_a_person(session, ctx, report, said)
        if _is_about_nobody(session, ctx, report, match):
            _forget(report)
        if match is not None and (event := _event(report, said, match)) is not None:
            is_new = apply_event(session, event)
            log.info("report_applied", report_id=report.id, message_id=match.message_id, kind=event.kind, new=is_new)
    return 1


def _take_request(session: Session, ctx: Context, report: BounceReport, said: Classification) -> bool:
    """Do what a mail to the address of a List-Unsubscribe header asks for; False where this is none."""
    parsed = email.message_from_bytes(report.raw or b"", policy=compat32)
    local = leaving.find_local(report.rcpt_to, parsed)
    if local is None or not leaving.is_request(said) or not leaving.unsubscribe(session, ctx, local):
        return False
    _note(report, said, None)
    report.verdict, report.reason = Verdict.UNSUBSCRIBE.value, "unsubscribe_mail"
    report.state, report.matched_by = "matched", "unsubscribe_address"
    log.info("report_unsubscribed", report_id=report.id)
    return True


def _ask_a_person(session: Session, ctx: Context, report: BounceReport, said: Classification) -> None:
    """Make a task of a reply that asks to be left alone: replies change nothing by themselves (FEATURES C11)."""
    if said.verdict is Verdict.UNSUBSCRIBE and said.reason == "unsubscribe_mail" and report.matched_by != "verp":
        parsed = email.message_from_bytes(report.raw or b"", policy=compat32)
        leaving.ask_a_person(session, ctx, report, parsed)


def _is_about_a_message(said: Classification) -> bool:
    return said.verdict in _KINDS or said.reason == "delivered"


def _find_message(session: Session, ctx: Context, report: BounceReport) -> Match | None:
    """Return the first way to a message that exists, the most trusted first."""
    raw = report.raw or b""
    parsed = email.message_from_bytes(raw, policy=compat32)
    for way in iter_matches(ctx.keys, report.rcpt_to, parsed, raw):
        match = way if isinstance(way, Match) else _match_relay_ids(session, way)
        if match is not None and session.get(Message, match.message_id) is not None:
            return match
    return None


def _match_relay_ids(session: Session, relay_ids: Iterable[str]) -> Match | None:
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


def _event(report: BounceReport, said: Classification, match: Match) -> DeliveryEvent | None:
    """Return what delivery is told; None where a person is to read it (FEATURES C11)."""
    if said.reason == "delivered":
        kind = EventKind.DELIVERED
    elif said.verdict is Verdict.UNSUBSCRIBE and match.by != "verp" and said.reason == "unsubscribe_mail":
        return None  # not sent to the address of a List-Unsubscribe header: a reply, and replies change nothing
    else:
        kind = _KINDS[said.verdict]
    return DeliveryEvent(
        message_id=match.message_id,
        kind=kind,
        at=report.received_at,
        dedupe_key=f"report:{kind}:{match.message_id}",
        reason=said.reason,
        code=said.status,
        detail={"blame": said.blame.value, "report_id": report.id, "matched_by": match.by, "source": "report"},
    )


# ------------------------------------------------------------------ for the command line


def classify_paths(paths: Iterable[Path]) -> Iterator[dict[str, object]]:
    """Yield a line of `mailer bounces classify` for each file, in the order given, a folder's files by name.

    Raises:
        InputError: lists every path that cannot be read, before the first line.
    """
    for path in list_files(paths):
        said = classify_report(path.read_bytes())
        yield {
            "file": path.name,
            "verdict": said.verdict.value,
            "reason": said.reason or None,
            "blame": said.blame.value,
            "status": said.status or None,
            "recipients": list(said.recipients),
            "evidence": said.evidence or None,
        }


def ingest_paths(ctx: Context, paths: Iterable[Path]) -> dict[str, int]:
    """Store and process the reports in files and folders; return {"files", "processed"}."""
    files = list_files(paths)
    for path in files:
        record_report(ctx, path.read_bytes(), "file")
    return {"files": len(files), "processed": process_reports(ctx)}


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `paths` name, a folder's by name; InputError lists every one that is not there."""
    files: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            files += sorted(one for one in path.iterdir() if one.is_file())
        elif path.is_file():
            files.append(path)
        else:
            problems.append(Problem(str(path), "no such file or folder"))
    if problems:
        raise InputError(problems)
    return files
