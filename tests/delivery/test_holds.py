"""Replies that blame the sender hold a provider's batches, then the sending; no contact pays (FEATURES B4)."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import claim, holds, sendings
from mailer.delivery.holds import PolicyRefusal, record_policy_refusals
from mailer.delivery.loop import send_due
from mailer.delivery.service import add_batches, add_messages
from mailer.errors import ConflictError
from mailer.schema.accounts import AuditEvent
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.transports import PolicyRefusal as Refusal
from mailer.statuses import HoldReason, MessageState
from tests.support.make import make_batch_row, make_reader, make_sending, make_topic
from tests.support.sink import Sink

REPLY = "550 5.7.515 access denied, sender not authenticated"
PROVIDERS = ("google", "microsoft", "other")


def _start(ctx: Context, providers: tuple[str, ...] = PROVIDERS, *, each: int = 1) -> Sending:
    """A running sending with a batch of `each` people for every provider."""
    with ctx.write() as session:
        topic = make_topic(session)
        sending = make_sending(session, ctx, [], topic)
        for ordinal, provider in enumerate(providers):
            (batch_id,) = add_batches(session, [make_batch_row(sending.id, provider=provider, ordinal=ordinal)])
            readers = [
                make_reader(session, topic, f"p{number}.{sending.id}@{provider}.example.com", key=ctx.keys.suppression)
                for number in range(each)
            ]
            add_messages(session, [_row(sending, reader, batch_id) for reader in readers])
    return sending


def _row(sending: Sending, reader: object, batch_id: int) -> dict[str, object]:
    return {
        "sending_id": sending.id, "contact_id": reader.id, "address_id": reader.address_id, "to_address": None,  # type: ignore[attr-defined]
        "recipient_key": reader.id, "occurrence": 0, "batch_id": batch_id, "state": "queued", "reason": "",  # type: ignore[attr-defined]
        "attempts": 0, "reply": "",
    }  # fmt: skip


def _refuse(ctx: Context, sending: Sending, provider: str, count: int = 3, *, minutes_ago: float = 0) -> set[str]:
    at = utc_now() - timedelta(minutes=minutes_ago)
    with ctx.write() as session:
        held = record_policy_refusals(session, [PolicyRefusal(sending.id, provider, REPLY, at)] * count)
    return {name for _, name in held}


def _claimable(ctx: Context, sending: Sending) -> list[str]:
    found = []
    with ctx.write() as session, session.begin_nested() as nested:
        while one := claim.claim_batch(session, sending.id, ctx.clock.now()):
            found.append(one.provider)
        nested.rollback()
    return sorted(set(found))


def _hold(ctx: Context, sending: Sending) -> tuple[str | None, str]:
    with ctx.read() as session:
        row = session.get_one(Sending, sending.id)
        return row.hold_reason, row.hold_note


def test_two_refusals_hold_nothing(ctx: Context) -> None:
    sending = _start(ctx)

    assert _refuse(ctx, sending, "google", 2) == set()
    assert _claimable(ctx, sending) == ["google", "microsoft", "other"]


def test_three_refusals_hold_the_providers_batches_and_no_others(ctx: Context) -> None:
    sending = _start(ctx)

    _refuse(ctx, sending, "google", 2)
    assert _refuse(ctx, sending, "google", 1) == {"google"}

    assert _claimable(ctx, sending) == ["microsoft", "other"]
    assert _hold(ctx, sending) == (None, "")
    with ctx.read() as session:
        (hold,) = holds.list_provider_holds(session, sending.id)
        due = claim.list_due_sendings(session, ctx.clock.now())
    assert (hold.provider, hold.note) == ("google", REPLY)
    assert due == [sending.id]


def test_refusals_more_than_ten_minutes_apart_are_not_counted_together(ctx: Context) -> None:
    sending = _start(ctx)

    _refuse(ctx, sending, "google", 2, minutes_ago=11)

    assert _refuse(ctx, sending, "google", 2) == set()
    assert _refuse(ctx, sending, "google", 1) == {"google"}


def test_two_providers_hold_the_sending_with_the_reply_as_note(ctx: Context) -> None:
    sending = _start(ctx)

    _refuse(ctx, sending, "google")
    _refuse(ctx, sending, "microsoft")

    assert _hold(ctx, sending) == ("policy", REPLY)
    assert _claimable(ctx, sending) == []


def test_sending_is_held_where_nobody_is_left_but_the_held_provider(ctx: Context) -> None:
    sending = _start(ctx, ("google",))

    _refuse(ctx, sending, "google")

    assert _hold(ctx, sending) == ("policy", REPLY)


def test_other_sendings_are_not_held(ctx: Context) -> None:
    first, second = _start(ctx), _start(ctx, ("google",))

    _refuse(ctx, first, "google")

    assert "google" in _claimable(ctx, second)


def test_release_forgives_lets_retries_go_at_once_and_is_audited(ctx: Context) -> None:
    sending = _start(ctx)
    _refuse(ctx, sending, "google")
    with ctx.write() as session:
        batch = session.scalars(select(SendBatch).where(SendBatch.provider == "google")).one()
        batch.not_before = ctx.clock.now() + timedelta(hours=2)

    with ctx.write() as session:
        holds.release_provider(session, ctx, sending.id, "google")

    assert _claimable(ctx, sending) == ["google", "microsoft", "other"]
    assert _refuse(ctx, sending, "google", 2) == set()
    assert _refuse(ctx, sending, "google", 1) == {"google"}
    with ctx.read() as session:
        actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert actions == ["delivery.hold_provider", "delivery.release_provider", "delivery.hold_provider"]


def test_release_of_what_is_not_held_is_refused(ctx: Context) -> None:
    sending = _start(ctx)

    with ctx.write() as session, pytest.raises(ConflictError):
        holds.release_provider(session, ctx, sending.id, "google")


def test_hold_says_since_when_and_by_whom(ctx: Context) -> None:
    sending = _start(ctx)
    with ctx.write() as session:
        sendings.hold_sending(session, sending.id, HoldReason.POLICY, "why")
    with ctx.read() as session:
        row = session.get_one(Sending, sending.id)
        assert row.held_at is not None
        assert row.held_by is None

    with ctx.write() as session:
        sendings.resume_sending(session, ctx, sending.id)

    with ctx.read() as session:
        row = session.get_one(Sending, sending.id)
        assert (row.held_at, row.hold_reason, row.hold_note) == (None, None, "")


def test_worker_holds_a_provider_and_goes_on_with_the_others(sending_ctx: Context, sink: Sink) -> None:
    sending = _start(sending_ctx, each=4)
    sink.at_rcpt = {f"p{number}.{sending.id}@google.example.com": REPLY for number in range(4)}

    send_due(sending_ctx, seconds=20)

    assert _hold(sending_ctx, sending) == (None, "")
    assert len(sink.recipients) == 8
    with sending_ctx.read() as session:
        states = session.scalars(
            select(Message.state)
            .join(SendBatch, SendBatch.id == Message.batch_id)
            .where(SendBatch.provider == "google")
        ).all()
        assert set(states) == {MessageState.QUEUED.value}
        assert len(states) == 4
        assert [hold.provider for hold in holds.list_provider_holds(session, sending.id)] == ["google"]
        assert session.scalars(select(Suppression.id)).all() == []
        assert {row.reply for row in session.scalars(select(Refusal))} == {REPLY}
