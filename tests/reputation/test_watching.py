"""The first share is watched, then the rest goes: by rows, after a restart, with any number of beats."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.sendings import cancel_sending, pause_sending, plan_canary, resume_sending
from mailer.errors import ConflictError
from mailer.reputation.service import look_after, resume
from mailer.reputation.watching import find_progress, release_now
from mailer.schema.accounts import AuditEvent
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.reputation import CanaryWatch, RateLook
from mailer.statuses import EventKind
from tests.reputation.scene import make_sent, react

PLAN = {"size": 300, "of": 6000, "reasons": {"new_domain": None}, "watch_seconds": 1800.0}


def make_canary(ctx: Context, *, hard: int = 0, waiting: int = 0) -> int:
    """A sending whose canary of 300 is out but for `waiting`; one mail of the rest is kept back."""
    sending_id = make_sent(ctx, 300, hard=hard)
    with ctx.write() as session:
        session.execute(update(SendBatch).where(SendBatch.token == 0).values(ordinal=10))
        late = select(Message.id).where(Message.state == "accepted").order_by(Message.id.desc()).limit(waiting)
        session.execute(
            update(Message)
            .where(Message.id.in_(late))
            .values(state="queued")
            .execution_options(synchronize_session=False)
        )
        plan_canary(session, sending_id, PLAN, 9)
    return sending_id


def limit_of(ctx: Context, sending_id: int) -> int | None:
    with ctx.read() as session:
        return session.get_one(Sending, sending_id).release_limit


def watch_of(ctx: Context, sending_id: int) -> CanaryWatch:
    with ctx.read() as session:
        return session.get_one(CanaryWatch, sending_id)


def test_it_is_watched_from_when_it_is_out_and_then_the_rest_goes_once(ctx: Context) -> None:
    sending_id = make_canary(ctx)
    began = ctx.clock.now()

    for _ in range(3):
        look_after(ctx)
    watch = watch_of(ctx, sending_id)
    assert watch.state == "watching"
    assert watch.watch_until is not None
    assert abs(watch.watch_until - began - timedelta(minutes=30)) < timedelta(seconds=30)
    ctx.clock.offset = timedelta(minutes=29)
    look_after(ctx)
    assert limit_of(ctx, sending_id) == 9

    ctx.clock.offset = timedelta(minutes=31)
    for _ in range(3):
        look_after(ctx)

    assert (limit_of(ctx, sending_id), watch_of(ctx, sending_id).state) == (None, "released")
    with ctx.read() as session:
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.action.like("canary.%"))).all()
    assert actions == ["canary.watch", "canary.release"]


def test_the_watch_waits_until_most_of_it_is_out(ctx: Context) -> None:
    sending_id = make_canary(ctx, waiting=31)

    look_after(ctx)
    assert watch_of(ctx, sending_id).state == "filling"
    with ctx.write() as session:
        one = select(Message.id).where(Message.state == "queued").order_by(Message.id.desc()).limit(1)
        session.execute(update(Message).where(Message.id == one.scalar_subquery()).values(state="accepted"))
    look_after(ctx)

    assert watch_of(ctx, sending_id).state == "watching"


def test_the_state_survives_a_restart(make_ctx: Callable[..., Context]) -> None:
    first = make_ctx()
    sending_id = make_canary(first)
    look_after(first)
    until = watch_of(first, sending_id).watch_until
    first.database.dispose()

    second = make_ctx()
    look_after(second)
    assert watch_of(second, sending_id).watch_until == until
    second.clock.offset = timedelta(minutes=31)
    look_after(second)

    assert limit_of(second, sending_id) is None


def test_a_canary_with_too_many_bounces_is_held_and_its_rest_stays_back(ctx: Context) -> None:
    sending_id = make_canary(ctx, hard=18)
    look_after(ctx)
    ctx.clock.offset = timedelta(hours=5)
    look_after(ctx)

    with ctx.read() as session:
        sending = session.get_one(Sending, sending_id)
    assert (sending.hold_reason, sending.release_limit) == ("breaker", 9)
    with pytest.raises(ConflictError):
        release_now(ctx, sending_id, "trust me")

    resume(ctx, "sending", str(sending_id), "the list was cleaned")
    look_after(ctx)
    assert limit_of(ctx, sending_id) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_canary_that_a_person_had_paused_stays_back_where_a_breaker_stands(ctx: Context) -> None:
    """The pause came first, so the hold is the person's; lifting it must not release what the breaker judged."""
    sending_id = make_canary(ctx, hard=18)
    with ctx.write() as session:
        pause_sending(session, sending_id)
    look_after(ctx)
    with ctx.write() as session:
        resume_sending(session, ctx, sending_id)
    ctx.clock.offset = timedelta(hours=1)

    look_after(ctx)

    assert limit_of(ctx, sending_id) == 9


def test_bounces_that_come_in_the_last_second_still_hold_it(ctx: Context) -> None:
    sending_id = make_canary(ctx)
    look_after(ctx)
    with ctx.write() as session:
        react(session, sending_id, {EventKind.HARD_BOUNCE: 18})
        session.execute(update(RateLook).values(next_at=utc_now() + timedelta(days=1)))
    ctx.clock.offset = timedelta(minutes=31)

    look_after(ctx)

    assert limit_of(ctx, sending_id) == 9


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_paused_canary_waits_for_its_person(ctx: Context) -> None:
    sending_id = make_canary(ctx)
    look_after(ctx)
    with ctx.write() as session:
        pause_sending(session, sending_id)
    ctx.clock.offset = timedelta(minutes=31)
    look_after(ctx)
    assert limit_of(ctx, sending_id) == 9

    with ctx.write() as session:
        resume_sending(session, ctx, sending_id)
    look_after(ctx)
    assert limit_of(ctx, sending_id) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_person_may_let_it_go_early_and_is_named(ctx: Context) -> None:
    sending_id = make_canary(ctx)
    look_after(ctx)

    release_now(ctx, sending_id, "known good list")

    watch = watch_of(ctx, sending_id)
    assert (limit_of(ctx, sending_id), watch.state, watch.note) == (None, "released", "known good list")
    with pytest.raises(ConflictError):
        release_now(ctx, sending_id, "again")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_cancelled_sending_is_watched_no_more(ctx: Context) -> None:
    sending_id = make_canary(ctx)
    look_after(ctx)
    with ctx.write() as session:
        cancel_sending(session, sending_id)

    look_after(ctx)

    assert watch_of(ctx, sending_id).state == "ended"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_is_told_how_far_it_is(ctx: Context) -> None:
    sending_id = make_canary(ctx, waiting=20)
    look_after(ctx)

    with ctx.read() as session:
        found = find_progress(session, session.get_one(Sending, sending_id))

    assert found is not None
    assert (found.state, found.out, found.size, found.whole) == ("watching", 280, 300, 6000)
