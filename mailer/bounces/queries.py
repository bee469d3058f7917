"""Reading reports: what waits, and pages for people."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, defer

from mailer.errors import NotFoundError
from mailer.schema.bounces import BounceReport


def list_waiting(session: Session, now: datetime, *, after: int, limit: int) -> Sequence[int]:
    """Return ids above `after` of reports that are to be read now, oldest first."""
    is_due = or_(BounceReport.retry_at.is_(None), BounceReport.retry_at <= now)
    query = select(BounceReport.id).where(BounceReport.state == "received", BounceReport.id > after, is_due)
    return session.scalars(query.order_by(BounceReport.id).limit(limit)).all()


def get_report(session: Session, report_id: int) -> BounceReport:
    """Return one report with its raw mail; NotFoundError if there is none."""
    report = session.get(BounceReport, report_id)
    if report is None:
        raise NotFoundError(f"no report {report_id}")
    return report


def list_reports(
    session: Session, *, before: int | None = None, state: str | None = None, limit: int = 50
) -> Sequence[BounceReport]:
    """Return reports without their raw mail, newest first, with an id below `before`."""
    query = select(BounceReport).options(defer(BounceReport.raw)).order_by(BounceReport.id.desc()).limit(limit)
    if before is not None:
        query = query.where(BounceReport.id < before)
    if state is not None:
        query = query.where(BounceReport.state == state)
    return session.scalars(query).all()
