"""What a dead worker leaves behind is set right; marketing is never sent again by it, service mail twice at most."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery import service
from mailer.delivery.claim import Claim, claim_batch, isolate_poison, release_batch
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.gate import Candidate, pass_gate
from mailer.delivery.policy import MAX_CLAIMS, TRANSMITTING_LIMIT
from mailer.delivery.reaper import Reaped, has_work, reap
from mailer.delivery.results import Result, record_results
from mailer.delivery.states import Fact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.statuses import EventKind, HitClass, SendingClass
from tests.support.make import make_reader, make_sending, make_topic


def _scene(ctx: Context, count: int = 2) -> tuple[int, Claim, list[int]]:
    with ctx.write() as session:
        topic = make_topic(session)
        readers = [make_reader(session, topic, key=ctx.keys.suppression) for _ in range(count)]
        sending = make_sending(session, ctx, readers, topic)
        claim = claim_batch(session, sending.id, utc_now())
        assert claim is not None
        ids = list(session.scalars(select(Message.id).order_by(Message.id)))
    return sending.id, claim, ids


def _gate(ctx: Context, claim: Claim, message_id: int) -> None:
    with ctx.write() as session:
        address_id = session.get_one(Message, message_id).address_id
        candidate = Candidate(message_id, claim.batch_id, claim.token, claim.sending_id, address_id)
        assert pass_gate(session, [candidate]).passed


def _die(ctx: Context) -> None:
    with ctx.write() as session:
        session.execute(update(SendBatch).values(lease_until=utc_now() - timedelta(seconds=1)))


def _states(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Message.state).order_by(Message.id)))


def _reap(ctx: Context) -> Reaped:
    """Reap; what is read before a writer's lock is taken agrees with what there is to do."""
    with ctx.write() as session:
        is_due = has_work(session, utc_now())
        reaped = reap(session, utc_now())
    assert is_due is (reaped != Reaped())
    return reaped


def test_message_beyond_its_gate_becomes_unknown_and_the_rest_goes_on(ctx: Context) -> None:
    sending_id, claim, ids = _scene(ctx)
    _gate(ctx, claim, ids[0])
    _die(ctx)

    _reap(ctx)

    assert _states(ctx) == ["unknown", "queued"]
    with ctx.write() as session:
        again = claim_batch(session, sending_id, utc_now())
    assert again is not None
    assert again.token > claim.token


def test_message_without_an_answer_for_too_long_becomes_unknown_though_its_worker_lives(ctx: Context) -> None:
    _, claim, ids = _scene(ctx)
    _gate(ctx, claim, ids[0])
    with ctx.write() as session:
        session.get_one(Message, ids[0]).gate_at = utc_now() - TRANSMITTING_LIMIT - timedelta(seconds=1)

    assert _reap(ctx) == Reaped(unknown=1)


def test_zombie_with_an_old_token_cannot_change_a_row(ctx: Context) -> None:
    _, claim, ids = _scene(ctx)
    _die(ctx)
    _reap(ctx)

    with ctx.write() as session:
        late = [Result(ids[1], claim, Fact.REFUSED, utc_now()), Result(ids[0], claim, Fact.SKIPPED, utc_now())]
        record_results(session, late)
        candidate = Candidate(ids[0], claim.batch_id, claim.token, claim.sending_id, None)
        assert pass_gate(session, [candidate]).passed == frozenset()

    assert _states(ctx) == ["queued", "queued"]


def test_zombie_cannot_change_a_message_that_is_on_its_way_again(ctx: Context) -> None:
    """Tokens count from 1 in every batch, so the batch is part of what makes a result mine."""
    sending_id, old, ids = _scene(ctx, 1)
    _gate(ctx, old, ids[0])
    _die(ctx)
    _reap(ctx)
    with ctx.write() as session:
        service.resend_unknown(session, ctx, ids[0])
    with ctx.write() as session:
        now = utc_now() + timedelta(seconds=1)
        emptied, new = claim_batch(session, sending_id, now), claim_batch(session, sending_id, now)
        assert emptied is not None
        assert new is not None
    assert new.token == old.token
    _gate(ctx, new, ids[0])

    with ctx.write() as session:
        record_results(session, [Result(ids[0], old, fact, utc_now()) for fact in (Fact.NOT_SENT, Fact.REFUSED)])
    assert _states(ctx) == ["transmitting"]

    with ctx.write() as session:
        record_results(session, [Result(ids[0], new, Fact.ACCEPTED, utc_now())])
    assert _states(ctx) == ["accepted"]


