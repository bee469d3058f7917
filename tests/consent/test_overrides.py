"""An override: people by name, a reason, a second person above 50, and never past a no (FEATURES C3)."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent import overrides, service
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery.claim import claim_batch
from mailer.delivery.gate import Candidate, pass_gate
from mailer.errors import ConflictError, InputError, NotAllowedError
from mailer.schema.accounts import AuditEvent
from mailer.schema.consent import ConsentOverride, ConsentOverridePerson, Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message
from mailer.statuses import SubscriptionStatus, SuppressionReason
from tests.support.make import make_contact, make_sending, make_staff, make_subscription, make_topic

CAUSE = Cause(source="test", channel="test")
CAMPAIGN = 7


class Scene:
    def __init__(self, session: Session, people: int) -> None:
        self.topic = make_topic(session)
        self.asker, self.second = make_staff(session).id, make_staff(session).id
        self.contacts = [make_contact(session) for _ in range(people)]

    def ask(self, session: Session, reason: str = "recall of a product") -> ConsentOverride:
        people = select(Contact.id, Contact.address_id)
        return overrides.request_override(session, CAMPAIGN, self.topic.id, people, reason=reason, by=self.asker)


def _named(session: Session) -> set[int]:
    return set(session.scalars(select(ConsentOverridePerson.contact_id)))


@pytest.mark.parametrize(("people", "counts_alone"), [(overrides.ALONE, True), (overrides.ALONE + 1, False)])
def test_above_fifty_people_a_second_person_has_to_agree(ctx: Context, people: int, counts_alone: bool) -> None:
    with ctx.write() as session:
        scene = Scene(session, people)
        override = scene.ask(session)
        assert (overrides.find_active(session, CAMPAIGN, scene.topic.id) is not None) is counts_alone
        if not counts_alone:
            with pytest.raises(NotAllowedError, match="second person"):
                overrides.approve_override(session, override, by=scene.asker)
            overrides.approve_override(session, override, by=scene.second)
        assert overrides.find_active(session, CAMPAIGN, scene.topic.id) == override.id
        assert overrides.find_active(session, CAMPAIGN, scene.topic.id + 1) is None
        session.flush()
        actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert actions == ["consent.override_request", *([] if counts_alone else ["consent.override_approve"])]


def test_nobody_who_said_no_is_named(ctx: Context) -> None:
    with ctx.write() as session:
        scene = Scene(session, 5)
        withdrawn, left, pending, shared, missing = scene.contacts
        service.withdraw_all(session, [withdrawn], CAUSE)
        service.unsubscribe(session, left, scene.topic.id, CAUSE)
        make_subscription(session, pending, session.get_one(Topic, scene.topic.id), SubscriptionStatus.PENDING)
        service.withdraw_all(session, [make_contact(session, address_id=shared.address_id)], CAUSE)
        make_contact(session, None)
        override = scene.ask(session)

        assert _named(session) == {missing.id}
        assert override.headcount == 1


def test_an_override_needs_a_reason_and_somebody_and_stands_alone(ctx: Context) -> None:
    with ctx.write() as session:
        scene = Scene(session, 1)
        with pytest.raises(InputError):
            scene.ask(session, "  ")
        scene.ask(session)
        with pytest.raises(ConflictError):
            scene.ask(session)
        service.withdraw_all(session, scene.contacts, CAUSE)
        overrides.end_override(session, overrides.list_overrides(session, CAMPAIGN)[0], by=scene.asker)
        with pytest.raises(InputError, match="nobody"):
            scene.ask(session)


def _gate(ctx: Context, message: Message) -> dict[int, str]:
    with ctx.write() as session:
        claim = claim_batch(session, message.sending_id, utc_now())
        assert claim is not None
        mine = Candidate(message.id, claim.batch_id, claim.token, message.sending_id, message.address_id)
    with ctx.write() as session:
        result = pass_gate(session, [mine])
    return {message.id: "passed"} if message.id in result.passed else dict(result.skipped)


def _nothing(ctx: Context, scene: Scene) -> None:
    """Leave it as it is."""


def _withdraw(ctx: Context, scene: Scene) -> None:
    service.object_to_mail(ctx, scene.contacts[0].id, CAUSE)


def _leave(ctx: Context, scene: Scene) -> None:
    service.object_to_mail(ctx, scene.contacts[0].id, CAUSE, topic_id=scene.topic.id)


def _complain(ctx: Context, scene: Scene) -> None:
    service.object_to_mail(ctx, scene.contacts[0].id, CAUSE, is_complaint=True)


def _erase(ctx: Context, scene: Scene) -> None:
    with ctx.write() as session:
        address = session.get_one(Address, scene.contacts[0].address_id)
        service.suppress(session, address.email_hash, SuppressionReason.ERASURE, "test")


def _mark(ctx: Context, scene: Scene) -> None:
    with ctx.write() as session:
        session.get_one(Contact, scene.contacts[0].id).do_not_mail = True


def _pause(ctx: Context, scene: Scene) -> None:
    with ctx.write() as session:
        contact = session.get_one(Contact, scene.contacts[0].id)
        service.pause(session, contact, utc_now().replace(year=utc_now().year + 1), CAUSE)


def _take_back(ctx: Context, scene: Scene) -> None:
    with ctx.write() as session:
        overrides.end_override(session, overrides.list_overrides(session, CAMPAIGN)[0], by=scene.second)


@pytest.mark.parametrize(
    ("happens", "outcome"),
    [
        (_nothing, "passed"), (_withdraw, "no_permission"), (_leave, "no_permission"), (_complain, "suppressed"),
        (_erase, "suppressed"), (_mark, "do_not_mail"), (_pause, "paused"), (_take_back, "no_permission"),
    ],
)  # fmt: skip
def test_at_the_gate_an_override_stands_in_for_what_is_missing_only(
    ctx: Context, happens: Callable[[Context, Scene], None], outcome: str
) -> None:
    with ctx.write() as session:
        scene = Scene(session, 1)
        scene.ask(session)
        sending = make_sending(session, ctx, scene.contacts, scene.topic)
        overrides.bind_override(session, CAMPAIGN, scene.topic.id, sending.id)
        message = session.scalars(select(Message)).one()
    happens(ctx, scene)

    assert _gate(ctx, message) == {message.id: outcome}


def test_an_override_of_another_sending_counts_for_nothing(ctx: Context) -> None:
    with ctx.write() as session:
        scene = Scene(session, 1)
        scene.ask(session)
        bound = make_sending(session, ctx, [], scene.topic)
        overrides.bind_override(session, CAMPAIGN, scene.topic.id, bound.id)
        make_sending(session, ctx, scene.contacts, scene.topic)
        message = session.scalars(select(Message)).one()

    assert _gate(ctx, message) == {message.id: "no_permission"}
