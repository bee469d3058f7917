"""Are we safe? Rates against their limits, who is stopped and why, and what else would cost the sender its name.

Everything is read from counts and small tables, so that the page costs the same whatever was sent.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.backlog import Backlog, get_backlog
from mailer.delivery.domain_queries import DomainLine, list_domains
from mailer.delivery.domains import Light
from mailer.delivery.workers import Worker
from mailer.reports.operations import find_workers
from mailer.reputation import queries
from mailer.reputation.heartbeat import SILENT_SECONDS, last_beat
from mailer.reputation.policy import REPORTS_NONE, Counts, Figure, Limits, Window, is_enough, share_of
from mailer.reputation.queries import Rolling
from mailer.schema.bounces import BounceReport, WebhookEndpoint
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Event
from mailer.schema.reputation import Breaker, BreakerChange, OutsideFigure, RateLook
from mailer.statuses import BreakerState, EventKind

DEFERRED_AMBER = 0.05
"""While more is put off, a domain that warms up does not grow (delivery/warm_up.py)."""
_REASONS_SHOWN, _REASON_DAYS, _GROWTH_DAYS = 8, 7, 30
_BOUNCES = (EventKind.HARD_BOUNCE.value, EventKind.SOFT_BOUNCE.value)


class Level(StrEnum):
    """How bad something is."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


_LEVELS = {
    BreakerState.OK: Level.OK,
    BreakerState.REVIEW: Level.WARN,
    BreakerState.THROTTLED: Level.WARN,
    BreakerState.PAUSED: Level.BAD,
    BreakerState.DISABLED: Level.BAD,
}


@dataclass(frozen=True)
class Bar:
    """A share against its limit. `says_something`: there are enough mails for a judgement."""

    figure: str
    count: int
    whole: int
    amber: float
    limit: float
    says_something: bool

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return share_of(self.count, self.whole)

    @property
    def level(self) -> Level:
        """Colors of the bar; too few mails for a judgement are calm."""
        if not self.says_something or self.share < self.amber:
            return Level.OK
        return Level.BAD if self.share >= self.limit else Level.WARN

    @property
    def filled(self) -> float:
        """How far the bar goes, in per cent of its length; the limit stands at 80."""
        return round(min(100.0, 80 * self.share / self.limit), 2) if self.limit else 0.0

    @property
    def amber_at(self) -> float:
        """Where the amber line stands, in per cent of the length."""
        return round(80 * self.amber / self.limit, 2) if self.limit else 0.0


@dataclass(frozen=True)
class ScopeLine:
    """A domain or mailbox provider with its bars in the chosen window."""

    key: str
    counts: Counts
    bars: Sequence[Bar]
    state: BreakerState
    reports_complaints: bool = True


@dataclass(frozen=True)
class BreakerLine:
    """A breaker that is not `ok`; `name` and `public_id` are those of the campaign, where it is one's."""

    row: Breaker
    name: str
    public_id: uuid.UUID | None
    reasons: Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Finding:
    """Something to look at; `code` is worded by the page."""

    code: str
    level: Level
    detail: Mapping[str, object]


@dataclass(frozen=True)
class Safety:
    """Everything on the page."""

    level: Level
    findings: Sequence[Finding]
    window: Window
    counts: Counts
    limits: Limits
    bars: Mapping[Window, Sequence[Bar]]
    domains: Sequence[ScopeLine]
    providers: Sequence[ScopeLine]
    breakers: Sequence[BreakerLine]
    changes: Sequence[tuple[BreakerChange, str]]
    backlog: Backlog
    waiting: int
    unknown: int
    workers: Sequence[Worker] | None
    background_at: datetime | None
    dns: Sequence[DomainLine]
    webhooks: Sequence[WebhookEndpoint]
    sources: Sequence[tuple[str, datetime, int]]
    reasons: Sequence[tuple[str, str, int]]
    suppressed: int
    growth: Sequence[tuple[date, int]]
    outside: Sequence[OutsideFigure]
    counted_at: datetime | None


