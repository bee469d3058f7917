"""Members of static segments: added and taken out set-based, with who did it, when and why (FEATURES S1).

Where the segment is watched, each change leaves its line in the history in the same transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, literal, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, NotFoundError
from mailer.schema.contacts import Address, Contact
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.chosen import PAGE, count_written, insert_into, is_among, iter_member_pages
from mailer.segments.history.record import is_watched, record_entered, record_left
from mailer.segments.queries import Source
from mailer.statuses import SegmentKind

BY_HAND = "by hand"
_ADDRESSES = 500
"""Addresses that one statement looks for."""


def add_members(
    session: Session, segment_id: int, contact_ids: Iterable[int], *, cause: str, by: int | None = None
) -> int:
    """Add contacts to a static segment and return how many are new. Safe to repeat; ids of nobody are left out."""
    segment = require_static(session, segment_id)
    watched = is_watched(session, segment_id)
    added = 0
    for ids in _pages(contact_ids):
        chosen = select(Contact.id).where(is_among(session, Contact.id, ids))
        added += insert_members(session, segment_id, chosen, cause=cause, by=by)
        if watched:
            record_entered(session, segment, ids, at=utc_now(), cause=cause)
    return added


def add_members_of(ctx: Context, segment_id: int, source: Source, *, cause: str, by: int | None = None) -> int:
    """Add the members of another segment or rule and return how many are new; in pages, safe to repeat."""
    with ctx.read() as session:
        require_static(session, segment_id)
    added = 0
    for page in iter_member_pages(ctx, source):
        with ctx.write() as session:
            added += add_members(session, segment_id, page, cause=cause, by=by)
    return added


def remove_members(
    session: Session, segment_id: int, contact_ids: Iterable[int], *, cause: str = BY_HAND, by: int | None = None
) -> int:
    """Take contacts out of a static segment and return how many were in it. Safe to repeat."""
    segment = require_static(session, segment_id)
    watched = is_watched(session, segment_id)
    removed = 0
    for ids in _pages(contact_ids):
        if watched:
            record_entered(session, segment, ids, at=utc_now(), cause=cause)  # whom no look has seen yet
        gone = delete(SegmentMember).where(
            SegmentMember.segment_id == segment_id, is_among(session, SegmentMember.contact_id, ids)
        )
        removed += count_written(session, gone)
        if watched:
            record_left(session, segment, ids, at=utc_now(), cause=cause, by=by)
    return removed


def add_by_addresses(
    ctx: Context, segment_id: int, emails: Sequence[str], *, by: int | None = None
) -> tuple[int, list[str]]:
    """Add every contact with one of these addresses; return how many are new and the addresses nobody has."""
    with ctx.write() as session:
        found, unknown = find_by_addresses(session, emails)
        added = add_members(session, segment_id, found, cause=BY_HAND, by=by)
        if added:
            _audit(session, "segments.add_members", segment_id, by, added)
    return added, unknown


def find_by_addresses(session: Session, emails: Iterable[str]) -> tuple[list[int], list[str]]:
    """Return every contact with one of these addresses, and the addresses that nobody has."""
    wanted = list(dict.fromkeys(email.strip().lower().replace("\0", "") for email in emails))
    ids: list[int] = []
    known: set[str | None] = set()
    for start in range(0, len(wanted), _ADDRESSES):
        rows = session.execute(
            select(Contact.id, Address.email)
            .join(Address, Address.id == Contact.address_id)
            .where(Address.email.in_(wanted[start : start + _ADDRESSES]))
        )
        for contact_id, email in rows:
            ids.append(contact_id)
            known.add(email)
    return ids, [email for email in wanted if email not in known]


def take_out(ctx: Context, segment_id: int, contact_ids: Iterable[int], *, by: int | None = None) -> int:
    """Take contacts out of a static segment by hand and return how many were in it."""
    with ctx.write() as session:
        removed = remove_members(session, segment_id, contact_ids, by=by)
        if removed:
            _audit(session, "segments.remove_members", segment_id, by, removed)
    return removed


def put_back(
    ctx: Context,
    segment_id: int,
    members: Sequence[tuple[int, datetime, int | None, str]],
    *,
    by: int | None = None,
) -> int:
    """Put people back who were taken out by mistake, as (contact id, added at, added by, cause); return how many.

    The list says again who had added them, when and why. Safe to repeat.
    """
    added = 0
    with ctx.write() as session:
        segment = require_static(session, segment_id)
        watched = is_watched(session, segment_id)
        for contact_id, added_at, added_by, cause in members:
            chosen = select(Contact.id).where(Contact.id == contact_id)
            added += insert_members(session, segment_id, chosen, cause=cause, by=added_by, at=added_at)
        if watched:
            ids = [contact_id for contact_id, *_ in members]
            record_entered(session, segment, ids, at=utc_now(), cause=BY_HAND)
        if added:
            _audit(session, "segments.add_members", segment_id, by, added)
    return added


def insert_members(
    session: Session,
    segment_id: int,
    chosen: Select[Any],
    *,
    cause: str,
    by: int | None = None,
    at: datetime | None = None,
) -> int:
    """Put the contacts that `chosen` selects (ids in one column, with a WHERE) on a list; return how many are new.

    Nothing is checked and no history is written: that is the caller's.
    """
    columns: Any = (
        literal(segment_id),
        chosen.selected_columns[0],
        literal(at or utc_now(), SegmentMember.added_at.type),
        literal(by, SegmentMember.added_by.type),
        literal(cause[:100]),
    )
    rows = chosen.with_only_columns(*columns, maintain_column_froms=True)
    names = ["segment_id", "contact_id", "added_at", "added_by", "cause"]
    statement = insert_into(session, SegmentMember).from_select(names, rows).on_conflict_do_nothing()
    return count_written(session, statement)


def require_static(session: Session, segment_id: int) -> Segment:
    """Return a static segment.

    Raises:
        NotFoundError: there is no such segment.
        ConflictError: it is dynamic or combined.
    """
    segment = session.get(Segment, segment_id)
    if segment is None:
        raise NotFoundError("no such segment")
    if segment.kind != SegmentKind.STATIC:
        raise ConflictError(f"{segment.name!r} is {segment.kind}, not static")
    return segment


def _pages(contact_ids: Iterable[int]) -> list[list[int]]:
    ids = sorted(set(contact_ids))
    return [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]


def _audit(session: Session, action: str, segment_id: int, by: int | None, count: int) -> None:
    record_audit(session, action, by=by, subject=("segment", segment_id), detail={"contacts": count})
