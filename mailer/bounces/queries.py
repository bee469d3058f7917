"""Reading reports: what waits, and pages for people."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from mailer.errors import NotFoundError
from mailer.schema.bounces import BounceReport


def list_waiting(session: Session, limit: int) -> Sequence[int]:
    """Return ids of reports that were stored and not looked at yet, oldest first."""
    query = select(BounceReport.id).where(BounceReport.state == "received").order_by(BounceReport.id).limit(limit)
    return session.scalars(query).all()


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
