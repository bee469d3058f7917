"""Metrics for Prometheus (text format 0.0.4), computed at each scrape from counts and small tables. Never commits.

No message table is read: a scrape costs the same whatever was sent. Labels are names of our own, never a person's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.backlog import get_backlog
from mailer.delivery.domain_queries import list_domains
from mailer.delivery.domains import Light
from mailer.reports.operations import find_workers
from mailer.reports.safety import list_webhooks
from mailer.reputation import queries
from mailer.reputation.heartbeat import last_beat
from mailer.reputation.policy import Counts, share_of
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker, CanaryWatch
from mailer.schema.transports import RelayState
from mailer.statuses import BreakerState, HoldReason, SendingState
from mailer.tracking.ingest import look_at_spool
from mailer.workspace.queries import is_stopped

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]
_RANK = {state: rank for rank, state in enumerate(BreakerState)}


@dataclass
class Family:
    """One metric with its samples by labels."""

    name: str
    help: str
    samples: dict[Labels, float] = field(default_factory=dict)

    def add(self, value: float | None, **labels: str) -> None:
        """Add a sample; None is one that nobody knows, and is left out."""
        if value is not None:
            self.samples[tuple(sorted(labels.items()))] = float(value)


def render_metrics(families: Iterable[Family]) -> str:
    """Return the text that Prometheus reads."""
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} gauge"]
        lines += [f"{family.name}{_braces(labels)} {value:.10g}" for labels, value in family.samples.items()]
    return "\n".join(lines) + "\n"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def collect_metrics(session: Session, ctx: Context) -> list[Family]:
    """Return every metric as it is now."""
    now = utc_now()
    return [
        *_work(session, ctx, now),
        *_sendings(session, now),
        *_rates(session, now),
        *_breakers(session),
        *_ways_out(session, now),
        *_ways_in(session, now),
        *_spool(ctx, now),
        *_audience(session, now),
    ]


def _one(name: str, help_text: str, value: float | None) -> Family:
    family = Family(name, help_text)
    family.add(value)
    return family


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def _work(session: Session, ctx: Context, now: datetime) -> Iterator[Family]:
    backlog, workers = get_backlog(session, ctx), find_workers(ctx)
    yield _one("mailer_due_batches", "Batches that may go now.", backlog.due)
    yield _one(
        "mailer_due_age_seconds", "Since when the oldest of them is due; 0 where none is.", backlog.age_seconds or 0
    )
    yield _one("mailer_batches_in_hand", "Batches that a worker holds.", backlog.in_hand)
    yield _one("mailer_redis_up", "Whether Redis answers.", float(workers is not None))
    yield _one("mailer_send_workers", "Send workers that reported in 20 s.", len(workers) if workers is not None else 0)
    beat = _age(last_beat(ctx.redis), now)
    yield _one(
        "mailer_background_age_seconds", "Since the last background work.", float("inf") if beat is None else beat
    )
    yield _one("mailer_stopped", "Whether everything is stopped by hand.", float(is_stopped(session)))


def _sendings(session: Session, now: datetime) -> Iterator[Family]:
    counted: dict[tuple[str, str | None], int] = {
        (state, held): count
        for state, held, count in session.execute(
            select(Sending.state, Sending.hold_reason, func.count())
            .where(Sending.state.in_([SendingState.PREPARING.value, SendingState.SENDING.value]))
            .group_by(Sending.state, Sending.hold_reason)
        )
    }
    running = Family("mailer_sendings", "Sendings that are prepared or run, held ones too.")
    for state in (SendingState.PREPARING, SendingState.SENDING):
        running.add(sum(count for (name, _), count in counted.items() if name == state), state=state.value)
    yield running
    held = Family("mailer_sendings_held", "Sendings that are held, by reason.")
    for reason in HoldReason:
        held.add(sum(count for (_, name), count in counted.items() if name == reason), reason=reason.value)
    yield held
    waiting, unknown = queries.count_open(session, now)
    yield _one("mailer_messages_waiting", "Mails put off that wait for another try.", waiting)
    yield _one("mailer_messages_unknown", "Mails of the last 30 days whose answer never came.", unknown)


_RATES = {
    "mailer_transmitted": "Mails transmitted in the window.",
    "mailer_hard_bounces": "Of these, bounced hard, whenever the bounce came.",
    "mailer_complaints": "Of these, complained about, at providers that report complaints.",
    "mailer_hard_bounce_ratio": "Hard bounces of transmitted, 0 to 1.",
    "mailer_complaint_ratio": "Complaints of delivered to providers that report them, 0 to 1.",
    "mailer_unsubscribe_ratio": "Unsubscribed of delivered, 0 to 1.",
    "mailer_deferral_ratio": "Put off at least once, of accepted, 0 to 1.",
}


def _rates(session: Session, now: datetime) -> Iterator[Family]:
    families = {name: Family(name, text) for name, text in _RATES.items()}
    rolling = queries.load_rolling(session, now)
    scopes = [("all", "", ""), *(("domain", "domain", key) for key in rolling.keys("domain"))]
    scopes += [("provider", "provider", key) for key in rolling.keys("provider")]
    for label, scope, key in scopes:
        for window, counts in rolling.of(scope, key).items():
            for name, value in _figures(counts).items():
                families[name].add(value, scope=label, key=key, window=window.value)
    return iter(families.values())


def _figures(counts: Counts) -> Mapping[str, float]:
    return {
        "mailer_transmitted": counts.transmitted,
        "mailer_hard_bounces": counts.hard,
        "mailer_complaints": counts.complaints,
        "mailer_hard_bounce_ratio": share_of(counts.hard, counts.transmitted),
        "mailer_complaint_ratio": share_of(counts.complaints, counts.reporting),
        "mailer_unsubscribe_ratio": share_of(counts.unsubscribed, counts.delivered),
        "mailer_deferral_ratio": share_of(counts.deferred, counts.accepted),
    }


def _breakers(session: Session) -> Iterator[Family]:
    rows = session.execute(select(Breaker.scope, Breaker.scope_key, Breaker.state)).all()
    states = Family("mailer_breaker_state", "0 ok, 1 review, 2 throttled, 3 paused, 4 disabled; those that are not ok.")
    for scope, key, state in rows:
        if state != BreakerState.OK:
            states.add(_RANK[BreakerState(state)], scope=scope, key=key)
    yield states
    counted = Family("mailer_breakers", "Breakers by state.")
    for one in BreakerState:
        counted.add(sum(state == one for _, _, state in rows), state=one.value)
    yield counted
    canaries = Family("mailer_canaries", "Campaigns whose first share is out or watched.")
    states_of = session.execute(select(CanaryWatch.state, func.count()).group_by(CanaryWatch.state))
    found = {state: count for state, count in states_of}
    for name in ("filling", "watching"):
        canaries.add(found.get(name, 0), state=name)
    yield canaries


def _ways_out(session: Session, now: datetime) -> Iterator[Family]:
    resting = Family("mailer_relay_resting", "Whether a relay is left alone after failures.")
    failures = Family("mailer_relay_failures", "Failures of a relay in a row.")
    for row in session.scalars(select(RelayState).order_by(RelayState.key)):
        resting.add(float(row.resting_until is not None and row.resting_until > now), relay=row.key)
        failures.add(row.failures, relay=row.key)
    yield resting
    yield failures
    dns = Family("mailer_domain_dns_ok", "Whether the DNS records of a sending domain are as they should be.")
    for line in list_domains(session):
        dns.add(float(line.light in (Light.OK, Light.WARN)), domain=line.domain)
    yield dns
    outside = Family("mailer_outside_spam_ratio", "Spam reports that Google counted on the newest day known, 0 to 1.")
    for figure in queries.list_newest_rates(session, now.date()):
        outside.add(figure.spam_rate, domain=figure.domain)
    yield outside


def _ways_in(session: Session, now: datetime) -> Iterator[Family]:
    received = BounceReport.state == "received"
    waiting, oldest = session.execute(select(func.count(), func.min(BounceReport.received_at)).where(received)).one()
    yield _one("mailer_reports_waiting", "Reports that came back and are not read yet.", waiting)
    yield _one("mailer_reports_waiting_age_seconds", "Since when the oldest of them waits.", _age(oldest, now) or 0)
    last = session.scalar(select(func.max(BounceReport.received_at)))
    yield _one("mailer_report_age_seconds", "Since the last report came back.", _age(last, now))
    refused = Family("mailer_webhook_refused", "Whether the last call of a provider was refused.")
    age = Family("mailer_webhook_age_seconds", "Since the last good call of a provider.")
    for endpoint in list_webhooks(session):
        good, call = endpoint.last_good_at, endpoint.last_call_at
        refused.add(float(call is not None and (good is None or call > good)), endpoint=endpoint.name)
        age.add(_age(good, now), endpoint=endpoint.name)
    yield refused
    yield age


def _spool(ctx: Context, now: datetime) -> Iterator[Family]:
    """Of the host that answers: each web host has a spool of its own."""
    state = look_at_spool(ctx)
    lost = state.refused.count if state.refused else 0
    yield _one("mailer_spool_bytes", "Opens and clicks of this host that wait to be taken in.", state.waiting_bytes)
    yield _one("mailer_spool_age_seconds", "Since when the oldest of them waits.", _age(state.oldest_at, now) or 0)
    yield _one("mailer_hits_lost", "Opens and clicks that this host could not keep, ever.", lost)
    yield _one("mailer_spool_damaged_files", "Spool files that were set aside.", len(state.damaged))


def _audience(session: Session, now: datetime) -> Iterator[Family]:
    active = select(func.count()).select_from(Suppression).where(Suppression.lifted_at.is_(None))
    yield _one("mailer_suppressions", "Suppressions in force.", session.scalar(active))
    added = active.where(Suppression.created_at > now - timedelta(days=1))
    yield _one("mailer_suppressions_added_24h", "Of these, added in 24 hours.", session.scalar(added))
