"""Soft bounces count against an address only where it is to blame, a message once, and end with a sign of life (B4)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.consent import release
from mailer.consent.release import Scope
from mailer.consent.service import suppress
from mailer.consent.suppressions import lift_one
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.policy import SoftBounce, SoftLimits, SoftVerdict, decide_soft_bounces
from mailer.delivery.reasons import Reason
from mailer.delivery.service import apply_events
from mailer.delivery.soft_bounces import wake_addresses
from mailer.schema.accounts import AuditEvent
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event, Message
from mailer.statuses import EventKind, HitClass, MessageState, SuppressionReason
from mailer.workspace.service import ensure_workspace
from tests.support.engines import on_one_engine
from tests.support.make import make_reader, make_sending, make_staff, make_topic

NOW = utc_now()
FULL, DEAD, REFUSES = Reason.MAILBOX_FULL, Reason.USER_UNKNOWN, Reason.MAILBOX_REFUSES
FINE, SUPPRESS, SLEEP = SoftVerdict.FINE, SoftVerdict.SUPPRESS, SoftVerdict.SLEEP


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def bounces(days: Iterable[float], reason: Reason = REFUSES) -> list[SoftBounce]:
    return [SoftBounce(ago(day), reason) for day in days]


@pytest.mark.parametrize(
    ("given_bounces", "reset_at", "has_slept", "verdict"),
    [
        (bounces([14, 10, 6, 3, 0]), None, False, SUPPRESS),
        (bounces([14, 10, 6, 3]), None, False, FINE),
        (bounces([13.9, 10, 6, 3, 0]), None, False, FINE),
        (bounces([20, 14, 10, 6, 3, 0]), ago(15), False, SUPPRESS),
        (bounces([20, 14, 10, 6, 3, 0]), ago(14), False, FINE),
        (bounces([30, 20, 10, 5, 0], FULL), None, False, SLEEP),
        (bounces([29, 20, 10, 5, 0], FULL), None, False, FINE),
        (bounces([30, 20, 10, 5], FULL), None, False, FINE),
        (bounces([0], FULL), ago(1), True, SLEEP),
        (bounces([2], FULL), ago(1), True, FINE),
        (bounces([0]), ago(1), True, FINE),
        (bounces([30, 20, 10], FULL) + bounces([5, 0]), None, False, FINE),
        ([], None, False, FINE),
    ],
)
def test_the_table_of_soft_bounces(
    given_bounces: list[SoftBounce], reset_at: datetime | None, has_slept: bool, verdict: SoftVerdict
) -> None:
    assert decide_soft_bounces(given_bounces, reset_at, SoftLimits(), has_slept=has_slept) is verdict


# ------------------------------------------------------------------ with rows


def make_mails(ctx: Context, count: int, email: str = "ada@example.org") -> list[int]:
    """Mails of several sendings to one address, accepted just now; return their ids."""
    with ctx.write() as session:
        make_staff(session)
        topic = make_topic(session)
        contact = make_reader(session, topic, email, key=ctx.keys.suppression)
        for _ in range(count):
            make_sending(session, ctx, [contact], topic)
        mails = session.scalars(select(Message).where(Message.contact_id == contact.id).order_by(Message.id)).all()
        for mail in mails:
            mail.state, mail.accepted_at = MessageState.ACCEPTED.value, utc_now()
        return [mail.id for mail in mails]


def event(
    message_id: int, kind: EventKind, at: datetime, reason: str = "", n: int = 0, **more: object
) -> DeliveryEvent:
    key = f"{kind}:{message_id}:{n}"
    return DeliveryEvent(message_id, kind, at, key, reason=reason, **more)  # type: ignore[arg-type]


def soft(mails: Sequence[int], days: Sequence[float], reason: Reason = REFUSES) -> list[DeliveryEvent]:
    return [event(mail, EventKind.SOFT_BOUNCE, ago(day), reason.value) for mail, day in zip(mails, days, strict=True)]


def apply(ctx: Context, events: Iterable[DeliveryEvent]) -> None:
    for one in events:
        with ctx.write() as session:
            apply_events(session, [one])


def active(ctx: Context) -> list[tuple[str, str]]:
    with ctx.read() as session:
        query = select(Suppression.reason, Suppression.source).where(Suppression.lifted_at.is_(None))
        return [(reason, source) for reason, source in session.execute(query)]


def state(ctx: Context) -> str:
    with ctx.read() as session:
        return session.scalars(select(Address.bounce_state)).one()


def test_the_fifth_message_over_two_weeks_suppresses_and_the_fourth_does_not(ctx: Context) -> None:
    mails = make_mails(ctx, 5)
    events = soft(mails, [14, 10, 6, 3, 0])

    apply(ctx, events[:4])
    assert active(ctx) == []
    apply(ctx, events[4:])
    assert active(ctx) == [("soft_bounces", "soft bounces in a row")]


@on_one_engine
def test_the_limits_of_the_workspace_count(ctx: Context) -> None:
    workspace = ensure_workspace(ctx)
    with ctx.write() as session:
        session.get_one(type(workspace), workspace.id).limits = {"soft_bounces_in_row": 2, "soft_bounce_days": 3}
    mails = make_mails(ctx, 2)

    apply(ctx, soft(mails, [3, 0]))

    assert active(ctx) == [("soft_bounces", "soft bounces in a row")]


@on_one_engine
def test_a_message_that_is_tried_often_counts_once(ctx: Context) -> None:
    (mail, *_) = make_mails(ctx, 1)

    apply(ctx, [event(mail, EventKind.SOFT_BOUNCE, ago(day), "mailbox_refuses", n=day) for day in range(20)])

    assert active(ctx) == []


@on_one_engine
def test_what_is_not_the_addresss_fault_never_counts(ctx: Context) -> None:
    mails = make_mails(ctx, 6)
    for number, reason in enumerate(["policy", "spam", "throttled", "authentication", "network", "expired", "unknown"]):
        for mail, day in zip(mails, [60, 40, 30, 20, 10, 0], strict=True):
            apply(ctx, [event(mail, EventKind.SOFT_BOUNCE, ago(day), reason, n=number)])

    assert active(ctx) == []


LIFE = {
    "delivered": {"kind": EventKind.DELIVERED},
    "human click": {"kind": EventKind.CLICK, "hit_class": HitClass.HUMAN},
    "human open": {"kind": EventKind.OPEN, "hit_class": HitClass.HUMAN},
}
NO_LIFE = {
    "machine click": {"kind": EventKind.CLICK, "hit_class": HitClass.MACHINE},
    "prefetch": {"kind": EventKind.OPEN, "hit_class": HitClass.PROXY},
    "delay": {"kind": EventKind.DELAYED},
}


@pytest.mark.parametrize("sign", [*LIFE, *NO_LIFE])
@on_one_engine
def test_a_sign_of_life_ends_the_counting_and_a_machine_is_none(ctx: Context, sign: str) -> None:
    mails = make_mails(ctx, 6)
    kind = {**LIFE, **NO_LIFE}[sign]

    life = event(mails[5], at=ago(1), **kind)  # type: ignore[arg-type]
    apply(ctx, [*soft(mails[:4], [14, 10, 6, 3]), life, *soft(mails[4:5], [0])])

    assert (active(ctx) == []) is (sign in LIFE)


def test_a_sign_of_life_that_is_told_late_takes_the_suppression_back(ctx: Context) -> None:
    mails = make_mails(ctx, 6)
    apply(ctx, soft(mails[:5], [14, 10, 6, 3, 0]))
    assert active(ctx) != []

    apply(ctx, [event(mails[5], EventKind.DELIVERED, ago(5))])

    assert active(ctx) == []


def test_a_mail_that_was_accepted_and_stayed_away_for_five_days_is_a_sign_of_life(ctx: Context) -> None:
    mails = make_mails(ctx, 6)
    with ctx.write() as session:
        session.execute(update(Message).where(Message.id == mails[5]).values(accepted_at=ago(8)))

    apply(ctx, soft(mails[:5], [14, 10, 9, 3, 0]))

    assert active(ctx) == []


def test_a_full_mailbox_sleeps_for_ninety_days_and_has_one_more_try(ctx: Context) -> None:
    mails = make_mails(ctx, 8)
    apply(ctx, soft(mails[:5], [30, 20, 10, 5, 0], FULL))
    assert (active(ctx), state(ctx)) == ([("soft_bounces", "mailbox full")], "asleep")
    assert wake_addresses(ctx) == 0

    with ctx.write() as session:
        session.execute(update(Suppression).values(created_at=ago(90.1)))
    assert wake_addresses(ctx) == 1
    assert (active(ctx), state(ctx)) == ([], "ok")

    later = utc_now() + timedelta(seconds=1)
    apply(ctx, [event(mails[5], EventKind.SOFT_BOUNCE, later, "mailbox_full")])
    assert (active(ctx), state(ctx)) == ([("soft_bounces", "mailbox full")], "asleep")


@on_one_engine
def test_after_its_one_more_try_arrived_a_mailbox_is_counted_anew(ctx: Context) -> None:
    mails = make_mails(ctx, 8)
    apply(ctx, soft(mails[:5], [30, 20, 10, 5, 0], FULL))
    with ctx.write() as session:
        session.execute(update(Suppression).values(created_at=ago(90.1)))
    wake_addresses(ctx)
    now = utc_now()

    apply(ctx, [event(mails[5], EventKind.DELIVERED, now + timedelta(seconds=1)),
                event(mails[6], EventKind.SOFT_BOUNCE, now + timedelta(seconds=2), "mailbox_full")])  # fmt: skip

    assert (active(ctx), state(ctx)) == ([], "ok")


@on_one_engine
def test_a_flag_that_staff_cleared_begins_the_counting_anew(ctx: Context) -> None:
    mails = make_mails(ctx, 6)
    apply(ctx, soft(mails[:5], [14, 10, 6, 3, 0]))
    with ctx.read() as session:
        number = session.scalars(select(Suppression.id)).one()
    lift_one(ctx, number, by=None)

    apply(ctx, [event(mails[5], EventKind.SOFT_BOUNCE, utc_now() + timedelta(seconds=1), "mailbox_refuses")])

    assert active(ctx) == []


def test_two_contacts_with_one_address_are_counted_together(ctx: Context) -> None:
    mails = make_mails(ctx, 5)
    with ctx.write() as session:
        first = session.scalars(select(Contact)).one()
        twin = Contact(address_id=first.address_id, created_at=utc_now(), updated_at=utc_now(), ledger_id=99, data={})
        session.add(twin)
        session.flush()
        session.execute(
            update(Message).where(Message.id.in_(mails[3:])).values(contact_id=twin.id, recipient_key=twin.id)
        )

    apply(ctx, soft(mails, [14, 10, 6, 3, 0]))

    assert active(ctx) == [("soft_bounces", "soft bounces in a row")]


def reset_database(ctx: Context) -> None:
    with ctx.write() as session:
        for row in (*session.scalars(select(Event)), *session.scalars(select(Suppression))):
            session.delete(row)
        session.execute(update(Address).values(bounce_state="ok"))


def test_any_order_and_any_repeat_leave_the_same_behind(ctx: Context) -> None:
    """A property: every permutation of a story with repeats ends as the story in order."""
    mails = make_mails(ctx, 8)
    story = [*soft(mails[:5], [15, 11, 7, 4, 1]), event(mails[6], EventKind.DELIVERED, ago(13)),
             event(mails[7], EventKind.HARD_BOUNCE, ago(2), "user_unknown")]  # fmt: skip

    @settings(max_examples=12, deadline=None)
    @given(st.permutations(story), st.lists(st.sampled_from(story), max_size=4))
    def check(order: list[DeliveryEvent], repeats: list[DeliveryEvent]) -> None:
        reset_database(ctx)
        apply(ctx, [*order, *repeats])
        assert (active(ctx), state(ctx)) == ([("hard_bounce", "bounce: user_unknown")], "hard")

    check()


@pytest.mark.parametrize("order", list(permutations(range(3)))[:4])
@on_one_engine
def test_a_delivery_between_soft_bounces_counts_whenever_it_is_told(ctx: Context, order: tuple[int, ...]) -> None:
    mails = make_mails(ctx, 7)
    parts = [
        soft(mails[:3], [20, 15, 12]),
        [event(mails[6], EventKind.DELIVERED, ago(10))],
        soft(mails[3:6], [8, 4, 0]),
    ]

    apply(ctx, [one for number in order for one in parts[number]])

    assert active(ctx) == []


# ------------------------------------------------------------------ undone in bulk


def test_bulk_release_lifts_what_staff_may_lift_of_one_provider_and_period(ctx: Context) -> None:
    for number, provider in enumerate(["google", "google", "yahoo"]):
        (mail, *_) = make_mails(ctx, 1, f"p{number}@example.org")
        with ctx.write() as session:
            address = session.get_one(Address, session.get_one(Message, mail).address_id)
            address.provider = provider
        apply(ctx, [event(mail, EventKind.HARD_BOUNCE, ago(0), "user_unknown")])
        apply(ctx, [event(mail, EventKind.COMPLAINT, ago(0))] if number == 1 else [])
    scope = Scope(provider="google", since=ago(1))

    assert release.mark_suspect(ctx, scope, chunk=1) == 2
    assert release.mark_suspect(ctx, scope) == 0
    with ctx.read() as session:
        assert release.count_scope(session, Scope(is_suspect=True)) == 2
    assert release.release_scope(ctx, Scope(provider="google", until=ago(1)), why="test") == 0
    assert release.release_scope(ctx, scope, why="test", chunk=1) == 2

    assert sorted(active(ctx)) == [("complaint", "complaint"), ("hard_bounce", "bounce: user_unknown")]
    with ctx.read() as session:
        states = dict(session.execute(select(Address.provider, Address.bounce_state)).all())  # type: ignore[arg-type]
        assert states == {"google": "ok", "yahoo": "hard"}


@on_one_engine
def test_release_leaves_the_state_of_what_still_suppresses(ctx: Context) -> None:
    states = [("ok", "manual"), ("asleep", "soft_bounces"), ("hard", "hard_bounce")]
    for number, (state, reason) in enumerate(states):
        (mail, *_) = make_mails(ctx, 1, f"p{number}@example.org")
        with ctx.write() as session:
            address = session.get_one(Address, session.get_one(Message, mail).address_id)
            address.bounce_state = state
            for one in {reason, "manual", "provider"}:
                suppress(session, address.email_hash, SuppressionReason(one), "test")

    lifted = release.release_scope(ctx, Scope(reasons=[SuppressionReason.MANUAL, SuppressionReason.PROVIDER]))

    assert lifted == 6
    with ctx.read() as session:
        assert session.scalars(select(Address.bounce_state).order_by(Address.email)).all() == ["ok", "asleep", "hard"]
        detail = session.scalars(select(AuditEvent.detail).where(AuditEvent.action == "suppression.release")).one()
    assert detail == {"count": 6, "why": "", "reasons": ["manual", "provider"]}


@on_one_engine
def test_bulk_release_never_lifts_what_is_the_persons_alone(ctx: Context) -> None:
    (mail, *_) = make_mails(ctx, 1)
    apply(ctx, [event(mail, EventKind.COMPLAINT, ago(0))])

    assert release.release_scope(ctx, Scope(reasons=list(SuppressionReason)), why="test") == 0
    assert active(ctx) == [("complaint", "complaint")]
