"""A provider's mistake: an hour in which one mailbox provider calls far too many mailboxes dead (FEATURES B7).

Providers have refused whole domains as "unknown user" for an hour before. Such an hour is found, its batches are held,
the suppressions that it made are marked suspect, and a person lifts them all at once or says that they are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.consent.release import Scope, count_scope, mark_suspect, release_scope
from mailer.context import Context
from mailer.delivery.holds import hold_provider_everywhere, release_provider_everywhere
from mailer.errors import ConflictError, NotFoundError
from mailer.log import get_logger
from mailer.schema.bounces import ProviderIncident
from mailer.schema.reputation import RateSlot
from mailer.statuses import SuppressionReason

log = get_logger("bounces")
MIN_TRIED, MIN_RATE, TIMES_MEAN = 50, 0.05, 5
HOUR, MONTH = timedelta(hours=1), timedelta(days=30)
OTHER = "other"
"""Mailboxes of nobody in particular: what they have in common is no provider."""


@dataclass(frozen=True)
class Tried:
    """Mails of a provider in a span, and how many of them bounced hard."""

    tried: int
    hard: int

    @property
    def rate(self) -> float:
        """Hard bounces over mails tried."""
        return self.hard / self.tried if self.tried else 0.0


def is_mistake(hour: Tried, month: Tried) -> bool:
    """Tell whether an hour's hard rate is above 5 % and five times the mean of 30 days, over at least 50 mails."""
    return hour.tried >= MIN_TRIED and hour.rate > MIN_RATE and hour.rate > TIMES_MEAN * month.rate


def watch_providers(ctx: Context) -> int:
    """Find mistakes of the last hour, hold the provider's batches, mark its suppressions suspect; return how many."""
    now = utc_now()
    with ctx.read() as session:
        hours, months = _sum(session, now - HOUR, now), _sum(session, now - MONTH, now - HOUR)
    found = 0
    for provider, hour in hours.items():
        month = months.get(provider, Tried(0, 0))
        if provider != OTHER and is_mistake(hour, month):
            found += _open(ctx, provider, hour, month, now)
    _mark_again(ctx)
    return found


def _sum(session: Session, since: datetime, until: datetime) -> dict[str, Tried]:
    rows = session.execute(
        select(RateSlot.provider, func.sum(RateSlot.transmitted), func.sum(RateSlot.hard))
        .where(RateSlot.slot >= since, RateSlot.slot < until)
        .group_by(RateSlot.provider)
    )
    return {provider: Tried(int(tried or 0), int(hard or 0)) for provider, tried, hard in rows}


def _open(ctx: Context, provider: str, hour: Tried, month: Tried, now: datetime) -> int:
    with ctx.write() as session:
        open_one = select(ProviderIncident.id).where(
            ProviderIncident.provider == provider, ProviderIncident.state == "open"
        )
        lately = ProviderIncident.closed_at > now - HOUR  # a person has just looked at this very hour
        looked = select(ProviderIncident.id).where(ProviderIncident.provider == provider, lately)
        if session.scalar(open_one) is not None or session.scalar(looked.limit(1)) is not None:
            return 0
        incident = ProviderIncident(
            provider=provider, began_at=now - HOUR, created_at=now, hard=hour.hard, tried=hour.tried,
            hard_rate=hour.rate, mean_rate=month.rate,
        )  # fmt: skip
        session.add(incident)
        session.flush()
        hold_provider_everywhere(session, provider, f"{hour.hard} of {hour.tried} called dead within an hour")
        detail = {"provider": provider, "hard": hour.hard, "tried": hour.tried}
        record_audit(session, "bounces.suspect_provider", actor="bounces", detail=detail)
    log.warning("provider_suspected", provider=provider, hard=hour.hard, tried=hour.tried)
    return 1


def _mark_again(ctx: Context) -> None:
    """Mark what came back since, too: reports of that hour keep coming."""
    with ctx.read() as session:
        scopes = [scope_of(incident) for incident in list_open(session)]
    for scope in scopes:
        mark_suspect(ctx, scope)


def scope_of(incident: ProviderIncident) -> Scope:
    """Return which suppressions an incident has made."""
    return Scope(reasons=[SuppressionReason.HARD_BOUNCE], provider=incident.provider, since=incident.began_at)


def list_open(session: Session) -> Sequence[ProviderIncident]:
    """Return incidents that nobody has looked at yet."""
    return session.scalars(
        select(ProviderIncident).where(ProviderIncident.state == "open").order_by(ProviderIncident.id)
    ).all()


def list_closed(session: Session, limit: int = 20) -> Sequence[ProviderIncident]:
    """Return the last incidents that somebody has closed."""
    query = select(ProviderIncident).where(ProviderIncident.state != "open").order_by(ProviderIncident.id.desc())
    return session.scalars(query.limit(limit)).all()


def count_suspects(session: Session, incident: ProviderIncident) -> int:
    """Return how many suppressions an incident would lift."""
    return count_scope(session, scope_of(incident))


def release_incident(ctx: Context, incident_id: int, *, by: int | None) -> int:
    """It was the provider's mistake: lift its suppressions, let its batches go; return how many were lifted.

    Safe to repeat after a kill: the incident is closed last.

    Raises:
        NotFoundError: no such incident.
        ConflictError: it is closed.
    """
    with ctx.read() as session:
        scope = scope_of(_get_open(session, incident_id))
    lifted = release_scope(ctx, scope, by=by, why="the provider's mistake")
    _close(ctx, incident_id, "released", lifted, by)
    return lifted


def dismiss_incident(ctx: Context, incident_id: int, *, by: int | None) -> None:
    """The mailboxes are dead: they stay suppressed, the provider's batches go on. Raises as `release_incident` does."""
    _close(ctx, incident_id, "dismissed", 0, by)


def _close(ctx: Context, incident_id: int, state: str, lifted: int, by: int | None) -> None:
    with ctx.write() as session:
        incident = _get_open(session, incident_id)
        incident.state, incident.lifted, incident.closed_at, incident.closed_by = state, lifted, utc_now(), by
        release_provider_everywhere(session, ctx, incident.provider, by=by)
        detail = {"provider": incident.provider, "state": state, "lifted": lifted}
        record_audit(session, "bounces.close_incident", by=by, subject=("incident", incident_id), detail=detail)


def _get_open(session: Session, incident_id: int) -> ProviderIncident:
    incident = session.get(ProviderIncident, incident_id)
    if incident is None:
        raise NotFoundError("no such incident")
    if incident.state != "open":
        raise ConflictError("somebody has closed it already")
    return incident
