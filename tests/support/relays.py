"""Relays, holds and unknown mails as pages show them. Safe to repeat: pages are listed more than once."""

from datetime import timedelta

from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import transport_service
from mailer.delivery.holds import PolicyRefusal, record_policy_refusals
from mailer.delivery.relay_health import note_failure
from mailer.delivery.transport_service import TransportValues
from mailer.delivery.warm_up import start_warm_up
from mailer.schema.delivery import Message
from mailer.schema.transports import RelayState, SendingDomain, Transport
from tests.support.story import Story


def make_relays(ctx: Context, story: Story) -> Transport:
    """Three relays, one of which rests; a held provider and two unknown mails in the running campaign; a warm-up."""
    with ctx.read() as session:
        there = session.scalar(select(Transport).where(Transport.name == "Main relay"))
    if there is not None:
        return there
    main = _add(
        ctx, "Main relay", "smtp://anna:secret@127.0.0.1:2525", weight="3", rate_per_second="14", connections="5"
    )
    second = _add(ctx, "Second data centre", "smtp://127.0.0.1:2526", rate_per_second="50", connections="10")
    _add(ctx, "Spare", "smtp://127.0.0.1:2527", weight="0")
    for _ in range(3):
        with ctx.write() as session:
            note_failure(session, f"transport:{second.id}", "no connection to 127.0.0.1:2526: Connection refused")
            session.execute(update(RelayState).values(last_error_at=utc_now() - timedelta(minutes=1)))
    _trouble(ctx, story)
    return main


def _add(ctx: Context, name: str, url: str, **more: str) -> Transport:
    return transport_service.add_transport(ctx, TransportValues(name=name, url=url, **more))


def _trouble(ctx: Context, story: Story) -> None:
    reply = "550 5.7.515 Access denied, sending domain does not meet the required authentication level"
    with ctx.write() as session:
        sending_id = story.running.sending_id or 0
        record_policy_refusals(session, [PolicyRefusal(sending_id, "microsoft", reply, utc_now())] * 3)
        lost = session.scalars(select(Message).where(Message.sending_id == sending_id).order_by(Message.id).limit(2))
        for reason, message in zip(("no_answer", "worker_lost"), lost, strict=True):
            message.state, message.reason, message.gate_at = "unknown", reason, utc_now() - timedelta(minutes=14)
            message.reply = "Main relay: no answer to the final dot: the server closed the connection"
        domain = session.scalars(select(SendingDomain)).first()
        if domain is not None:
            start_warm_up(session, ctx, domain)
