"""Reads of counts, breakers, canaries and outside figures. Never commits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from mailer.reputation.counting import COARSE_AFTER, COARSE_SECONDS, SLOT_SECONDS
from mailer.reputation.policy import REPORTS_NONE, SPANS, Counts, Limits, Window, Windows
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker, BreakerChange, CanaryWatch, OutsideFigure, RateLook, RateSlot
from mailer.statuses import BreakerState, SendingState
from mailer.workspace.limits import limit_value
from mailer.workspace.queries import get_workspace

_COLUMNS = (
    RateSlot.transmitted,
    RateSlot.accepted,
    RateSlot.deferred,
    RateSlot.hard,
    RateSlot.soft,
    RateSlot.bounced_later,
    RateSlot.complaints,
    RateSlot.unsubscribed,
)
_Row = tuple[int, ...]


def load_limits(session: Session) -> Limits:
    """Return the limits of this workspace."""
    overrides = get_workspace(session).limits
    return Limits(
        hard_amber=limit_value(overrides, "hard_bounce_amber"),
        hard_pause=limit_value(overrides, "hard_bounce_pause"),
        hard_disable=limit_value(overrides, "hard_bounce_disable"),
        complaint_throttle=limit_value(overrides, "complaint_amber"),
        complaint_pause=limit_value(overrides, "complaint_pause"),
        unsubscribe_amber=limit_value(overrides, "unsubscribe_amber"),
        unsubscribe_review=limit_value(overrides, "unsubscribe_review"),
    )


@dataclass
class Rolling:
    """Counts in the three windows, of everything that went out in the last 30 days, by scope and key.

    `parts` are those of each sending within a domain or provider; the scope of everything is empty.
    """

    whole: dict[tuple[str, str], dict[Window, Counts]]
    parts: dict[tuple[str, str, int], dict[Window, Counts]]

    def of(self, scope: str = "", key: str = "", *, but: int | None = None) -> Windows:
        """Return the windows of a scope, of everything for none; empty where nothing was sent. `but`: without it."""
        found = self.whole.get((scope, key), {})
        left_out = self.parts.get((scope, key, but or 0), {})
        return {window: counts - left_out.get(window, Counts()) for window, counts in found.items()}

    def keys(self, scope: str) -> list[str]:
        """Return the keys of a scope by name."""
        return sorted(key for name, key in self.whole if name == scope)

    def sendings_of(self, scope: str, key: str) -> set[int]:
        """Return the sendings of a domain or provider."""
        return {sending_id for name, one, sending_id in self.parts if (name, one) == (scope, key)}


def load_rolling(session: Session, now: datetime) -> Rolling:
    """Return the counts of everything that went out in the last 30 days."""
    sums: dict[tuple[str, str], dict[Window, list[int]]] = {}
    parts: dict[tuple[str, str, int], dict[Window, list[int]]] = {}
    for sending_id, domain, provider, window, figures in _iter_figures(session, now):
        for scope, key in (("", ""), ("sending", str(sending_id)), ("domain", domain), ("provider", provider)):
            _add(sums.setdefault((scope, key), {}), window, figures)
            if scope in ("domain", "provider"):
                _add(parts.setdefault((scope, key, sending_id), {}), window, figures)
    return Rolling(
        {place: {window: Counts(*row) for window, row in rows.items()} for place, rows in sums.items()},
        {place: {window: Counts(*row) for window, row in rows.items()} for place, rows in parts.items()},
    )


def _add(rows: dict[Window, list[int]], window: Window, figures: _Row) -> None:
    row = rows.get(window)
    if row is None:
        rows[window] = list(figures)
    else:
        for place, figure in enumerate(figures):
            row[place] += figure


def _iter_figures(session: Session, now: datetime) -> Iterator[tuple[int, str, str, Window, _Row]]:
    """Yield the figures of each sending, domain and provider in each window; recent slots are read by their index."""
    starts = {window: window_start(window, now) for window in Window}
    hour = [func.sum(case((RateSlot.slot >= starts[Window.HOUR], column), else_=0)) for column in _COLUMNS]
    whole = [func.sum(column) for column in _COLUMNS]
    for windows, columns in (((Window.MONTH,), whole), ((Window.DAY, Window.HOUR), [*whole, *hour])):
        rows = session.execute(
            select(RateSlot.sending_id, RateLook.domain, RateSlot.provider, *columns)
            .join(RateLook, RateLook.sending_id == RateSlot.sending_id)
            .where(RateSlot.slot >= starts[windows[0]])
            .group_by(RateSlot.sending_id, RateLook.domain, RateSlot.provider)
        )
        for sending_id, domain, provider, *sums in rows:
            for place, window in enumerate(windows):
                part = tuple(map(int, sums[place * len(_COLUMNS) : (place + 1) * len(_COLUMNS)]))
                if any(part):
                    yield sending_id, domain, provider, window, _figures(provider, part)


def list_days(session: Session, now: datetime, *, days: int = 30) -> list[tuple[date, Counts]]:
    """Return the counts of each of the last days in UTC, oldest first; days without mail are there too."""
    first = now.date() - timedelta(days=days - 1)
    day = func.date(RateSlot.slot)
    rows = session.execute(
        select(day, RateSlot.provider, *(func.sum(column) for column in _COLUMNS))
        .where(RateSlot.slot >= datetime(first.year, first.month, first.day, tzinfo=UTC))
        .group_by(day, RateSlot.provider)
    )
    found: dict[str, Counts] = {}
    for name, provider, *part in rows:
        found[str(name)] = found.get(str(name), Counts()) + _counts(provider, tuple(map(int, part)))
    listed = [first + timedelta(days=number) for number in range(days)]
    return [(one, found.get(one.isoformat(), Counts())) for one in listed]


def load_since(
    session: Session, scope: str, key: str, since: datetime, now: datetime, *, but: int | None = None
) -> Windows:
    """Return the counts of mails of a scope that went out after `since`, in the three windows; `but`: without it."""
    found: dict[Window, Counts] = {}
    for window in Window:
        start = max(since, window_start(window, now))
        rows = session.execute(
            select(RateSlot.provider, *(func.sum(column) for column in _COLUMNS))
            .join(RateLook, RateLook.sending_id == RateSlot.sending_id)
            .where(RateSlot.slot >= start, _in_scope(scope, key), RateSlot.sending_id != (but or 0))
            .group_by(RateSlot.provider)
        )
        found[window] = sum((_counts(provider, tuple(map(int, part))) for provider, *part in rows), Counts())
    return found


def _in_scope(scope: str, key: str) -> ColumnElement[bool]:
    if scope == "sending":
        return RateSlot.sending_id == int(key)
    return RateLook.domain == key if scope == "domain" else RateSlot.provider == key


def window_start(window: Window, now: datetime) -> datetime:
    """Return where a window begins: with a slot, so that the one that is cut through counts (counting.py)."""
    moment = now - SPANS[window]
    size = COARSE_SECONDS if SPANS[window] > COARSE_AFTER else SLOT_SECONDS
    return moment - timedelta(seconds=moment.timestamp() % size)


def _figures(provider: str, row: _Row) -> _Row:
    """Return the columns of a row as the fields of Counts."""
    transmitted, accepted, deferred, hard, soft, later, complaints, unsubscribed = row
    delivered = accepted - later
    reporting, told = (0, 0) if provider in REPORTS_NONE else (delivered, complaints)
    return transmitted, accepted, deferred, hard, soft, delivered, reporting, told, unsubscribed


def _counts(provider: str, row: _Row) -> Counts:
    return Counts(*_figures(provider, row))


def count_open(session: Session, now: datetime) -> tuple[int, int]:
    """Return the mails that wait for another try in sendings that run, and those of 30 days whose answer never came."""
    is_recent = or_(Sending.finished_at.is_(None), Sending.finished_at > now - SPANS[Window.MONTH])
    running = func.sum(RateLook.waiting).filter(Sending.state == SendingState.SENDING.value)
    unknown = func.sum(RateLook.unknown).filter(is_recent)
    counted = select(running, unknown).select_from(RateLook).join(Sending, Sending.id == RateLook.sending_id)
    row = session.execute(counted).one()
    return int(row[0] or 0), int(row[1] or 0)


# ------------------------------------------------------------------ the breaker


def find_breaker(session: Session, scope: str, key: str = "") -> Breaker | None:
    """Return the breaker of a scope, None where it never tripped."""
    return session.scalars(select(Breaker).where(Breaker.scope == scope, Breaker.scope_key == key)).one_or_none()


def list_breakers(session: Session, *, only_open: bool = False) -> Sequence[Breaker]:
    """Return the breakers that ever tripped, the last changed first; `only_open`: those that are not `ok`."""
    query = select(Breaker).order_by(Breaker.changed_at.desc(), Breaker.id.desc())
    return session.scalars(query.where(Breaker.state != BreakerState.OK.value) if only_open else query).all()


def list_changes(
    session: Session, scope: str | None = None, key: str | None = None, *, limit: int = 20
) -> Sequence[BreakerChange]:
    """Return the history of a breaker, of all for None, newest first."""
    query = select(BreakerChange).order_by(BreakerChange.id.desc()).limit(limit)
    if scope is not None:
        query = query.where(BreakerChange.scope == scope, BreakerChange.scope_key == (key or ""))
    return session.scalars(query).all()


def worst_state(session: Session) -> BreakerState:
    """Return the gravest state of all breakers."""
    states = [BreakerState(state) for state in session.scalars(select(Breaker.state).distinct())]
    return max(states, key=tuple(BreakerState).index, default=BreakerState.OK)


# ------------------------------------------------------------------ canaries and outside figures


def find_watch(session: Session, sending_id: int) -> CanaryWatch | None:
    """Return the watch over a sending's canary."""
    return session.get(CanaryWatch, sending_id)


def list_newest_rates(session: Session, today: date) -> list[OutsideFigure]:
    """Return the newest outside figure with a spam rate of each domain in the last 30 days, by domain."""
    row = OutsideFigure
    known = (row.spam_rate.is_not(None), row.day > today - SPANS[Window.MONTH])
    newest = select(row.domain, func.max(row.day).label("day")).where(*known).group_by(row.domain).subquery("newest")
    of_that_day = (row.domain == newest.c.domain, row.day == newest.c.day, row.spam_rate.is_not(None))
    return list(session.scalars(select(row).join(newest, and_(*of_that_day)).order_by(row.domain)))


def list_outside(session: Session, *, limit: int = 200) -> Sequence[OutsideFigure]:
    """Return outside figures, newest day first."""
    return session.scalars(
        select(OutsideFigure).order_by(OutsideFigure.day.desc(), OutsideFigure.domain).limit(limit)
    ).all()
