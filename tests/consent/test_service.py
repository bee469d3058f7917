"""Permission, subscriptions and suppressions: what changes, what the ledger says, who may lift what."""

import pytest
from sqlalchemy import func, select

from mailer.addresses import hash_address
from mailer.consent import queries, service, suppressions
from mailer.consent.lifting import may_lift
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from mailer.schema.consent import ConsentEvent, ConsentEvidence, Suppression
from mailer.schema.contacts import Contact
from mailer.statuses import LiftAct, Permission, SuppressionReason
from tests.support.make import make_contact, make_reader, make_topic

CAUSE = Cause(source="page", channel="page", evidence={"ip": "192.0.2.1"})


def _two_at_one_address(ctx: Context) -> tuple[int, int, int]:
    with ctx.write() as session:
        topic = make_topic(session)
        first = make_reader(session, topic, "shared@example.com", key=ctx.keys.suppression)
        second = make_reader(session, topic, address_id=first.address_id)
        return topic.id, first.id, second.id


def test_unsubscribe_acts_on_everybody_with_the_address(ctx: Context) -> None:
    topic_id, first, second = _two_at_one_address(ctx)

    with ctx.write() as session:
        service.unsubscribe(session, session.get_one(Contact, first), topic_id, CAUSE)

    with ctx.read() as session:
        assert [queries.list_choices(session, number)[0].status for number in (first, second)] == ["unsubscribed"] * 2
        assert queries.get_permission(session, first) is Permission.CONSENT


def test_unsubscribe_changes_exactly_that_topic(ctx: Context) -> None:
    with ctx.write() as session:
        topic, other = make_topic(session), make_topic(session)
        reader = make_reader(session, topic, key=ctx.keys.suppression)
        service.subscribe(session, reader, other.id, CAUSE)

        service.unsubscribe(session, reader, topic.id, CAUSE)

        statuses = {choice.topic_id: choice.status for choice in queries.list_choices(session, reader.id)}
    assert statuses == {topic.id: "unsubscribed", other.id: "subscribed"}


def test_withdraw_all_ends_permission_and_every_subscription_and_is_safe_to_repeat(ctx: Context) -> None:
    topic_id, first, _ = _two_at_one_address(ctx)

    for _ in range(2):
        service.object_to_mail(ctx, first, CAUSE)

    with ctx.read() as session:
        assert queries.get_permission(session, first) is Permission.WITHDRAWN
        assert queries.list_choices(session, first)[0].status == "unsubscribed"
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 4
    del topic_id


def test_ledger_knows_no_contact_and_its_proof_lies_apart(ctx: Context) -> None:
    _, first, _ = _two_at_one_address(ctx)
    service.object_to_mail(ctx, first, CAUSE)

    with ctx.read() as session:
        contact = session.get_one(Contact, first)
        lines = queries.list_ledger(session, contact.ledger_id)
        assert {line.verdict for line in lines} == {"withdrawn", "unsubscribed"}
        assert all(line.evidence_digest for line in lines)
        assert session.scalars(select(ConsentEvidence)).first().data == {"ip": "192.0.2.1"}  # type: ignore[union-attr]


def test_complaint_withdraws_and_suppresses_everybody_with_the_address(ctx: Context) -> None:
    _, first, second = _two_at_one_address(ctx)

    with ctx.write() as session:
        service.complain(session, session.get_one(Contact, first), CAUSE)

    with ctx.read() as session:
        assert {queries.get_permission(session, number) for number in (first, second)} == {Permission.WITHDRAWN}
        assert session.scalars(select(Suppression.reason)).all() == ["complaint"]


def test_own_act_gives_permission_again(ctx: Context) -> None:
    topic_id, first, _ = _two_at_one_address(ctx)
    service.object_to_mail(ctx, first, CAUSE)

    with ctx.write() as session:
        service.subscribe(session, session.get_one(Contact, first), topic_id, CAUSE)
        assert queries.get_permission(session, first) is Permission.CONSENT


def test_suppressing_twice_is_one_suppression(ctx: Context) -> None:
    assert suppressions.add_suppression(ctx, "Gone@Example.com", source="phone") is True
    assert suppressions.add_suppression(ctx, "gone@example.com", source="phone") is False


@pytest.mark.parametrize(
    ("reason", "is_theirs"),
    [(reason, may_lift(reason, LiftAct.STAFF)) for reason in SuppressionReason],
)
def test_staff_lift_only_what_is_theirs_to_lift(ctx: Context, reason: SuppressionReason, is_theirs: bool) -> None:
    with ctx.write() as session:
        service.suppress(session, hash_address("gone@example.com", ctx.keys.suppression), reason, "test")

    if is_theirs:
        assert suppressions.lift_suppressions(ctx, "gone@example.com", by=None) == 1
    else:
        with pytest.raises(NotAllowedError):
            suppressions.lift_suppressions(ctx, "gone@example.com", by=None)


def test_lifted_suppression_stays_as_history_and_may_come_again(ctx: Context) -> None:
    suppressions.add_suppression(ctx, "gone@example.com", source="phone")
    suppressions.lift_suppressions(ctx, "gone@example.com", by=None)

    assert suppressions.add_suppression(ctx, "gone@example.com", source="again") is True
    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(Suppression)) == 2


def test_lifting_what_is_not_there_says_so(ctx: Context) -> None:
    with pytest.raises(NotFoundError):
        suppressions.lift_suppressions(ctx, "nobody@example.com", by=None)


def test_imported_suppressions_lose_nothing_valid(ctx: Context) -> None:
    found = suppressions.import_suppressions(ctx, ["a@example.com", "A@example.com", "nonsense"], source="file")

    assert (found.rows, found.new, found.refused_count) == (3, 1, 1)
    assert [email for email, _ in found.refused] == ["nonsense"]
    assert suppressions.import_suppressions(ctx, ["a@example.com"], source="file").new == 0


def test_topic_names_are_unique_and_not_empty(ctx: Context) -> None:
    service.create_topic(ctx, "News")

    with pytest.raises(ConflictError):
        service.create_topic(ctx, " News ")
    with pytest.raises(InputError):
        service.create_topic(ctx, "  ")


def test_contact_without_address_can_object(ctx: Context) -> None:
    with ctx.write() as session:
        contact = make_contact(session, None)

    service.object_to_mail(ctx, contact.id, CAUSE)

    with ctx.read() as session:
        assert queries.get_permission(session, contact.id) is Permission.WITHDRAWN
