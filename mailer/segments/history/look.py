"""A look at a watched segment: who is in now and was not, who was in and is not, found by set difference in SQL.

Both differences are read from a reading transaction and written page by page; whoever stays is never written. A look
that dies leaves whole pages: the next one finds the rest. One look at a time: the watch has a lease, and a token that
grows with each look, so that one which was given up for dead writes nothing any more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import database_clock, database_clock_in
from mailer.errors import MailerError
from mailer.jobs import is_stopping
from mailer.log import get_logger
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentSize, SegmentWatch, SegmentWatchMember
from mailer.segments.chosen import business_day, count_written, insert_into, iter_pages
from mailer.segments.history.record import record_entered, record_left
from mailer.segments.queries import members_select
from mailer.workspace.queries import get_limit

LEASE = timedelta(seconds=60)
"""Longer than a rule may take to answer; a killed look is taken up again after it."""
BY_RULE, BY_DATA = "rule", "data"
_DUE = 100
log = get_logger("segments")


class SupersededError(Exception):
    """Another look has begun since, or the watch has ended."""


@dataclass(frozen=True)
class Seen:
    """What a look found; at the first look everybody is in and nobody entered."""

    entered: int
    left: int
    members: int


@dataclass(frozen=True)
class _Look:
    segment_id: int
    token: int
    is_first: bool
    at: datetime


def look_due(ctx: Context) -> int:
    """Look at every watched segment whose time has come; return how many looks were taken."""
    with ctx.read() as session:
        due = (
            select(SegmentWatch.segment_id)
            .join(Segment, Segment.id == SegmentWatch.segment_id)
            .where(SegmentWatch.due_at <= utc_now(), Segment.archived_at.is_(None))
            .order_by(SegmentWatch.due_at)
            .limit(_DUE)
        )
        ids = session.scalars(due).all()
    return sum(look(ctx, segment_id) is not None for segment_id in ids if not is_stopping())


def look(ctx: Context, segment_id: int) -> Seen | None:
    """Look at one watched segment now; None where somebody else does, nobody watches it, or its rule cannot be asked.

    Safe to repeat and to kill at any point.
    """
    started = _start(ctx, segment_id)
    if started is None:
        return None
    try:
        return _compare(ctx, started)
    except SupersededError:
        return None
    except MailerError as error:
        _refuse(ctx, started, error, error.message)
    except (OperationalError, InterfaceError):
        raise  # the database is away or busy: the next tick looks again
    except Exception as error:  # noqa: BLE001 - one that cannot be looked at must not keep all others waiting for ever
        _refuse(ctx, started, error, f"it could not be looked at ({type(error).__name__})")
    return None


def _refuse(ctx: Context, this: _Look, error: Exception, problem: str) -> None:
    log.warning("look_refused", segment_id=this.segment_id, error=type(error).__name__)
    with ctx.write() as session:
        _end(session, this, _next_due(session), problem=problem)


def _start(ctx: Context, segment_id: int) -> _Look | None:
    free = or_(SegmentWatch.leased_until.is_(None), SegmentWatch.leased_until < database_clock())
    claim = (
        update(SegmentWatch)
        .where(SegmentWatch.segment_id == segment_id, free)
        .values(token=SegmentWatch.token + 1, leased_until=database_clock_in(LEASE.total_seconds()))
        .returning(SegmentWatch.token, SegmentWatch.is_ready)
    )
    with ctx.write() as session:
        row = session.execute(claim.execution_options(synchronize_session=False)).one_or_none()
    return None if row is None else _Look(segment_id, row[0], not row[1], utc_now())


def _compare(ctx: Context, this: _Look) -> Seen:
    with ctx.read() as session:
        segment = session.get_one(Segment, this.segment_id)
        watch = session.get(SegmentWatch, this.segment_id)
        rule_changed_at = watch.rule_changed_at if watch else None
        cause = BY_RULE if rule_changed_at else BY_DATA
        members = members_select(session, segment, business_day(ctx, session))
        known = SegmentWatchMember.segment_id == segment.id
        is_known = exists(
            select(SegmentWatchMember.contact_id)
            .where(known, SegmentWatchMember.contact_id == Contact.id)
            .correlate(Contact)
        )
        is_member = exists(members.where(Contact.id == SegmentWatchMember.contact_id).correlate(SegmentWatchMember))
        came = gone = 0
        for page in iter_pages(session, members.where(~is_known)):
            with ctx.write() as writing:
                _renew(writing, this)
                came += record_entered(writing, segment, page, at=this.at, cause=cause, is_told=not this.is_first)
        for page in iter_pages(session, select(SegmentWatchMember.contact_id).where(known, ~is_member)):
            with ctx.write() as writing:
                _renew(writing, this)
                gone += record_left(writing, segment, page, at=this.at, cause=cause, is_told=not this.is_first)
    with ctx.write() as writing:
        _renew(writing, this)
        count = _record_size(writing, this)
        _end(writing, this, _next_due(writing), members=count, rule_changed_at=rule_changed_at)
    return Seen(0, 0, count) if this.is_first else Seen(came, gone, count)


def _renew(session: Session, this: _Look) -> None:
    """Lock the watch and keep it; SupersededError where it is not ours any more."""
    mine = (SegmentWatch.segment_id == this.segment_id, SegmentWatch.token == this.token)
    kept = update(SegmentWatch).where(*mine).values(leased_until=database_clock_in(LEASE.total_seconds()))
    if not count_written(session, kept):
        raise SupersededError


def _record_size(session: Session, this: _Look) -> int:
    count = session.scalar(
        select(func.count()).select_from(SegmentWatchMember).where(SegmentWatchMember.segment_id == this.segment_id)
    )
    of_segment = select(SegmentSize.members).where(SegmentSize.segment_id == this.segment_id)
    last = session.scalar(of_segment.order_by(SegmentSize.at.desc()).limit(1))
    if last != count:
        hour = this.at.replace(minute=0, second=0, microsecond=0)
        row = insert_into(session, SegmentSize).values(segment_id=this.segment_id, at=hour, members=count)
        keys = ["segment_id", "at"]
        session.execute(row.on_conflict_do_update(index_elements=keys, set_={"members": row.excluded.members}))
    return count or 0


def _next_due(session: Session) -> datetime:
    return utc_now() + timedelta(minutes=get_limit(session, "watch_minutes"))


def _end(
    session: Session, this: _Look, due_at: datetime, *, members: int | None = None,
    rule_changed_at: datetime | None = None, problem: str = "",
) -> None:  # fmt: skip
    """Give the watch back. An edit of a rule that this look did not see is left for the next one, at once."""
    watch = session.get(SegmentWatch, this.segment_id, with_for_update=True)
    if watch is None or watch.token != this.token:
        return
    watch.leased_until, watch.due_at, watch.problem = None, due_at, problem
    if members is None:
        return
    watch.members, watch.looked_at, watch.is_ready = members, this.at, True
    if watch.rule_changed_at == rule_changed_at:
        watch.rule_changed_at = None
    elif watch.rule_changed_at is not None:
        watch.due_at = utc_now()