def get_safety(session: Session, ctx: Context, window: Window = Window.DAY) -> Safety:
    """Return where the sender's reputation stands now."""
    now = utc_now()
    rolling, limits = queries.load_rolling(session, now), queries.load_limits(session)
    breakers = list_open(session)
    backlog, dns = get_backlog(session, ctx), list_domains(session)
    workers, beat = find_workers(ctx), last_beat(ctx.redis)
    whole = rolling.of()
    findings = [
        *_breaker_findings(breakers),
        *_work_findings(backlog, workers, beat),
        *_dns_findings(dns),
        *_outside_findings(queries.list_newest_rates(session, now.date()), limits),
    ]
    waiting, unknown = queries.count_open(session, now)
    return Safety(
        level=max((one.level for one in findings), key=tuple(Level).index, default=Level.OK),
        findings=sorted(findings, key=lambda one: -tuple(Level).index(one.level)),
        window=window,
        counts=whole.get(window, Counts()),
        limits=limits,
        bars={one: list_bars(whole.get(one, Counts()), limits) for one in Window},
        domains=_lines(rolling, "domain", window, limits, breakers),
        providers=_lines(rolling, "provider", window, limits, breakers),
        breakers=breakers,
        changes=_changes(session),
        backlog=backlog,
        waiting=waiting,
        unknown=unknown,
        workers=workers,
        background_at=beat,
        dns=dns,
        webhooks=list_webhooks(session),
        sources=list_sources(session),
        reasons=_list_reasons(session),
        suppressed=session.scalar(select(func.count()).where(Suppression.lifted_at.is_(None))) or 0,
        growth=count_growth(session),
        outside=queries.list_outside(session, limit=10),
        counted_at=session.scalar(select(func.max(RateLook.looked_at))),
    )


# ------------------------------------------------------------------ bars


def list_bars(counts: Counts, limits: Limits) -> list[Bar]:
    """Return the bars of hard bounces, complaints, unsubscribes and deferrals."""
    throttle = limits.complaint_throttle
    return [
        _bar(Figure.HARD, counts, limits.hard_amber, limits.hard_pause, BreakerState.PAUSED),
        _bar(Figure.COMPLAINTS, counts, throttle / 2, throttle, BreakerState.THROTTLED),
        _bar(Figure.UNSUBSCRIBES, counts, limits.unsubscribe_amber, limits.unsubscribe_review, BreakerState.REVIEW),
        Bar("deferrals", counts.deferred, counts.accepted, DEFERRED_AMBER, 2 * DEFERRED_AMBER, counts.accepted > 0),
    ]


def _bar(figure: Figure, counts: Counts, amber: float, limit: float, state: BreakerState) -> Bar:
    count, whole = counts.part_of(figure)
    return Bar(figure.value, count, whole, amber, limit, is_enough(figure, state, count, whole))


def _lines(
    rolling: Rolling, scope: str, window: Window, limits: Limits, breakers: Sequence[BreakerLine]
) -> list[ScopeLine]:
    states = {line.row.scope_key: BreakerState(line.row.state) for line in breakers if line.row.scope == scope}
    lines = []
    for key in rolling.keys(scope):
        counts = rolling.of(scope, key).get(window, Counts())
        silent = scope == "provider" and key in REPORTS_NONE
        state = states.get(key, BreakerState.OK)
        lines.append(ScopeLine(key, counts, list_bars(counts, limits), state, reports_complaints=not silent))
    return sorted(lines, key=lambda line: -line.counts.transmitted)


# ------------------------------------------------------------------ the breaker


def list_open(session: Session) -> list[BreakerLine]:
    """Return the breakers that are not `ok`, the gravest first."""
    rows = queries.list_breakers(session, only_open=True)
    names = _campaigns(session, [int(row.scope_key) for row in rows if row.scope == "sending"])
    order = tuple(BreakerState)
    lines = [
        BreakerLine(row, *names.get(row.scope_key, (row.scope_key, None)), reasons=row.figures.get("reasons", []))
        for row in rows
    ]
    return sorted(lines, key=lambda line: -order.index(BreakerState(line.row.state)))


def _campaigns(session: Session, sending_ids: Sequence[int]) -> dict[str, tuple[str, uuid.UUID | None]]:
    rows = session.execute(
        select(Campaign.sending_id, Campaign.name, Campaign.public_id).where(Campaign.sending_id.in_(sending_ids))
    )
    return {str(number): (name, public_id) for number, name, public_id in rows}


