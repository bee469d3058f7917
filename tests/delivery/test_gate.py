"""The gate: consent and suppression are judged in the transaction that permits the dot (DESIGN: the gate)."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery.claim import claim_batch
from mailer.delivery.gate import Candidate, GateResult, pass_gate
from mailer.schema.consent import Consent, Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.transports import ProviderHold
from mailer.statuses import MessageState, Permission, SendingClass, SuppressionReason
from mailer.workspace import service as workspace
from tests.support.make import make_reader, make_sending, make_topic

CAUSE = Cause(source="test", channel="test")


class Scene:
    """One queued message in a claimed batch."""

    def __init__(self, ctx: Context, sending_class: SendingClass = SendingClass.MARKETING) -> None:
        self.ctx = ctx
        with ctx.write() as session:
            topic = make_topic(session)
            contact = make_reader(session, topic, "anna@example.com", key=ctx.keys.suppression)
            sending = make_sending(session, ctx, [contact], topic, sending_class=sending_class)
            claim = claim_batch(session, sending.id, utc_now())
            assert claim is not None
            message = session.scalars(select(Message)).one()
        self.contact_id, self.topic_id, self.sending_id, self.address_id = (
            contact.id, topic.id, sending.id, message.address_id,
        )  # fmt: skip
        self.message_id = message.id
        self.candidate = Candidate(message.id, claim.batch_id, claim.token, sending.id, message.address_id)

    def judge(self) -> GateResult:
        with self.ctx.write() as session:
            return pass_gate(session, [self.candidate])

    def message(self) -> Message:
        with self.ctx.read() as session:
            return session.get_one(Message, self.message_id)


def _withdraw(session: Session, scene: Scene) -> None:
    consent.withdraw_all(session, [session.get_one(Contact, scene.contact_id)], CAUSE)


def _unsubscribe(session: Session, scene: Scene) -> None:
    consent.unsubscribe(session, session.get_one(Contact, scene.contact_id), scene.topic_id, CAUSE)


def _suppress(session: Session, scene: Scene) -> None:
    address = session.scalars(select(Address)).one()
    consent.suppress(session, address.email_hash, SuppressionReason.MANUAL, "test")


def _mark(session: Session, scene: Scene) -> None:
    session.get_one(Contact, scene.contact_id).do_not_mail = True


def _archive(session: Session, scene: Scene) -> None:
    session.get_one(Contact, scene.contact_id).archived_at = utc_now()


def _expire(session: Session, scene: Scene) -> None:
    session.execute(update(Consent).values(expires_at=utc_now() - timedelta(days=1)))


def _customer(session: Session, scene: Scene) -> None:
    session.execute(update(Consent).values(permission=Permission.CUSTOMER.value))


REFUSALS = [
    (_withdraw, "no_permission"),
    (_unsubscribe, "not_subscribed"),
    (_suppress, "suppressed"),
    (_mark, "do_not_mail"),
    (_archive, "do_not_mail"),
    (_expire, "no_permission"),
    (_customer, "no_permission"),
]


def test_permitted_message_is_transmitting_under_the_batch_token(ctx: Context) -> None:
    scene = Scene(ctx)

    assert scene.judge().passed == {scene.message_id}

    message = scene.message()
    assert message.state == MessageState.TRANSMITTING
    assert message.gate_token == scene.candidate.batch_token
    assert message.gate_at is not None


@pytest.mark.parametrize(("forbid", "reason"), REFUSALS, ids=[forbid.__name__ for forbid, _ in REFUSALS])
def test_forbidden_message_gets_no_dot(ctx: Context, forbid: Callable[[Session, Scene], None], reason: str) -> None:
    scene = Scene(ctx)
    with ctx.write() as session:
        forbid(session, scene)

    result = scene.judge()

    assert result.passed == frozenset()
    assert result.skipped == {scene.message_id: reason}
    assert scene.message().state == MessageState.SKIPPED


def test_customer_permission_reaches_own_products_topics(ctx: Context) -> None:
    scene = Scene(ctx)
    with ctx.write() as session:
        _customer(session, scene)
        session.get_one(Topic, scene.topic_id).is_own_products = True

    assert scene.judge().passed == {scene.message_id}


def _pause(session: Session, scene: Scene) -> None:
    sendings.pause_sending(session, scene.sending_id)


def _stop(session: Session, scene: Scene) -> None:
    workspace.stop_all(session, "test")


def _lose_lease(session: Session, scene: Scene) -> None:
    session.execute(update(SendBatch).values(lease_until=utc_now() - timedelta(seconds=1)))


def _lose_token(session: Session, scene: Scene) -> None:
    session.execute(update(SendBatch).values(token=SendBatch.token + 1))


def _hold_provider(session: Session, scene: Scene) -> None:
    provider = session.scalars(select(SendBatch.provider)).one()
    hold = ProviderHold(sending_id=scene.sending_id, provider=provider, reason="policy", note="", held_at=utc_now())
    session.add(hold)


@pytest.mark.parametrize("stop", [_pause, _stop, _hold_provider, _lose_lease, _lose_token])
def test_message_stays_queued_where_the_sender_may_not_send(
    ctx: Context, stop: Callable[[Session, Scene], None]
) -> None:
    scene = Scene(ctx)
    with ctx.write() as session:
        stop(session, scene)

    result = scene.judge()

    assert (result.passed, result.skipped) == (frozenset(), {})
    assert scene.message().state == MessageState.QUEUED


def test_transactional_mail_ignores_topics_but_not_the_dead(ctx: Context) -> None:
    scene = Scene(ctx, SendingClass.TRANSACTIONAL)
    with ctx.write() as session:
        _withdraw(session, scene)
    with ctx.write() as session:
        address = session.scalars(select(Address)).one()
        consent.suppress(session, address.email_hash, SuppressionReason.HARD_BOUNCE, "test")

    assert scene.judge().skipped == {scene.message_id: "suppressed"}


def test_transactional_mail_passes_without_permission(ctx: Context) -> None:
    scene = Scene(ctx, SendingClass.TRANSACTIONAL)
    with ctx.write() as session:
        _withdraw(session, scene)

    assert scene.judge().passed == {scene.message_id}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("forbid", [_withdraw, _unsubscribe, _suppress])
def test_withdrawal_that_commits_while_the_gate_waits_for_its_lock_wins(
    make_ctx: Callable[..., Context], forbid: Callable[[Session, Scene], None]
) -> None:
    """One statement would wait for the lock and then judge by its old snapshot: two statements see the commit."""
    scene = Scene(make_ctx())
    other = make_ctx()
    results: list[GateResult] = []
    gate = threading.Thread(target=lambda: results.append(scene.judge()))

    with other.write() as session:
        forbid(session, scene)
        session.flush()
        gate.start()
        _wait_until_blocked(other)
    gate.join(10)

    assert results[0].passed == frozenset()
    assert scene.message().state == MessageState.SKIPPED


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pause_that_commits_while_the_gate_waits_for_its_lock_wins(make_ctx: Callable[..., Context]) -> None:
    scene = Scene(make_ctx())
    other = make_ctx()
    results: list[GateResult] = []
    gate = threading.Thread(target=lambda: results.append(scene.judge()))

    with other.write() as session:
        sendings.pause_sending(session, scene.sending_id)
        session.flush()
        gate.start()
        _wait_until_blocked(other)
    gate.join(10)

    assert results[0].passed == frozenset()
    assert scene.message().state == MessageState.QUEUED


def _wait_until_blocked(ctx: Context) -> None:
    """Return once somebody waits for a row lock; the gate gives up after 500 ms, so this must be quick."""
    deadline = time.monotonic() + 5
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while time.monotonic() < deadline:
        with ctx.database.engine.connect() as connection:
            if connection.exec_driver_sql(query).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("the gate never waited")


def test_gates_change_nothing_of_the_sending(ctx: Context) -> None:
    scene = Scene(ctx)
    scene.judge()

    with ctx.read() as session:
        assert session.get_one(Sending, scene.sending_id).hold_reason is None
