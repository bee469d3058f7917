"""What a person teaches about a report that nobody could read: kept, and applied to all with the same words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, defer

from mailer.accounts.service import record_audit
from mailer.bounces.jobs import PROCESS_REPORTS
from mailer.bounces.queries import get_report
from mailer.bounces.reading import read_report
from mailer.bounces.taking_back import lift_what_words_did
from mailer.bounces.wording import strip_words
from mailer.bounces.words import Kind
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.reasons import Reason
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.bounces import BounceLesson, BounceReport
from mailer.statuses import Verdict

TEACHABLE = (Verdict.HARD, Verdict.SOFT, Verdict.DELAYED, Verdict.NOT_BOUNCE)
"""A complaint or an unsubscribe is a person's word: no wording makes one."""
UNRECOGNIZED = (Reason.UNKNOWN.value, Kind.UNREADABLE.value)


def is_unrecognized() -> ColumnElement[bool]:
    """Whether nobody could tell what a report says."""
    return BounceReport.reason.in_(UNRECOGNIZED)


def count_unrecognized(session: Session) -> int:
    """Return how many reports wait for a person."""
    return session.scalar(select(func.count()).select_from(BounceReport).where(is_unrecognized())) or 0


@dataclass(frozen=True)
class Taught:
    """What a lesson did at once: reports that are read again, suppressions that were lifted."""

    again: int
    lifted: int = 0


def teach(ctx: Context, report_id: int, verdict: str, *, by: int | None = None) -> Taught:
    """Say what a report means; every report with the same words is read again.

    Where they called mailboxes dead and do not any more, what only they have suppressed is lifted (decision 0030).

    Raises:
        NotFoundError: no such report.
        ConflictError: its mail is not kept any more, or its words tell it from nothing.
        InputError: no verdict that can be taught.
    """
    if verdict not in TEACHABLE:
        raise InputError("that cannot be taught", where="verdict", mend=f"one of {', '.join(TEACHABLE)}")
    with ctx.write() as session:
        report = get_report(session, report_id)
        if report.raw is None:
            raise ConflictError("the mail itself is not kept any more")
        read = read_report(report.raw, report.source)
        if read.wording is None or read.mail is None:
            raise ConflictError("it says too little to be known again")
        words = strip_words(f"{read.mail.subject} {read.words}")
        _keep(session, read.wording, verdict, words, by)
        lifted = 0 if verdict == Verdict.HARD else lift_what_words_did(session, read.wording, by=by)
        taught = Taught(_read_again(session, read.wording), lifted)
        detail = {"verdict": verdict, "lifted": lifted}
        record_audit(session, "bounces.teach", by=by, subject=("bounce_report", report_id), detail=detail)
        ctx.ring(session, PROCESS_REPORTS)
    return taught


def forget(ctx: Context, lesson_id: int, *, by: int | None = None) -> None:
    """Take a lesson back; what it decided stays decided, later reports are read by the rules."""
    with ctx.write() as session:
        lesson = session.get(BounceLesson, lesson_id)
        if lesson is None:
            raise NotFoundError("no such lesson")
        session.delete(lesson)
        record_audit(session, "bounces.forget", by=by, detail={"verdict": lesson.verdict})


def list_lessons(session: Session, limit: int = 200) -> Sequence[BounceLesson]:
    """Return the newest lessons."""
    return session.scalars(select(BounceLesson).order_by(BounceLesson.id.desc()).limit(limit)).all()


def list_unrecognized(session: Session, *, before: int | None = None, limit: int = 50) -> Sequence[BounceReport]:
    """Return reports that wait for a person, without their mails, newest first."""
    query = select(BounceReport).options(defer(BounceReport.raw)).where(is_unrecognized())
    if before is not None:
        query = query.where(BounceReport.id < before)
    return session.scalars(query.order_by(BounceReport.id.desc()).limit(limit)).all()


def _keep(session: Session, wording: bytes, verdict: str, words: str, by: int | None) -> None:
    lesson = session.scalar(select(BounceLesson).where(BounceLesson.wording == wording))
    if lesson is None:
        lesson = BounceLesson(wording=wording, created_at=utc_now())
        session.add(lesson)
    lesson.verdict, lesson.words, lesson.created_by = verdict, words, by


def _read_again(session: Session, wording: bytes) -> int:
    changed: Any = session.execute(
        update(BounceReport)
        .where(BounceReport.wording == wording, BounceReport.raw.is_not(None))
        .values(state="received", retry_at=None, attempts=0)
        .execution_options(synchronize_session=False)
    )
    return int(changed.rowcount)
