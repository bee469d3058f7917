"""The consent ledger: nobody changes it unseen, and what mails are sent by is what it says."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent import blocks, service
from mailer.consent.replay import Difference, list_differences
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.schema.consent import Consent, ConsentBlock, ConsentEvent, Subscription
from mailer.statuses import Permission
from tests.support.make import make_contact, make_topic, make_workspace

CAUSE = Cause(source="test", channel="test", evidence={"ip": "192.0.2.7"})


def _write_lines(ctx: Context, people: int = 3) -> tuple[list[int], int]:
    with ctx.write() as session:
        make_workspace(session)
        topic = make_topic(session)
        contacts = [make_contact(session, first_name=f"P{number}") for number in range(people)]
        for contact in contacts:
            service.give_permission(session, contact, Permission.CONSENT, CAUSE)
            service.subscribe(session, contact, topic.id, CAUSE)
        return [contact.id for contact in contacts], topic.id


def _check(ctx: Context, known_head: bytes | None = None) -> blocks.Findings:
    with ctx.read() as session:
        return blocks.check_blocks(session, known_head=known_head)


def _tamper(session: Session, statement: str) -> None:
    """Do what only somebody with the whole database can: put the triggers aside."""
    table = "consent_event" if "consent_event" in statement else "consent_block"
    if session.get_bind().dialect.name == "sqlite":
        for change in ("update", "delete"):
            session.execute(text(f"DROP TRIGGER IF EXISTS tr_{table}_{change}"))
    else:
        session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
    session.execute(text(statement))


@pytest.mark.parametrize("table", ["consent_event", "consent_block"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id + 100", "DELETE FROM {}"])
def test_lines_and_blocks_can_be_neither_changed_nor_deleted(ctx: Context, table: str, change: str) -> None:
    _write_lines(ctx)
    blocks.seal(ctx)

    with pytest.raises(DatabaseError, match="append-only"), ctx.write() as session:
        session.execute(text(change.format(table)))

    assert _check(ctx).problems == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_ledger_cannot_be_truncated(ctx: Context) -> None:
    with pytest.raises(DatabaseError, match="append-only"), ctx.write() as session:
        session.execute(text("TRUNCATE consent_event CASCADE"))


def test_blocks_follow_each_other_and_hold_every_line(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 4)
    _write_lines(ctx, people=5)

    assert blocks.seal(ctx) == 3
    assert blocks.seal(ctx) == 0

    found = _check(ctx)
    assert (found.blocks, found.lines, found.unsealed, found.problems) == (3, 10, 0, [])


def test_lines_written_after_a_seal_wait_for_the_next(ctx: Context) -> None:
    contacts, _ = _write_lines(ctx)
    blocks.seal(ctx)
    service.object_to_mail(ctx, contacts[0], CAUSE)

    assert _check(ctx).unsealed == 2
    assert blocks.seal(ctx) == 1
    assert _check(ctx).problems == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE consent_event SET source = 'fair' WHERE id = 2",
        "UPDATE consent_event SET permission = 'business' WHERE id = 1",
        "DELETE FROM consent_event WHERE id = 3",
    ],
)
def test_a_changed_line_breaks_its_block(ctx: Context, change: str) -> None:
    _write_lines(ctx)
    blocks.seal(ctx)
    with ctx.write() as session:
        session.execute(text("DELETE FROM consent_evidence"))
        _tamper(session, change)

    (problem,) = _check(ctx).problems

    assert "block 1, lines 1 to 6" in problem


def test_a_line_slipped_in_behind_a_seal_breaks_its_block(ctx: Context) -> None:
    _write_lines(ctx)
    with ctx.write() as session:
        last = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert last is not None
        values = {column.name: getattr(last, column.key) for column in ConsentEvent.__table__.columns}
        session.add(ConsentEvent(**{**values, "id": last.id + 10}))
    blocks.seal(ctx)
    with ctx.write() as session:
        session.add(ConsentEvent(**{**values, "id": last.id + 5}))

    assert len(_check(ctx).problems) == 1


def test_a_block_taken_from_the_middle_or_the_end_is_missed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 2)
    _write_lines(ctx)
    blocks.seal(ctx)
    head = _check(ctx).head
    with ctx.write() as session:
        _tamper(session, "DELETE FROM consent_block WHERE id = 3")

    assert _check(ctx).problems == []
    assert len(_check(ctx, head).problems) == 1

    with ctx.write() as session:
        session.execute(text("DELETE FROM consent_block WHERE id = 1"))
    assert _check(ctx).problems


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_line_comes_to_stand_behind_a_seal(make_ctx: Callable[..., Context]) -> None:
    """A transaction that has its id and is not over yet holds the seal back."""
    ctx, slow = make_ctx(), make_ctx()
    contacts, _ = _write_lines(ctx)
    with slow.write() as session:
        contact = service.get_contact(session, contacts[0])
        service.withdraw_all(session, [contact], CAUSE)
        session.flush()
        with ctx.write() as other:
            service.withdraw_all(other, [service.get_contact(other, contacts[1])], CAUSE)

        with pytest.raises(ConflictError, match="written to"):
            blocks.seal(ctx, patience=0.5)

    assert blocks.seal(ctx) == 1
    assert _check(ctx).problems == []
    assert _check(ctx).unsealed == 0


def test_the_tables_are_what_the_ledger_says(ctx: Context) -> None:
    contacts, topic_id = _write_lines(ctx)
    service.object_to_mail(ctx, contacts[1], CAUSE)
    service.object_to_mail(ctx, contacts[2], CAUSE, topic_id=topic_id)

    with ctx.read() as session:
        assert list_differences(session) == []


def test_what_was_written_past_the_ledger_is_found(ctx: Context) -> None:
    contacts, topic_id = _write_lines(ctx, people=4)
    with ctx.write() as session:
        session.execute(update(Consent).where(Consent.contact_id == contacts[0]).values(permission="business"))
        session.execute(
            update(Subscription).where(Subscription.contact_id == contacts[1]).values(status="unsubscribed")
        )
        session.delete(session.get_one(Consent, (contacts[2], "e_marketing")))
        stranger = make_contact(session)
        session.add(
            Consent(contact_id=stranger.id, purpose="e_marketing", permission="consent", basis="consent",
                    updated_at=utc_now())
        )  # fmt: skip

    with ctx.read() as session:
        assert list_differences(session) == [
            Difference(contacts[0], None, "consent", "business"),
            Difference(contacts[1], topic_id, "subscribed", "unsubscribed"),
            Difference(contacts[2], None, "consent", None),
            Difference(stranger.id, None, None, "consent"),
        ]


def test_two_sealers_make_one_chain(make_ctx: Callable[..., Context]) -> None:
    ctx, other = make_ctx(), make_ctx()
    _write_lines(ctx)
    blocks.seal(ctx)
    with ctx.write() as session:
        head = session.scalars(select(ConsentBlock)).one()
        twin = ConsentBlock(
            previous_digest=head.previous_digest, digest=head.digest, line_count=1, last_id=9, sealed_at=utc_now()
        )
    with pytest.raises(DatabaseError), other.write() as session:
        session.add(twin)

    assert blocks.seal(other) == 0
    assert _check(ctx).blocks == 1
