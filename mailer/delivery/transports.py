"""Which relays a worker uses and how fast: the database's transports, else the relay of the settings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.buckets import SendingLimits, list_limits
from mailer.delivery.queries import get_progress
from mailer.delivery.relays import PlannedRelay, Relay, choose_relay, parse_relay
from mailer.delivery.throttle import Limit
from mailer.delivery.warm_up import load_budget
from mailer.delivery.workers import count_workers
from mailer.errors import SetupError
from mailer.schema.delivery import Sending
from mailer.schema.transports import RelayState, Transport
from mailer.schema.workspace import Sender
from mailer.sealing import unseal
from mailer.settings import is_loopback
from mailer.statuses import SendingClass
from mailer.workspace.limits import PROVIDER_RATES
from mailer.workspace.queries import get_limit

SETTINGS = "settings"
EMBEDDED_CONNECTIONS = 50


@dataclass(frozen=True)
class TransportPlan:
    """The relays and limits of one run of the loop. `resting`: keys of relays that are left alone for now."""

    relays: tuple[PlannedRelay, ...]
    resting: frozenset[str] = frozenset()
    provider_rates: Mapping[str, float] = field(default_factory=dict)

    def choose_relay(self, number: int, resting: Collection[str] = ()) -> PlannedRelay | None:
        """Return the relay for the `number`-th batch; `resting` are keys that this worker found not to answer."""
        return choose_relay(self.relays, number, self.resting.union(resting))

    def limits_of(self, relay: PlannedRelay, sending: SendingLimits, provider: str) -> tuple[Limit, ...]:
        """Return what a batch must ask before its mails go; nothing where nothing limits it."""
        return list_limits(relay, sending, provider, self.provider_rates)


def load_plan(session: Session, ctx: Context) -> TransportPlan:
    """Return the plan for now. Connections are this worker's share: the relay's, divided by the workers that live.

    Raises:
        SetupError: no relay is set, or none that may be used; there is no fall-back outside `mailer up`.
    """
    states = {state.key: state for state in session.scalars(select(RelayState))}
    workers = count_workers(ctx.redis)
    relays = tuple(
        PlannedRelay(
            key=one.key,
            name=one.name,
            relay=one.relay,
            weight=one.weight,
            connections=one.connections if one.is_embedded else max(1, one.connections // workers),
            rate_per_second=one.rate_per_second,
            adapts=not one.is_embedded,
            has_failed=one.key in states and states[one.key].failures > 0,
        )
        for one in list_usable(session, ctx)
    )
    now = utc_now()
    resting = (key for key, state in states.items() if state.resting_until is not None and state.resting_until > now)
    return TransportPlan(relays, frozenset(resting), load_provider_rates(session))


def load_provider_rates(session: Session) -> dict[str, float]:
    """Return the mails a second that the workspace allows for each mailbox provider; those without a limit left out."""
    rates = {provider: get_limit(session, name) for provider, name in PROVIDER_RATES.items()}
    return {provider: rate for provider, rate in rates.items() if rate > 0}


def load_sending_limits(session: Session, ctx: Context, sending_id: int) -> SendingLimits:
    """Return the limits that a sending brings along; while its domain warms up, only marketing counts against it."""
    sending = session.get_one(Sending, sending_id)
    email = session.scalar(select(Sender.from_email).where(Sender.id == sending.sender_id)) or ""
    is_marketing = sending.sending_class == SendingClass.MARKETING
    budget = load_budget(session, ctx, email) if is_marketing else None
    return SendingLimits(sending_id, _own_rate(sending), budget)


def _own_rate(sending: Sending) -> float | None:
    """Return what a sending was given, less where the breaker has slowed it down."""
    rates = [rate for rate in (sending.rate_per_second, sending.slowed_to) if rate is not None]
    return min(rates, default=None)


def half_rate(session: Session, ctx: Context, sending_id: int) -> int:
    """Return half of what a sending goes at now, in mails a second: of its own limit, else of its relays', at least 1.

    Where nothing limits it, half of what was accepted in the last 20 seconds.
    """
    sending = session.get_one(Sending, sending_id)
    relays = [relay.rate_per_second for relay in list_relays(session, ctx)]
    total = sum(rate for rate in relays if rate is not None) if relays and None not in relays else None
    known = [rate for rate in (sending.rate_per_second, total) if rate is not None]
    rate = min(known) if known else get_progress(session, ctx, sending).rate_per_second
    return max(1, int(rate / 2))


# ------------------------------------------------------------------ relays


@dataclass(frozen=True)
class UsableRelay:
    """A relay as it was set up: connections and rate are for all workers together; rate None is no limit."""

    key: str
    name: str
    relay: Relay
    weight: int
    connections: int
    rate_per_second: float | None
    is_embedded: bool = False


def transport_key(transport_id: int) -> str:
    """Return the name under which a transport is counted."""
    return f"transport:{transport_id}"


def secret_context(transport: Transport) -> str:
    """Return what the seal of a transport's URL is bound to."""
    return f"transport:{transport.public_id}"


