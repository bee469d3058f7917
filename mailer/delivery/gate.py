"""The gate: what stands between a body and its final dot (DESIGN: One campaign, the gate).

One READ COMMITTED transaction of two statements. First the sending rows and then the address rows are locked `FOR
SHARE`, each in the order of their ids; withdrawals, suppressions and erasures lock the same address rows `FOR NO KEY
UPDATE` before they write, and pause, hold and cancel take the sending row. Then, with a fresh snapshot, the
conditional update. One statement alone would wait for the lock and then judge by its old snapshot. A violation would
be a gate later than the commit of a withdrawal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, case, or_, select, text, tuple_, update
from sqlalchemy.orm import Session

from mailer.consent.conditions import DEAD_REASONS, has_permission, is_do_not_mail, is_subscribed, is_suppressed
from mailer.database import any_row, database_clock
from mailer.delivery.claim import is_running
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.statuses import BatchState, MessageState, SendingClass, SkipReason

LOCK_WAIT_MS = 500
_MARKETING = SendingClass.MARKETING.value
_SERVICE = (SendingClass.TRANSACTIONAL.value, SendingClass.CONFIRMATION.value)
_UNGATED = (SendingClass.TEST.value, SendingClass.STAFF.value)


@dataclass(frozen=True)
class Candidate:
    """A message whose body is at the relay and lacks the dot."""

    message_id: int
    batch_id: int
    batch_token: int
    sending_id: int
    address_id: int | None


@dataclass(frozen=True)
class GateResult:
    """`passed` may get their dot; `skipped` were refused for good, by reason; all others stay as they were."""

    passed: frozenset[int]
    skipped: dict[int, str] = field(default_factory=dict)


def pass_gate(session: Session, candidates: Sequence[Candidate]) -> GateResult:
    """Judge a group of messages. The caller's commit is what permits the dots.

    Raises:
        OperationalError: a lock was not to be had in 500 ms; nothing is permitted, the rows stay queued.
    """
    _lock(session, candidates)
    ids = [candidate.message_id for candidate in candidates]
    held = sorted({(candidate.batch_id, candidate.batch_token) for candidate in candidates})
    passed = frozenset(
        session.scalars(
            update(Message)
            .where(Message.id.in_(ids), Message.state == MessageState.QUEUED.value, _is_held(held), _is_permitted())
            .values(
                state=MessageState.TRANSMITTING.value,
                gate_at=database_clock(),
                gate_token=_batch_token(),
            )
            .returning(Message.id)
            .execution_options(synchronize_session=False)
        )
    )
    left = [number for number in ids if number not in passed]
    return GateResult(passed, _skip(session, left, held) if left else {})


def _lock(session: Session, candidates: Sequence[Candidate]) -> None:
    if session.get_bind().dialect.name != "postgresql":
        return  # BEGIN IMMEDIATE has already made this the only writer
    session.execute(text(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}"))
    sendings = sorted({candidate.sending_id for candidate in candidates})
    addresses = sorted({candidate.address_id for candidate in candidates if candidate.address_id is not None})
    session.execute(select(Sending.id).where(Sending.id.in_(sendings)).order_by(Sending.id).with_for_update(read=True))
    session.execute(select(Address.id).where(Address.id.in_(addresses)).order_by(Address.id).with_for_update(read=True))


def _is_held(held: Sequence[tuple[int, int]]) -> ColumnElement[bool]:
    """The message's batch is leased to me: my token, and the lease still runs by the database's clock."""
    return any_row(
        SendBatch,
        SendBatch.id == Message.batch_id,
        tuple_(SendBatch.id, SendBatch.token).in_(held),
        SendBatch.state == BatchState.LEASED.value,
        SendBatch.lease_until > database_clock(),
    )


def _batch_token() -> ColumnElement[int]:
    return select(SendBatch.token).where(SendBatch.id == Message.batch_id).scalar_subquery()


def _is_permitted() -> ColumnElement[bool]:
    """The sending runs, and what its class asks holds."""
    marketing = and_(
        Sending.sending_class == _MARKETING,
        has_permission(Message.contact_id, Sending.topic_id, database_clock()),
        is_subscribed(Message.contact_id, Sending.topic_id),
        ~_is_suppressed_now(),
        ~_is_marked_do_not_mail(),
    )
    service = and_(Sending.sending_class.in_(_SERVICE), ~_is_dead())
    return any_row(
        Sending,
        Sending.id == Message.sending_id,
        is_running(),
        or_(marketing, service, Sending.sending_class.in_(_UNGATED)),
    )


def _is_suppressed_now() -> ColumnElement[bool]:
    return any_row(Address, Address.id == Message.address_id, is_suppressed(Address.email_hash, Sending.topic_id))


def _is_dead() -> ColumnElement[bool]:
    return any_row(
        Address,
        Address.id == Message.address_id,
        or_(is_suppressed(Address.email_hash, None, reasons=DEAD_REASONS), Address.email.is_(None)),
    )


def _is_marked_do_not_mail() -> ColumnElement[bool]:
    return any_row(Contact, Contact.id == Message.contact_id, is_do_not_mail())


def _skip(session: Session, ids: Sequence[int], held: Sequence[tuple[int, int]]) -> dict[int, str]:
    """Skip, with the reason, those that consent forbids; leave those whose sending or batch is not mine to send."""
    marketing = any_row(
        Sending, Sending.id == Message.sending_id, is_running(), or_(_refused_marketing(), _refused_service())
    )
    rows = session.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.state == MessageState.QUEUED.value, _is_held(held), marketing)
        .values(state=MessageState.SKIPPED.value, reason=_reason())
        .returning(Message.id, Message.reason)
        .execution_options(synchronize_session=False)
    )
    return {message_id: reason for message_id, reason in rows}


def _refused_marketing() -> ColumnElement[bool]:
    return and_(
        Sending.sending_class == _MARKETING,
        or_(
            _is_marked_do_not_mail(),
            _is_suppressed_now(),
            ~has_permission(Message.contact_id, Sending.topic_id, database_clock()),
            ~is_subscribed(Message.contact_id, Sending.topic_id),
        ),
    )


def _refused_service() -> ColumnElement[bool]:
    return and_(Sending.sending_class.in_(_SERVICE), _is_dead())


def _reason() -> ColumnElement[str]:
    """The first reason that applies, in the order of INTERFACES."""

    def of_sending(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return any_row(Sending, Sending.id == Message.sending_id, condition)

    return case(
        (of_sending(and_(Sending.sending_class == _MARKETING, _is_marked_do_not_mail())), SkipReason.DO_NOT_MAIL.value),
        (of_sending(or_(_is_suppressed_now(), _refused_service())), SkipReason.SUPPRESSED.value),
        (
            of_sending(~has_permission(Message.contact_id, Sending.topic_id, database_clock())),
            SkipReason.NO_PERMISSION.value,
        ),
        else_=SkipReason.NOT_SUBSCRIBED.value,
    )
