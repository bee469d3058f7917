"""Which relay a worker uses and how fast: from the installation's settings and the workspace's limits."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.delivery.relays import Relay, parse_relay
from mailer.errors import SetupError
from mailer.schema.delivery import Sending
from mailer.settings import is_loopback
from mailer.statuses import SendingState
from mailer.workspace.queries import get_limit

EMBEDDED_RATE = 2_000.0
EMBEDDED_CONNECTIONS = 20


@dataclass(frozen=True)
class TransportPlan:
    """A relay and the limits of one run of the loop. `rates`: sendings with a rate of their own."""

    relay: Relay
    connections: int
    rate_per_second: float
    rates: dict[int, int]

    def sending_rate(self, sending_id: int) -> float | None:
        """Return the rate a sending asked for, None for none of its own."""
        return self.rates.get(sending_id)


def load_plan(session: Session, ctx: Context) -> TransportPlan:
    """Return the plan for now.

    Raises:
        SetupError: no relay is set; there is no fall-back outside `mailer up`.
    """
    url = ctx.settings.smtp_url.get_secret_value()
    if not url:
        raise SetupError("no relay is set, so nothing can be sent", mend="set MAILER_SMTP_URL, or use `mailer up`")
    rates = session.execute(
        select(Sending.id, Sending.rate_per_second).where(
            Sending.state == SendingState.SENDING.value, Sending.rate_per_second.is_not(None)
        )
    )
    if not is_relay_permitted(ctx):
        raise SetupError(
            f"{describe_relay(ctx)} is outside this machine, and sending to real people is not switched on",
            mend="set MAILER_ALLOW_EXTERNAL_RELAY=true",
        )
    own = {sending_id: rate for sending_id, rate in rates if rate is not None}
    rate, connections = relay_limits(session, ctx)
    return TransportPlan(relay=parse_relay(url), connections=connections, rate_per_second=rate, rates=own)


def relay_limits(session: Session, ctx: Context) -> tuple[float, int]:
    """Return mails a second and connections: the catcher's own under `mailer up`, else the workspace's."""
    if is_embedded(ctx):
        return EMBEDDED_RATE, EMBEDDED_CONNECTIONS
    return get_limit(session, "rate_per_second"), int(get_limit(session, "relay_connections"))


def is_embedded(ctx: Context) -> bool:
    """Whether mail goes to the catcher of `mailer up`, which needs no care."""
    port = ctx.settings.embedded_ports.get("catcher")
    return port is not None and ctx.settings.smtp_url.get_secret_value() == f"smtp://127.0.0.1:{port}"


def describe_relay(ctx: Context) -> str:
    """Return host and port of the relay, without its password; empty where none is set."""
    url = ctx.settings.smtp_url.get_secret_value()
    return str(parse_relay(url)) if url else ""


def is_relay_permitted(ctx: Context) -> bool:
    """Whether mail may go to the relay: one outside this machine needs the switch of the settings."""
    url = ctx.settings.smtp_url.get_secret_value()
    return ctx.settings.allow_external_relay or not url or is_loopback(parse_relay(url).host)
