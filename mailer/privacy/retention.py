"""What has been kept long enough goes (GDPR, 5(1)(e)): rules with a preview, and a run every night in short pieces.

Values are limits of the workspace (docs/reference/defaults.md). The row with the highest number of a table always
stays: SQLite would give its number to the next one, and numbers stand in links, bounce addresses and dedupe keys.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.jobs import is_stopping
from mailer.log import get_logger
from mailer.privacy.due import add_months
from mailer.privacy.erasure import forget_traces
from mailer.privacy.figures import count_figures, is_written, write_figures
from mailer.privacy.wiping import MESSAGES, ROWS, erasing
from mailer.schema.accounts import AuditEvent
from mailer.schema.actions import ActionRun
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Consent, ConsentEvent, ConsentEvidence
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.imports import ImportRun
from mailer.schema.privacy import RetentionRun
from mailer.schema.tracking import Hit
from mailer.segments.chosen import count_written, insert_into
from mailer.statuses import ImportStatus, Permission, SendingState
from mailer.tracking.evidence import cut_ip
from mailer.tracking.queries import lock_verdicts
from mailer.workspace.limits import limit_value
from mailer.workspace.queries import get_workspace

NIGHT_HOUR = 2
log = get_logger("privacy")


@dataclass(frozen=True)
class Rule:
    """A rule: the limit that says how long, what `count` finds that is due, and what `apply` does with it."""

    limit: str
    count: Callable[[Context, datetime], int]
    apply: Callable[[Context, datetime], int]


@dataclass(frozen=True)
class Due:
    """What would go now by one rule."""

    limit: str
    value: float
    before: datetime
    count: int


def preview_retention(ctx: Context) -> list[Due]:
    """Return for each rule what would go now. Writes nothing."""
    values = _values(ctx)
    return [
        Due(rule.limit, values[rule.limit], before, rule.count(ctx, before))
        for rule in RULES
        for before in [cutoff(rule.limit, values[rule.limit], utc_now())]
    ]


def apply_retention(ctx: Context, *, by: int | None = None) -> dict[str, int]:
    """Let go what is due; return rows by rule. Safe to repeat, and to be stopped in the middle."""
    values, counts = _values(ctx), {}
    for rule in RULES:
        if is_stopping():
            break
        counts[rule.limit] = rule.apply(ctx, cutoff(rule.limit, values[rule.limit], utc_now()))
    counts["erasures"] = forget_traces(ctx)
    done = {name: count for name, count in counts.items() if count}
    with ctx.write() as session:
        record_audit(session, "privacy.retention", by=by, actor="" if by else "retention", detail=done)
    return counts


def run_night(ctx: Context) -> dict[str, int] | None:
    """Do the work of this night where nobody has done it; None where it is not due."""
    with ctx.read() as session:
        zone = get_workspace(session).timezone
    now = ctx.clock.now().astimezone(ZoneInfo(zone))
    if now.hour < NIGHT_HOUR:
        return None
    with ctx.write() as session:
        fresh = insert_into(session, RetentionRun).values(day=now.date(), started_at=utc_now(), counts={})
        session.execute(fresh.on_conflict_do_nothing(index_elements=["day"]))
        run = session.scalars(select(RetentionRun).where(RetentionRun.day == now.date())).one()
        if run.finished_at is not None:
            return None
    counts = apply_retention(ctx)
    with ctx.write() as session:
        row = session.get_one(RetentionRun, run.id)
        row.finished_at, row.counts = utc_now(), counts
    log.info("retention_done", **counts)
    return counts


def cutoff(limit: str, value: float, now: datetime) -> datetime:
    """Return the time before which a rule lets go; the unit is the end of the limit's name."""
    if limit.endswith("_days"):
        return now - timedelta(days=value)
    months = int(value * (12 if limit.endswith("_years") else 1))
    day = add_months(now.date(), -months)
    return now.replace(year=day.year, month=day.month, day=day.day)


def _values(ctx: Context) -> Mapping[str, float]:
    with ctx.read() as session:
        limits = get_workspace(session).limits
    return {rule.limit: limit_value(limits, rule.limit) for rule in RULES}


# ------------------------------------------------------------------ rows by age


def _in_pages(
    ctx: Context, query: Select[Any], write: Callable[[Session, Sequence[int]], int], *, size: int = ROWS
) -> int:
    """Hand the ids that `query` selects to `write` in short transactions; return how many rows it wrote."""
    done, column = 0, query.selected_columns[0]
    after: int = -1
    while not is_stopping():
        with ctx.read() as session:
            ids = session.scalars(query.where(column > after).order_by(column).limit(size)).all()
        if not ids:
            break
        with erasing(ctx) as session:
            done += write(session, ids)
        after = ids[-1]
    return done