def _changes(session: Session) -> list[tuple[BreakerChange, str]]:
    rows = queries.list_changes(session, limit=12)
    names = _campaigns(session, [int(row.scope_key) for row in rows if row.scope == "sending"])
    return [(row, names.get(row.scope_key, (row.scope_key, None))[0]) for row in rows]


# ------------------------------------------------------------------ what to look at


def _breaker_findings(breakers: Sequence[BreakerLine]) -> list[Finding]:
    return [
        Finding(
            "breaker",
            _LEVELS[BreakerState(line.row.state)],
            {"scope": line.row.scope, "name": line.name, "state": line.row.state, "anchor": f"breaker-{line.row.id}"},
        )
        for line in breakers
    ]


def _work_findings(backlog: Backlog, workers: Sequence[Worker] | None, beat: datetime | None) -> list[Finding]:
    found = []
    if backlog.is_stalled:
        found.append(Finding("stalled", Level.BAD, {"age": backlog.age_seconds}))
    if workers is not None and not workers:
        found.append(Finding("no_worker", Level.BAD, {}))
    if beat is None or (utc_now() - beat).total_seconds() > SILENT_SECONDS:
        found.append(Finding("no_background", Level.BAD, {"at": beat}))
    return found


def _dns_findings(dns: Sequence[DomainLine]) -> list[Finding]:
    return [
        Finding(
            "dns", Level.BAD if line.light is Light.FAIL else Level.WARN, {"domain": line.domain, "id": line.public_id}
        )
        for line in dns
        if line.light in (Light.FAIL, None)
    ]


def _outside_findings(figures: Sequence[OutsideFigure], limits: Limits) -> list[Finding]:
    """Figures above a limit; Google reports no complaints in any other way."""
    return [
        Finding(
            "outside",
            Level.BAD if one.spam_rate >= limits.complaint_pause else Level.WARN,
            {"domain": one.domain, "rate": one.spam_rate, "day": one.day},
        )
        for one in figures
        if one.spam_rate is not None and one.spam_rate >= limits.complaint_throttle
    ]


# ------------------------------------------------------------------ what comes back


def list_webhooks(session: Session) -> Sequence[WebhookEndpoint]:
    """Return the providers that may call us, by name."""
    return session.scalars(
        select(WebhookEndpoint).where(WebhookEndpoint.archived_at.is_(None)).order_by(WebhookEndpoint.name)
    ).all()


def list_sources(session: Session) -> list[tuple[str, datetime, int]]:
    """Return through which doors reports came in the last 30 days: the last one of each, and how many."""
    since = utc_now() - timedelta(days=30)
    rows = session.execute(
        select(BounceReport.source, func.max(BounceReport.received_at), func.count())
        .where(BounceReport.received_at > since)
        .group_by(BounceReport.source)
        .order_by(func.max(BounceReport.received_at).desc())
    )
    return [(source, at, count) for source, at, count in rows]


def _list_reasons(session: Session) -> list[tuple[str, str, int]]:
    """Return kind, reason and number of the bounces of the last week, most often first."""
    since = utc_now() - timedelta(days=_REASON_DAYS)
    number = func.count(Event.message_id.distinct())
    rows = session.execute(
        select(Event.kind, Event.reason, number)
        .where(Event.kind.in_(_BOUNCES), Event.at > since)
        .group_by(Event.kind, Event.reason)
        .order_by(number.desc())
        .limit(_REASONS_SHOWN)
    )
    return [(kind, reason or "not_said", count) for kind, reason, count in rows]


def count_growth(session: Session) -> list[tuple[date, int]]:
    """Return how many addresses were suppressed on each of the last 30 days (UTC), oldest first."""
    today = utc_now().date()
    first = today - timedelta(days=_GROWTH_DAYS - 1)
    since = utc_now() - timedelta(days=_GROWTH_DAYS)
    day = func.date(Suppression.created_at)
    counted = {
        str(name): count
        for name, count in session.execute(
            select(day, func.count()).where(Suppression.created_at > since).group_by(day)
        )
    }
    days = [first + timedelta(days=number) for number in range(_GROWTH_DAYS)]
    return [(one, counted.get(one.isoformat(), 0)) for one in days]
