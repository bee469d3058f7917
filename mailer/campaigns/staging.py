"""The audience of a campaign in a table of the connection's own, from which message rows are written by SQL alone.

A temporary table takes no lock of the database: on SQLite others write while the audience is worked out, and then wait
for one chunk at most. Rows keep one snapshot; a process that begins anew stages anew what lies after the cursor.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable

from mailer.delivery.policy import BATCH_SIZE
from mailer.schema.base import BigInt
from mailer.statuses import MessageState

_METADATA = MetaData()
_RECIPIENT = Table(
    "audience_recipient",
    _METADATA,
    Column("contact_id", BigInt, primary_key=True, autoincrement=False),
    Column("address_id", BigInteger),
    Column("provider", String),
    Column("reason", String),
    Column("place", Integer),
    Column("ordinal", Integer),
    prefixes=["TEMPORARY"],
)
"""`place` counts the sendable of a provider from 0; `reason` says why somebody is none of them.

`ordinal` is that of the batch for those who go first, NULL for the others, whose place says it.
"""
_BATCH = Table(
    "audience_batch",
    _METADATA,
    Column("provider", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("batch_id", BigInteger),
    prefixes=["TEMPORARY"],
)
_Slot = tuple[str, int]


def stage_audience(session: Session, audience: Select[int, int, str, str], *, after_id: int) -> None:
    """Fill the table with everybody of `audience` after a contact; the session's connection is the caller's own."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        session.execute(text("SET LOCAL work_mem = '64MB'"))  # or the joins go through files
    for table in (_RECIPIENT, _BATCH):
        session.execute(CreateTable(table))
    rows = audience.order_by(None).subquery("audience")
    number = func.row_number().over(partition_by=[rows.c.provider, rows.c.reason.is_(None)], order_by=rows.c.id)
    place = case((rows.c.reason.is_(None), number - 1), else_=None)
    columns = ["contact_id", "address_id", "provider", "reason", "place"]
    chosen = select(rows.c.id, rows.c.address_id, rows.c.provider, rows.c.reason, place).where(rows.c.id > after_id)
    session.execute(insert(_RECIPIENT).from_select(columns, chosen.order_by(rows.c.id)))
    if not is_sqlite:
        session.execute(text("ANALYZE pg_temp.audience_recipient"))
    session.commit()


def count_by_provider(session: Session) -> dict[str, int]:
    """Return how many staged people would get the mail, by mailbox provider."""
    counted = select(_RECIPIENT.c.provider, func.count()).where(_RECIPIENT.c.place.is_not(None))
    return {provider: count for provider, count in session.execute(counted.group_by(_RECIPIENT.c.provider))}


def sample_recipients(size: int) -> Select[int]:
    """Return the select of `size` staged people who would get the mail, drawn evenly: the same ones each time."""
    query = select(_RECIPIENT.c.contact_id).where(_RECIPIENT.c.place.is_not(None))
    return query.order_by(*_DRAWN).limit(size)


_DRAWN = (_RECIPIENT.c.contact_id * 7919 % 10007, _RECIPIENT.c.contact_id)
"""An order that has nothing to do with age: those of the newest import are not all at the end."""


def put_first(session: Session, quotas: Mapping[str, int]) -> None:
    """Put so many people of each mailbox provider into batches of their own, with ordinals from 0; drawn evenly."""
    rows = []
    for provider, quota in quotas.items():
        drawn = sample_recipients(quota).where(_RECIPIENT.c.provider == provider)
        ids = sorted(session.scalars(drawn))
        rows += [{"who": contact_id, "number": place // BATCH_SIZE} for place, contact_id in enumerate(ids)]
    if rows:
        chosen = update(_RECIPIENT).where(_RECIPIENT.c.contact_id == bindparam("who"))
        session.connection().execute(chosen.values(ordinal=bindparam("number")), rows)
    session.commit()


def find_chunk_end(session: Session, cursor: int, size: int) -> int | None:
    """Return the last contact of the next `size` after `cursor`; None where there is none."""
    after = select(_RECIPIENT.c.contact_id).where(_RECIPIENT.c.contact_id > cursor)
    page = after.order_by(_RECIPIENT.c.contact_id).limit(size).subquery()
    last: int | None = session.scalar(select(func.max(page.c.contact_id)))
    return last


def find_missing_batches(session: Session, first_ordinal: int, cursor: int, last: int) -> list[_Slot]:
    """Return provider and ordinal of the batches that a chunk needs and that are not made, in the order of ordinals."""
    needed = _needed(first_ordinal, cursor, last)
    query = (
        select(needed.c.provider, needed.c.ordinal)
        .outerjoin(_BATCH, and_(_BATCH.c.provider == needed.c.provider, _BATCH.c.ordinal == needed.c.ordinal))
        .where(_BATCH.c.batch_id.is_(None))
        .order_by(needed.c.ordinal, needed.c.provider)
    )
    return [(provider, ordinal) for provider, ordinal in session.execute(query)]


def _needed(first_ordinal: int, cursor: int, last: int):  # type: ignore[no-untyped-def]
    chosen = select(_RECIPIENT.c.provider, _ordinal(first_ordinal).label("ordinal"))
    return chosen.where(_within(cursor, last), _RECIPIENT.c.place.is_not(None)).distinct().subquery("needed")


def note_batches(session: Session, slots: Sequence[_Slot], ids: Sequence[int]) -> None:
    """Note the ids of batches that were made."""
    rows = [
        {"provider": provider, "ordinal": ordinal, "batch_id": number}
        for (provider, ordinal), number in zip(slots, ids, strict=True)
    ]
    session.execute(insert(_BATCH), rows)


def message_select(sending_id: int, first_ordinal: int, cursor: int, last: int) -> Select[int]:
    """Return a chunk of the audience as columns of `message`, by contact id."""
    in_batch = and_(_BATCH.c.provider == _RECIPIENT.c.provider, _BATCH.c.ordinal == _ordinal(first_ordinal))
    state = case((_RECIPIENT.c.reason.is_(None), MessageState.QUEUED.value), else_=MessageState.SKIPPED.value)
    return (
        select(
            literal(sending_id).label("sending_id"),
            _RECIPIENT.c.contact_id,
            _RECIPIENT.c.address_id,
            null().label("to_address"),
            _RECIPIENT.c.contact_id.label("recipient_key"),
            literal(0).label("occurrence"),
            _BATCH.c.batch_id,
            state.label("state"),
            func.coalesce(_RECIPIENT.c.reason, "").label("reason"),
            literal(0).label("attempts"),
            literal("").label("reply"),
        )
        .select_from(_RECIPIENT)
        .outerjoin(_BATCH, in_batch)
        .where(_within(cursor, last))
        .order_by(_RECIPIENT.c.contact_id)
    )


def _ordinal(first_ordinal: int):  # type: ignore[no-untyped-def]
    return func.coalesce(_RECIPIENT.c.ordinal, first_ordinal + _RECIPIENT.c.place // BATCH_SIZE)


def _within(cursor: int, last: int):  # type: ignore[no-untyped-def]
    return and_(_RECIPIENT.c.contact_id > cursor, _RECIPIENT.c.contact_id <= last)