def unseal_relay(ctx: Context, transport: Transport) -> Relay:
    """Return the relay of a transport, with its password. SetupError where the keys are not those that sealed it."""
    return parse_relay(unseal(ctx.keys, secret_context(transport), transport.secret).decode())


def list_usable(session: Session, ctx: Context) -> list[UsableRelay]:
    """Return the relays that mail may go through now.

    Raises:
        SetupError: there is none, or none that is permitted.
    """
    found = list_relays(session, ctx)
    if not found:
        raise SetupError(
            "no relay is set, so nothing can be sent",
            mend="set MAILER_SMTP_URL, add one with `mailer transports add`, or use `mailer up`",
        )
    permitted = [one for one in found if is_permitted(ctx, one.relay)]
    if not permitted:
        raise SetupError(
            f"{found[0].relay} is outside this machine, and sending to real people is not switched on",
            mend="set MAILER_ALLOW_EXTERNAL_RELAY=true",
        )
    return permitted


def list_relays(session: Session, ctx: Context) -> list[UsableRelay]:
    """Return the relays that are switched on: enabled transports, else the relay of the settings; permitted or not."""
    rows = session.scalars(
        select(Transport).where(Transport.is_enabled, Transport.archived_at.is_(None)).order_by(Transport.id)
    ).all()
    return [describe_transport(ctx, row) for row in rows] or list(settings_relay(session, ctx))


def describe_transport(ctx: Context, row: Transport) -> UsableRelay:
    """Return a transport as a relay."""
    return UsableRelay(
        transport_key(row.id), row.name, unseal_relay(ctx, row), row.weight, row.connections, row.rate_per_second
    )


def settings_relay(session: Session, ctx: Context) -> Sequence[UsableRelay]:
    """Return the relay of MAILER_SMTP_URL, or of `mailer up`; nothing where none is set."""
    url = ctx.settings.smtp_url.get_secret_value()
    if not url:
        return []
    rate, connections = relay_limits(session, ctx)
    return [UsableRelay(SETTINGS, SETTINGS, parse_relay(url), 1, connections, rate, is_embedded(ctx))]


def relay_limits(session: Session, ctx: Context) -> tuple[float | None, int]:
    """Return mails a second (None: no limit) and connections of the relay of the settings."""
    if is_embedded(ctx):
        return None, EMBEDDED_CONNECTIONS
    return get_limit(session, "rate_per_second") or None, int(get_limit(session, "relay_connections"))


def is_embedded(ctx: Context) -> bool:
    """Whether the relay of the settings is the catcher of `mailer up`, which needs no care."""
    port = ctx.settings.embedded_ports.get("catcher")
    return port is not None and ctx.settings.smtp_url.get_secret_value() == f"smtp://127.0.0.1:{port}"


def is_permitted(ctx: Context, relay: Relay) -> bool:
    """Whether mail may go to a relay: one outside this machine needs the switch of the settings."""
    return ctx.settings.allow_external_relay or is_loopback(relay.host)


def describe_relays(session: Session, ctx: Context) -> tuple[str, bool]:
    """Return the relays in words, without passwords (empty where none is set), and whether one may be used."""
    found = list_relays(session, ctx)
    shown = ", ".join(f"{one.name} ({one.relay})" if one.key != SETTINGS else str(one.relay) for one in found)
    return shown, any(is_permitted(ctx, one.relay) for one in found)
