"""The gate: what stands between a body and its final dot (DESIGN: One campaign, the gate).

One READ COMMITTED transaction of two statements. First the sending rows and then the address rows are locked `FOR
SHARE`, each in the order of their ids; withdrawals, suppressions and erasures lock the same address rows `FOR NO KEY
UPDATE` before they write, and pause, hold and cancel take the sending row. Then, with a fresh snapshot, the
conditional update. One statement alone would wait for the lock and then judge by its old snapshot. A violation would
be a gate later than the commit of a withdrawal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Update, and_, case, not_, or_, text, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from mailer.consent.conditions import (
    DEAD_REASONS,
    Facts,
    has_permission,
    is_do_not_mail,
    is_overridden,
    is_paused,
    is_subscribed,
    is_suppressed,
    why_not_marketing,
)
from mailer.database import any_row, database_clock
from mailer.delivery.claim import is_provider_held, is_running
from mailer.rowsets import bind_rows, rowset, run_kept
from mailer.schema.base import BigInt
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.statuses import BatchState, MessageState, SendingClass, SkipReason

LOCK_WAIT_MS = 500
_MARKETING = SendingClass.MARKETING.value
_SERVICE = (SendingClass.TRANSACTIONAL.value, SendingClass.CONFIRMATION.value)
_UNGATED = (SendingClass.TEST.value, SendingClass.STAFF.value)


class Candidate(NamedTuple):
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
    dialect = session.get_bind().dialect.name
    _lock(session, candidates)
    connection = session.connection()
    rows = [(candidate.message_id, candidate.batch_id, candidate.batch_token) for candidate in candidates]
    given = bind_rows(dialect, _GIVEN, _COLUMNS, rows)
    if dialect == "sqlite" and _all_pass(connection, given, len(rows)):
        return GateResult(frozenset(row[0] for row in rows))
    passed = frozenset(run_kept(connection, _permit_each(dialect), given).scalars())
    if len(passed) == len(rows):
        return GateResult(passed)
    left = bind_rows(dialect, _GIVEN, _COLUMNS, [row for row in rows if row[0] not in passed])
    return GateResult(passed, {row[0]: row[1] for row in run_kept(connection, _refuse(dialect), left)})


def _all_pass(connection: Connection, given: dict[str, object], count: int) -> bool:
    """Let a whole group pass without asking for each row, else nothing of it.

    SQLite hands rows out one by one, and for each of them this thread would wait for the interpreter's lock.
    """
    connection.exec_driver_sql("SAVEPOINT gate")
    is_whole = run_kept(connection, _permit("sqlite"), given).rowcount == count
    connection.exec_driver_sql("RELEASE gate" if is_whole else "ROLLBACK TO gate")
    return is_whole


def _lock(session: Session, candidates: Sequence[Candidate]) -> None:
    """Take the sending rows, then the address rows, each in the order of their ids."""
    if session.get_bind().dialect.name != "postgresql":
        return  # BEGIN IMMEDIATE has already made this the only writer
    sendings = sorted({candidate.sending_id for candidate in candidates})
    addresses = sorted({candidate.address_id for candidate in candidates if candidate.address_id is not None})
    session.connection().execute(_LOCK, {"sendings": sendings, "addresses": addresses, "wait": f"{LOCK_WAIT_MS}ms"})


_LOCK = text("""
  WITH wait AS MATERIALIZED (SELECT set_config('lock_timeout', :wait, true) AS said),
  held AS MATERIALIZED (
    SELECT id FROM sending WHERE id = ANY(:sendings) AND (SELECT said FROM wait) <> '' ORDER BY id FOR SHARE),
  locked AS MATERIALIZED (
    SELECT id FROM address WHERE id = ANY(:addresses) AND (SELECT count(*) FROM held) >= 0 ORDER BY id FOR SHARE)
  SELECT count(*) FROM locked
""")
"""One round trip; each part names the one before it, so they run in this order."""

_GIVEN = "candidates"
_COLUMNS = {"id": BigInt, "batch": BigInt, "token": BigInt}


@cache
def _permit(dialect: str) -> Update:
    """Let pass what may: `queued -> transmitting`, with the batch's token."""
    given = rowset(dialect, _GIVEN, _COLUMNS)
    return (
        update(Message)
        .where(*_is_mine(given), _is_permitted())
        .values(state=MessageState.TRANSMITTING.value, gate_at=database_clock(), gate_token=given.c.token)
    )


@cache
def _permit_each(dialect: str) -> ReturningUpdate[int]:
    return _permit(dialect).returning(Message.id)


@cache
def _refuse(dialect: str) -> Update:
    """Skip, with the reason, those that consent forbids; leave those whose sending or batch is not mine to send."""
    given = rowset(dialect, _GIVEN, _COLUMNS)
    forbidden = any_row(
        Sending, Sending.id == Message.sending_id, is_running(), or_(_refused_marketing(), _refused_service())
    )
    return (
        update(Message)
        .where(*_is_mine(given), forbidden)
        .values(state=MessageState.SKIPPED.value, reason=_reason())
        .returning(Message.id, Message.reason)
    )


def _is_mine(given: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Still queued, in a batch that is leased to me and whose provider is not held: the database's clock decides."""
    return (
        Message.id == given.c.id,
        Message.batch_id == given.c.batch,
        Message.state == MessageState.QUEUED.value,
        any_row(
            SendBatch,
            SendBatch.id == given.c.batch,
            SendBatch.token == given.c.token,
            SendBatch.state == BatchState.LEASED.value,
            SendBatch.lease_until > database_clock(),
            ~is_provider_held(),
        ),
    )


def _is_permitted() -> ColumnElement[bool]:
    """The sending runs, and what its class asks holds."""
    marketing = and_(Sending.sending_class == _MARKETING, *(not_(forbids) for forbids, _ in _why_not()))
    service = and_(Sending.sending_class.in_(_SERVICE), ~_is_dead())
    return any_row(
        Sending,
        Sending.id == Message.sending_id,
        is_running(),
        or_(marketing, service, Sending.sending_class.in_(_UNGATED)),
    )


def _why_not() -> tuple[tuple[ColumnElement[bool], SkipReason], ...]:
    """What forbids the message of a marketing sending, as the audience has it, too."""
    contact, topic, now = Message.contact_id, Sending.topic_id, database_clock()
    return why_not_marketing(
        Facts(
            is_do_not_mail=_is_marked_do_not_mail(),
            is_suppressed=_is_suppressed_now(),
            is_permitted=has_permission(contact, topic, now),
            is_subscribed=is_subscribed(contact, topic),
            is_paused=is_paused(contact, now),
            is_overridden=is_overridden(contact, Message.address_id, Sending.id, topic),
        )
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
    """Marked, or archived since the audience was frozen: who archives a contact expects no mail to go to it."""
    forbidden = or_(is_do_not_mail(), Contact.archived_at.is_not(None))
    return any_row(Contact, Contact.id == Message.contact_id, forbidden)


def _refused_marketing() -> ColumnElement[bool]:
    return and_(Sending.sending_class == _MARKETING, or_(*(forbids for forbids, _ in _why_not())))


def _refused_service() -> ColumnElement[bool]:
    return and_(Sending.sending_class.in_(_SERVICE), _is_dead())


def _reason() -> ColumnElement[str]:
    """The first reason that applies, in the order of INTERFACES."""

    def of_sending(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return any_row(Sending, Sending.id == Message.sending_id, condition)

    marketing = [(of_sending(forbids), reason.value) for forbids, reason in _why_not()]
    return case((of_sending(_refused_service()), SkipReason.SUPPRESSED.value), *marketing)