def test_late_250_of_a_reaped_worker_is_not_lost(ctx: Context) -> None:
    _, claim, ids = _scene(ctx)
    _gate(ctx, claim, ids[0])
    _die(ctx)
    _reap(ctx)

    with ctx.write() as session:
        record_results(session, [Result(ids[0], claim, Fact.ACCEPTED, utc_now(), reply="250 ok")])

    assert _states(ctx) == ["accepted", "queued"]


def test_human_open_settles_an_unknown_and_a_machine_does_not(ctx: Context) -> None:
    _, claim, ids = _scene(ctx)
    for message_id in ids:
        _gate(ctx, claim, message_id)
    _die(ctx)
    _reap(ctx)

    with ctx.write() as session:
        now = utc_now()
        service.apply_event(session, DeliveryEvent(ids[0], EventKind.OPEN, now, "a", hit_class=HitClass.HUMAN))
        service.apply_event(session, DeliveryEvent(ids[1], EventKind.OPEN, now, "b", hit_class=HitClass.MACHINE))

    assert _states(ctx) == ["accepted", "unknown"]


def test_repeated_event_changes_nothing(ctx: Context) -> None:
    _, _, ids = _scene(ctx)
    event = DeliveryEvent(ids[0], EventKind.SOFT_BOUNCE, utc_now(), "dsn:1")

    with ctx.write() as session:
        assert [service.apply_event(session, event) for _ in range(2)] == [True, False]


def test_event_about_nothing_we_know_is_dropped(ctx: Context) -> None:
    with ctx.write() as session:
        assert service.apply_event(session, DeliveryEvent(99, EventKind.OPEN, utc_now(), "x")) is False


def test_batch_claimed_too_often_without_progress_is_split_and_the_poison_quarantined(ctx: Context) -> None:
    sending_id, claim, _ = _scene(ctx)
    for _ in range(MAX_CLAIMS):
        _die(ctx)
        _reap(ctx)
        with ctx.write() as session:
            claim = claim_batch(session, sending_id, utc_now()) or claim
            isolated = isolate_poison(session, claim)
    assert isolated
    assert _states(ctx) == ["queued", "queued"]

    for _ in range(4):
        with ctx.write() as session:
            single = claim_batch(session, sending_id, utc_now())
            if single is not None:
                isolate_poison(session, single)
        _die(ctx)
        _reap(ctx)

    assert _states(ctx) == ["quarantined", "quarantined"]


def test_progress_forgives_earlier_claims(ctx: Context) -> None:
    _, claim, _ = _scene(ctx)

    with ctx.write() as session:
        release_batch(session, claim, not_before=utc_now(), has_progress=True)

    with ctx.read() as session:
        batch = session.scalars(select(SendBatch)).one()
        assert (batch.state, batch.claims) == ("ready", 0)


def test_late_rows_expire_and_the_sending_finishes(ctx: Context) -> None:
    sending_id, claim, _ = _scene(ctx)
    with ctx.write() as session:
        release_batch(session, claim, not_before=utc_now(), has_progress=False)
        session.execute(update(Sending).values(send_until=utc_now() - timedelta(minutes=1)))

    _reap(ctx)

    assert _states(ctx) == ["expired", "expired"]
    with ctx.read() as session:
        assert session.get_one(Sending, sending_id).state == "finished"