def _count(ctx: Context, query: Select[Any]) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _below_last(table: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(table.id).where(*conditions, table.id < select(func.max(table.id)).scalar_subquery())


def _deleted(table: Any) -> Callable[[Session, Sequence[int]], int]:
    return lambda session, ids: count_written(session, delete(table).where(table.id.in_(ids)))


def _old_hits(before: datetime) -> Select[Any]:
    return _below_last(Hit, Hit.at < before)


def _old_audit(before: datetime) -> Select[Any]:
    return _below_last(AuditEvent, AuditEvent.at < before)


def _full_ips(before: datetime) -> Select[Any]:
    return select(Hit.id).where(Hit.at < before, Hit.ip != "", Hit.ip.not_like("%/%"))


def _cut_ips(session: Session, ids: Sequence[int]) -> int:
    rows = session.execute(select(Hit.id, Hit.ip).where(Hit.id.in_(ids))).all()
    if rows:
        session.connection().execute(_CUT_IP, [{"number": number, "cut": cut_ip(ip)} for number, ip in rows])
    return len(rows)


_HIT = Hit.__table__
_CUT_IP = update(Hit).where(_HIT.c.id == bindparam("number")).values(ip=bindparam("cut"))


def _raw_reports(before: datetime) -> Select[Any]:
    return select(BounceReport.id).where(BounceReport.received_at < before, BounceReport.raw.is_not(None))


def _drop_raw(session: Session, ids: Sequence[int]) -> int:
    return count_written(session, update(BounceReport).where(BounceReport.id.in_(ids)).values(raw=None))


def _old_evidence(before: datetime) -> Select[Any]:
    """Evidence that old, of people who took their permission back that long ago."""
    return (
        select(ConsentEvidence.consent_event_id)
        .join(ConsentEvent, ConsentEvent.id == ConsentEvidence.consent_event_id)
        .join(Contact, Contact.ledger_id == ConsentEvent.ledger_id)
        .join(Consent, (Consent.contact_id == Contact.id) & (Consent.purpose == ConsentEvent.purpose))
        .where(
            Consent.permission == Permission.WITHDRAWN.value,
            Consent.updated_at < before,
            ConsentEvent.at < before,
        )
    )


def _drop_evidence(session: Session, ids: Sequence[int]) -> int:
    return count_written(session, delete(ConsentEvidence).where(ConsentEvidence.consent_event_id.in_(ids)))


# ------------------------------------------------------------------ mails


def _old_mails(before: datetime) -> Select[Any]:
    return _below_last(Message, Message.sending_id.in_(_old_sendings(before)))


def _old_sendings(before: datetime) -> Select[Any]:
    ended = (SendingState.FINISHED.value, SendingState.CANCELLED.value)
    return select(Sending.id).where(Sending.state.in_(ended), Sending.finished_at < before)


def _drop_mails(ctx: Context, before: datetime) -> int:
    """Write the figures of each old sending down, then delete what its report was counted from."""
    with ctx.read() as session:
        has_rows = select(Message.id).where(Message.sending_id == Sending.id).correlate(Sending).exists()
        ids = session.scalars(_old_sendings(before).where(has_rows).order_by(Sending.id)).all()
    done = 0
    for sending_id in ids:
        if is_stopping():
            break
        _keep_figures(ctx, sending_id)
        done += _in_pages(ctx, _below_last(Message, Message.sending_id == sending_id), _delete_mails, size=MESSAGES)
    return done


def _keep_figures(ctx: Context, sending_id: int) -> None:
    with ctx.read() as session:
        if is_written(session, sending_id):
            return
        figures = count_figures(session, sending_id)
    with ctx.write() as session:
        if not is_written(session, sending_id):
            write_figures(session, sending_id, figures)


def _delete_mails(session: Session, ids: Sequence[int]) -> int:
    lock_verdicts(session)  # nobody takes a hit on one of these in meanwhile
    for table in (Event, ActionRun):
        session.execute(delete(table).where(table.message_id.in_(ids)))
    session.execute(delete(Hit).where(Hit.message_id.in_(ids)))
    blank: dict[str, Any] = {
        "message_id": None,
        "raw": None,
        "diagnostic": "",
        "recipients": [],
        "mail_from": "",
        "rcpt_to": "",
    }
    session.execute(update(BounceReport).where(BounceReport.message_id.in_(ids)).values(blank))
    return count_written(session, delete(Message).where(Message.id.in_(ids)))


# ------------------------------------------------------------------ files


def _old_files(ctx: Context, before: datetime) -> Iterator[Path]:
    """Yield uploads and files of refused rows that nobody has touched since `before`."""
    data = ctx.settings.data_dir
    for path in [*(data / "uploads").glob("*"), *(data / "imports").glob("*")]:
        newest = max((one.stat().st_mtime for one in [path, *path.rglob("*")]), default=0.0)
        if newest < before.timestamp():
            yield path


def _count_files(ctx: Context, before: datetime) -> int:
    return sum(1 for _ in _old_files(ctx, before))


def _drop_files(ctx: Context, before: datetime) -> int:
    gone = list(_old_files(ctx, before))
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with ctx.write() as session:
        names = [str(path) for path in gone]
        done = ImportRun.status == ImportStatus.DONE.value
        session.execute(update(ImportRun).where(ImportRun.refused_path.in_(names), done).values(refused_path=""))
    return len(gone)


def _by_rows(
    limit: str, select_due: Callable[[datetime], Select[Any]], write: Callable[[Session, Sequence[int]], int]
) -> Rule:
    return Rule(
        limit,
        lambda ctx, before: _count(ctx, select_due(before)),
        lambda ctx, before: _in_pages(ctx, select_due(before), write),
    )


RULES: tuple[Rule, ...] = (
    _by_rows("keep_ip_days", _full_ips, _cut_ips),
    _by_rows("keep_hits_days", _old_hits, _deleted(Hit)),
    _by_rows("keep_reports_days", _raw_reports, _drop_raw),
    Rule("keep_mails_months", lambda ctx, before: _count(ctx, _old_mails(before)), _drop_mails),
    Rule("keep_files_days", _count_files, _drop_files),
    _by_rows("keep_evidence_years", _old_evidence, _drop_evidence),
    _by_rows("keep_audit_years", _old_audit, _deleted(AuditEvent)),
)
