"""Due mail that nobody takes raises an alarm; mail that waits for a limit or a person does not."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery.backlog import STALLED_SECONDS, Backlog, get_backlog
from mailer.delivery.claim import claim_batch
from mailer.schema.delivery import SendBatch, Sending
from mailer.schema.transports import ProviderHold
from tests.support.make import make_reader, make_sending, make_topic


def _scene(ctx: Context, not_before: datetime) -> int:
    """Return a running sending with one batch that is due since `not_before`."""
    with ctx.write() as session:
        topic = make_topic(session)
        reader = make_reader(session, topic, "anna@example.com", key=ctx.keys.suppression)
        sending_id = make_sending(session, ctx, [reader], topic).id
        session.execute(update(SendBatch).values(not_before=not_before))
    return sending_id


def _look(ctx: Context) -> Backlog:
    with ctx.read() as session:
        return get_backlog(session, ctx)


def test_mail_that_is_due_for_two_minutes_and_in_nobodys_hand_is_stalled(ctx: Context) -> None:
    _scene(ctx, utc_now() - timedelta(seconds=STALLED_SECONDS + 1))

    backlog = _look(ctx)

    assert (backlog.due, backlog.in_hand, backlog.is_stalled) == (1, 0, True)


def test_mail_that_is_due_since_a_moment_is_not_stalled(ctx: Context) -> None:
    _scene(ctx, utc_now() - timedelta(seconds=STALLED_SECONDS / 2))

    assert not _look(ctx).is_stalled


def test_mail_in_a_workers_hand_is_not_stalled_until_its_lease_has_run_out(ctx: Context) -> None:
    sending_id = _scene(ctx, utc_now() - timedelta(hours=1))
    with ctx.write() as session:
        session.execute(SendBatch.__table__.insert(), [_another(sending_id)])
        assert claim_batch(session, sending_id, utc_now()) is not None
    held = _look(ctx)
    with ctx.write() as session:
        session.execute(update(SendBatch).values(lease_until=utc_now() - timedelta(seconds=1)))

    assert (held.due, held.in_hand, held.is_stalled) == (1, 1, False)
    assert _look(ctx).is_stalled


def _another(sending_id: int) -> dict[str, object]:
    return {
        "sending_id": sending_id, "provider": "other", "ordinal": 9, "state": "ready", "token": 0, "claims": 0,
        "not_before": utc_now() - timedelta(hours=1),
    }  # fmt: skip


def _put_off(session: Session, _sending_id: int) -> None:
    session.execute(update(SendBatch).values(not_before=utc_now() + timedelta(minutes=1)))


def _pause(session: Session, sending_id: int) -> None:
    sendings.pause_sending(session, sending_id)


def _await_canary(session: Session, _sending_id: int) -> None:
    session.execute(update(Sending).values(release_limit=-1))


def _hold_provider(session: Session, sending_id: int) -> None:
    provider = session.query(SendBatch.provider).scalar()
    session.add(ProviderHold(sending_id=sending_id, provider=provider, reason="policy", note="", held_at=utc_now()))


@pytest.mark.parametrize("wait", [_put_off, _pause, _await_canary, _hold_provider])
def test_mail_that_waits_on_purpose_is_not_due(ctx: Context, wait: Callable[[Session, int], None]) -> None:
    sending_id = _scene(ctx, utc_now() - timedelta(hours=1))
    with ctx.write() as session:
        wait(session, sending_id)

    assert _look(ctx) == Backlog(0, None, 0)
