"""An hour in which a provider calls far too many mailboxes dead is held, marked, and undone in bulk (FEATURES B7)."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from mailer.bounces import mistakes
from mailer.bounces.mistakes import Tried, is_mistake
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.holds import list_provider_holds
from mailer.delivery.service import apply_event
from mailer.errors import ConflictError
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address
from mailer.schema.delivery import Message, Sending
from mailer.schema.reputation import RateSlot
from mailer.statuses import EventKind, SendingState
from tests.bounces.test_service import make_message
from tests.support.engines import on_one_engine


@pytest.mark.parametrize(
    ("hour", "month", "expected"),
    [
        (Tried(50, 3), Tried(10_000, 100), True),
        (Tried(49, 49), Tried(10_000, 100), False),
        (Tried(100, 5), Tried(10_000, 10), False),
        (Tried(100, 6), Tried(10_000, 10), True),
        (Tried(100, 10), Tried(10_000, 200), False),
        (Tried(100, 11), Tried(10_000, 200), True),
        (Tried(100, 6), Tried(0, 0), True),
        (Tried(0, 0), Tried(0, 0), False),
    ],
)
def test_the_thresholds_are_exact(hour: Tried, month: Tried, expected: bool) -> None:
    assert is_mistake(hour, month) is expected


def suspect(ctx: Context, provider: str = "yahoo") -> int:
    """A mail that bounced hard at a provider that refuses far too many; return its sending."""
    message_id = make_message(ctx)
    with ctx.write() as session:
        sending = session.get_one(Message, message_id).sending_id
        session.execute(update(Address).values(provider=provider))
        session.execute(update(Sending).values(state=SendingState.SENDING.value))
        event = DeliveryEvent(message_id, EventKind.HARD_BOUNCE, utc_now(), "hard", reason="user_unknown")
        apply_event(session, event)
        for ago, hard in ((timedelta(minutes=10), 20), (timedelta(days=3), 1)):
            session.add(
                RateSlot(sending_id=sending, provider=provider, slot=utc_now() - ago, transmitted=100, hard=hard)
            )
    return sending


def count_suspect(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).where(Suppression.is_suspect, Suppression.lifted_at.is_(None))) or 0


def test_a_mistake_is_held_marked_and_released_in_bulk(ctx: Context) -> None:
    sending = suspect(ctx)

    assert mistakes.watch_providers(ctx) == 1
    assert mistakes.watch_providers(ctx) == 0
    assert count_suspect(ctx) == 1
    with ctx.read() as session:
        assert [one.provider for one in list_provider_holds(session, sending)] == ["yahoo"]
        (incident,) = mistakes.list_open(session)

    assert mistakes.release_incident(ctx, incident.id, by=None) == 1

    with ctx.read() as session:
        assert list_provider_holds(session, sending) == []
        assert session.scalars(select(Address.bounce_state)).one() == "ok"
    assert mistakes.watch_providers(ctx) == 0, "a person has just looked at this hour"
    with pytest.raises(ConflictError):
        mistakes.release_incident(ctx, incident.id, by=None)


@on_one_engine
def test_no_mistake_keeps_the_suppressions_and_lets_the_batches_go(ctx: Context) -> None:
    sending = suspect(ctx)
    mistakes.watch_providers(ctx)
    with ctx.read() as session:
        (incident,) = mistakes.list_open(session)

    mistakes.dismiss_incident(ctx, incident.id, by=None)

    with ctx.read() as session:
        assert list_provider_holds(session, sending) == []
        assert session.scalars(select(Address.bounce_state)).one() == "hard"


@on_one_engine
def test_mailboxes_of_nobody_in_particular_are_never_suspected(ctx: Context) -> None:
    suspect(ctx, "other")

    assert mistakes.watch_providers(ctx) == 0
