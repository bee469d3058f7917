"""The proof of one person: every line with its words, its evidence and its seal, and what does not agree is said."""

import json

import pytest
from sqlalchemy import select, text

from mailer.consent import blocks, byhand, queries, service
from mailer.consent.proof import Evidence, Proof, as_mapping, build_proof
from mailer.consent.service import Cause
from mailer.consent.wording import record_wording
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError
from mailer.schema.consent import ConsentEvent, ConsentEvidence
from mailer.schema.contacts import Contact
from mailer.statuses import Permission
from tests.support.make import make_contact, make_staff, make_topic

EVIDENCE = {"form": "Spring fair", "ip": "192.0.2.7", "user_agent": "Firefox"}
WORDS = "Yes, send me news by e-mail."


@pytest.fixture
def person(ctx: Context) -> Contact:
    with ctx.write() as session:
        staff = make_staff(session, name="Ada Approver")
        contact = make_contact(session, "kari@example.com", key=ctx.keys.suppression)
        topic = make_topic(session, name="News")
        record_wording(session, "form-1-v2", WORDS)
        form = Cause(source="form Spring", channel="form", wording_version="form-1-v2", evidence=EVIDENCE)
        service.give_permission(session, contact, Permission.CONSENT, form)
        service.subscribe(session, contact, topic.id, form)
        phone = Cause(source="objection", channel="phone", by_staff_id=staff.id, evidence={"note": "called"})
        service.withdraw_all(session, [contact], phone)
    return contact


def _proof(ctx: Context, person: Contact, *, checks_seals: bool = True) -> Proof:
    with ctx.read() as session:
        return build_proof(session, person, checks_seals=checks_seals)


def test_every_line_says_who_when_how_and_to_which_words(ctx: Context, person: Contact) -> None:
    blocks.seal(ctx)

    proof = _proof(ctx, person)

    assert [(line.verdict, line.topic, line.by) for line in proof.lines] == [
        ("given", "", ""), ("subscribed", "News", ""), ("withdrawn", "", "Ada Approver"),
        ("unsubscribed", "News", "Ada Approver"),
    ]  # fmt: skip
    first = proof.lines[0]
    assert (first.wording, first.evidence, first.evidence_state) == (WORDS, EVIDENCE, Evidence.INTACT)
    assert all(line.seal is not None and line.seal.is_intact for line in proof.lines)
    assert proof.problems == []
    assert json.loads(json.dumps(as_mapping(proof), default=str))["email"] == "kari@example.com"


def test_a_line_that_is_not_sealed_yet_says_so(ctx: Context, person: Contact) -> None:
    assert [line.seal for line in _proof(ctx, person).lines] == [None] * 4


def test_changed_evidence_is_found(ctx: Context, person: Contact) -> None:
    with ctx.write() as session:
        row = session.scalars(select(ConsentEvidence).order_by(ConsentEvidence.consent_event_id)).first()
        assert row is not None
        row.data = {**row.data, "ip": "198.51.100.1"}

    proof = _proof(ctx, person)

    assert proof.lines[0].evidence_state is Evidence.CHANGED
    assert len(proof.problems) == 1


def test_erased_evidence_leaves_the_line_and_is_no_fault(ctx: Context, person: Contact) -> None:
    with ctx.write() as session:
        session.execute(text("DELETE FROM consent_evidence"))

    proof = _proof(ctx, person)

    assert {line.evidence_state for line in proof.lines} == {Evidence.ERASED}
    assert proof.problems == []


def test_a_changed_line_breaks_the_seal_that_the_proof_checks(ctx: Context, person: Contact) -> None:
    blocks.seal(ctx)
    with ctx.write() as session:
        if ctx.database.is_sqlite:
            session.execute(text("DROP TRIGGER tr_consent_event_update"))
        else:
            session.execute(text("ALTER TABLE consent_event DISABLE TRIGGER ALL"))
        session.execute(text("UPDATE consent_event SET source = 'fair'"))

    assert _proof(ctx, person).problems == ["block 1: a line in it was changed"]
    assert _proof(ctx, person, checks_seals=False).problems == []


def test_a_wording_never_changes_under_its_version(ctx: Context) -> None:
    with ctx.write() as session:
        record_wording(session, "v1", WORDS)
        record_wording(session, "v1", WORDS)
        with pytest.raises(ConflictError):
            record_wording(session, "v1", "Yes to everything.")


def test_no_address_gets_into_a_line_that_can_never_be_erased(ctx: Context) -> None:
    with ctx.write() as session:
        contact = make_contact(session)
        cause = Cause(source="asked by kari@example.com, twice", channel="test")
        service.give_permission(session, contact, Permission.CONSENT, cause)
        assert session.scalars(select(ConsentEvent.source)).one() == "asked by (address), twice"


# ------------------------------------------------------------------ by hand

PAPER = Cause(source="by hand", channel="meeting", evidence={"note": "signed at the fair"})


def test_a_permission_by_hand_is_recorded_with_its_evidence(ctx: Context) -> None:
    with ctx.write() as session:
        contact, topic = make_contact(session), make_topic(session, name="News")

    byhand.record_permission(ctx, contact.id, Permission.CONSENT, PAPER, topic_ids=[topic.id])

    proof = _proof(ctx, contact)
    assert [(line.verdict, line.evidence["note"]) for line in proof.lines] == [
        ("given", "signed at the fair"), ("subscribed", "signed at the fair"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("permission", "cause"),
    [(Permission.NONE, PAPER), (Permission.WITHDRAWN, PAPER), (Permission.CONSENT, Cause("by hand", "phone"))],
)
def test_a_permission_by_hand_needs_to_permit_and_to_be_proved(
    ctx: Context, permission: Permission, cause: Cause
) -> None:
    with ctx.write() as session:
        contact = make_contact(session)

    with pytest.raises(InputError):
        byhand.record_permission(ctx, contact.id, permission, cause)


@pytest.mark.parametrize("left", ["withdrawn", "suppressed", "shared"])
def test_staff_bring_nobody_back_who_left(ctx: Context, left: str) -> None:
    with ctx.write() as session:
        contact = make_contact(session, "kari@example.com", key=ctx.keys.suppression)
        if left == "suppressed":
            service.complain(session, contact, PAPER)
        else:
            gone = contact if left == "withdrawn" else make_contact(session, address_id=contact.address_id)
            service.withdraw_all(session, [gone], PAPER)

    with pytest.raises(NotAllowedError):
        byhand.record_permission(ctx, contact.id, Permission.CONSENT, PAPER)


def test_a_topic_that_was_left_stays_left_by_hand(ctx: Context) -> None:
    with ctx.write() as session:
        contact, topic = make_contact(session), make_topic(session)
        service.subscribe(session, contact, topic.id, PAPER)
        service.unsubscribe(session, contact, topic.id, PAPER)

    byhand.record_permission(ctx, contact.id, Permission.CONSENT, PAPER, topic_ids=[topic.id])

    with ctx.read() as session:
        assert queries.list_choices(session, contact.id)[0].status.value == "unsubscribed"