def test_resend_of_an_unknown_is_a_persons_act_and_happens_once(ctx: Context) -> None:
    sending_id, claim, ids = _scene(ctx, 1)
    _gate(ctx, claim, ids[0])
    _die(ctx)
    _reap(ctx)
    with ctx.read() as session:
        assert session.get_one(Sending, sending_id).state == "finished"

    with ctx.write() as session:
        assert service.resend_unknown(session, ctx, ids[0]) is True
        assert service.resend_unknown(session, ctx, ids[0]) is False

    with ctx.write() as session:
        assert claim_batch(session, sending_id, utc_now() + timedelta(seconds=1)) is not None


def test_batch_above_the_release_limit_is_not_claimable(ctx: Context) -> None:
    sending_id, claim, _ = _scene(ctx)
    with ctx.write() as session:
        release_batch(session, claim, not_before=utc_now(), has_progress=False)
        session.execute(update(SendBatch).values(ordinal=3))
        session.execute(update(Sending).values(release_limit=2))

    with ctx.write() as session:
        assert claim_batch(session, sending_id, utc_now()) is None
        session.execute(update(Sending).values(release_limit=3))
        assert claim_batch(session, sending_id, utc_now()) is not None


@pytest.mark.parametrize("sending_class", [SendingClass.TRANSACTIONAL, SendingClass.CONFIRMATION])
def test_service_mail_without_an_answer_is_repeated_twice_at_most(ctx: Context, sending_class: SendingClass) -> None:
    sending_id, message_id = _unknown(ctx, sending_class)

    repeated = []
    for _ in range(4):
        repeated.append(_reap(ctx).repeated)
        _lose(ctx, message_id, minutes=16)

    assert repeated == [1, 1, 0, 0]
    with ctx.read() as session:
        message = session.get_one(Message, message_id)
        assert (message.repeats, message.state) == (2, "unknown")
        assert session.get_one(Sending, sending_id).state in ("sending", "finished")


def test_service_mail_of_a_finished_sending_is_repeated_too(ctx: Context) -> None:
    _, message_id = _unknown(ctx, SendingClass.TRANSACTIONAL)
    _lose(ctx, message_id, minutes=14)
    assert _reap(ctx).finished
    _lose(ctx, message_id, minutes=16)

    assert _reap(ctx) == Reaped(repeated=1)


def test_service_mail_waits_a_quarter_of_an_hour_for_its_answer(ctx: Context) -> None:
    _, message_id = _unknown(ctx, SendingClass.TRANSACTIONAL)
    _lose(ctx, message_id, minutes=14)
    assert _reap(ctx).repeated == 0


def test_marketing_is_never_repeated(ctx: Context) -> None:
    _, message_id = _unknown(ctx, SendingClass.MARKETING)
    assert _reap(ctx).repeated == 0
    with ctx.read() as session:
        assert session.get_one(Message, message_id).state == "unknown"


def test_evidence_of_the_first_copy_stops_the_repeat(ctx: Context) -> None:
    _, message_id = _unknown(ctx, SendingClass.TRANSACTIONAL)
    assert _reap(ctx).repeated == 1
    event = DeliveryEvent(message_id, EventKind.DELIVERED, utc_now(), dedupe_key="d1")
    with ctx.write() as session:
        service.apply_events(session, [event])
        assert session.get_one(Message, message_id).state == "accepted"


def _unknown(ctx: Context, sending_class: SendingClass) -> tuple[int, int]:
    """A sending of one message whose dot went out a quarter of an hour ago."""
    with ctx.write() as session:
        topic = make_topic(session)
        contact = make_reader(session, topic, key=ctx.keys.suppression)
        sending_id = make_sending(session, ctx, [contact], topic, sending_class=sending_class).id
        message_id = session.scalars(select(Message.id).where(Message.sending_id == sending_id)).one()
    _lose(ctx, message_id, minutes=16)
    return sending_id, message_id


def _lose(ctx: Context, message_id: int, *, minutes: int) -> None:
    with ctx.write() as session:
        message = session.get_one(Message, message_id)
        message.state, message.gate_at, message.gate_token = "unknown", utc_now() - timedelta(minutes=minutes), 1
