"""Who was touched (GDPR, 33 and 34): by a campaign, by an import, by a segment on a day. Rows for a CSV; audited.

After a mistake or a breach somebody must be told who is concerned, and quickly. What retention or an erasure took away
cannot be named any more: those are rows without an address, so that the number is still right.
"""

import csv
import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, func, literal, or_, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.context import Context
from mailer.database import UtcDateTime
from mailer.errors import InputError, NotFoundError
from mailer.imports.refusals import guard_cell
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Activity, Address, Contact
from mailer.schema.delivery import Message
from mailer.schema.imports import ImportRun
from mailer.schema.segments import Segment, SegmentEvent, SegmentMember, SegmentWatch, SegmentWatchMember
from mailer.statuses import SegmentChange, SegmentKind
from mailer.workspace.queries import get_workspace

COLUMNS = ("contact_id", "email", "first_name", "last_name", "state", "reason", "at")
_PAGE = 1_000


@dataclass(frozen=True, kw_only=True)
class Question:
    """One of: a campaign, an import, a segment at the end of a day in the workspace's zone (today without one)."""

    campaign_id: int | None = None
    import_id: int | None = None
    segment_id: int | None = None
    on: date | None = None


@dataclass(frozen=True)
class _Query:
    """A select of COLUMNS after a key column, which pages go by; `subject` for the audit line."""

    subject: tuple[str, int]
    select: Select[Any]
    key: Any


def iter_touched(ctx: Context, question: Question, *, by: int | None = None) -> Iterator[dict[str, Any]]:
    """Return who was touched, by contact or mail, in keyset pages; leaves an audit line before the first row.

    Raises:
        InputError: not exactly one thing is asked for, or a day without history.
        NotFoundError: there is no such thing.
    """
    with ctx.read() as session:
        query = _find(session, question)
    with ctx.write() as session:
        detail = {"on": question.on.isoformat()} if question.on else {}
        record_audit(session, "privacy.incident", by=by, subject=query.subject, detail=detail)
    return _rows(ctx, query)


def write_csv(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the rows as CSV in UTF-8, every cell quoted, none a formula."""
    yield _line(COLUMNS, mark="\ufeff")
    for row in rows:
        yield _line([row[name] for name in COLUMNS])


def _line(cells: Any, *, mark: str = "") -> bytes:
    text = io.StringIO()
    shown = [cell.isoformat() if isinstance(cell, datetime) else "" if cell is None else str(cell) for cell in cells]
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow([guard_cell(cell) for cell in shown])
    return (mark + text.getvalue()).encode()


def _rows(ctx: Context, query: _Query) -> Iterator[dict[str, Any]]:
    after = -1
    while True:
        with ctx.read() as session:
            page = session.execute(
                query.select.where(query.key > after).order_by(query.key).limit(_PAGE)
            ).all()  # fmt: skip
        if not page:
            return
        for row in page:
            yield dict(zip(COLUMNS, row[1:], strict=True))
        after = page[-1][0]


def _find(session: Session, question: Question) -> _Query:
    asked = [one for one in (question.campaign_id, question.import_id, question.segment_id) if one is not None]
    if len(asked) != 1:
        raise InputError("ask for one campaign, one import or one segment", where="incident")
    if question.campaign_id is not None:
        return _of_campaign(session, question.campaign_id)
    if question.import_id is not None:
        return _of_import(session, question.import_id)
    return _of_segment(session, asked[0], question.on)


def _of_campaign(session: Session, campaign_id: int) -> _Query:
    campaign = session.get(Campaign, campaign_id)
    if campaign is None:
        raise NotFoundError(f"there is no campaign {campaign_id}")
    if campaign.sending_id is None:
        raise NotFoundError("this campaign was not launched, so nobody is in it")
    query: Any = (
        select(
            Message.id, Message.contact_id, func.coalesce(Message.to_address, Address.email), Contact.first_name,
            Contact.last_name, Message.state, Message.reason, func.coalesce(Message.accepted_at, Message.gate_at),
        )
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Address, Address.id == Message.address_id)
        .where(Message.sending_id == campaign.sending_id)
    )  # fmt: skip
    return _Query(("campaign", campaign_id), query, Message.id)


def _people(state: Any, reason: Any, at: Any) -> Select[Any]:
    query = select(
        Contact.id, Contact.id, Address.email, Contact.first_name, Contact.last_name,
        state.label("state"), reason.label("reason"), at.label("at"),
    )  # fmt: skip
    return query.outerjoin(Address, Address.id == Contact.address_id)


def _of_import(session: Session, import_id: int) -> _Query:
    """Contacts that an import added, and those whom it brought activities of."""
    run = session.get(ImportRun, import_id)
    if run is None:
        raise NotFoundError(f"there is no import {import_id}")
    brought = select(Activity.contact_id).where(Activity.import_id == import_id)
    word = literal("added" if run.kind == "contacts" else "activity")
    mine = Contact.import_id == import_id if run.kind == "contacts" else Contact.id.in_(brought)
    people = _people(word, literal(""), literal(run.created_at, UtcDateTime()))
    return _Query(("import", import_id), people.where(mine), Contact.id)


def _of_segment(session: Session, segment_id: int, on: date | None) -> _Query:
    segment = session.get(Segment, segment_id)
    if segment is None:
        raise NotFoundError(f"there is no segment {segment_id}")
    subject = ("segment", segment_id)
    watch = session.get(SegmentWatch, segment_id)
    if watch is not None and watch.is_ready:
        return _Query(subject, _watched(session, segment, watch, on), Contact.id)
    if on is not None:
        raise InputError(
            "this segment is not watched, so who was in it on a day is not known", where="on",
            mend="ask without a day, or watch the segment from now on",
        )  # fmt: skip
    if segment.kind != SegmentKind.STATIC:
        raise InputError(
            "this segment is a rule and not watched: its members are those of now", where="segment",
            mend="export its members on its page",
        )  # fmt: skip
    query = _people(literal("member"), SegmentMember.cause, SegmentMember.added_at)
    mine = and_(SegmentMember.contact_id == Contact.id, SegmentMember.segment_id == segment_id)
    return _Query(subject, query.join(SegmentMember, mine), Contact.id)


def _watched(session: Session, segment: Segment, watch: SegmentWatch, on: date | None) -> Select[Any]:
    """Members at the end of a day: those of now whom nothing changed since, and who left first since."""
    end = _end_of(session, on)
    if end is not None and end < watch.since:
        raise InputError(f"the history of this segment begins on {watch.since.date()}", where="on")
    is_known = and_(SegmentWatchMember.contact_id == Contact.id, SegmentWatchMember.segment_id == segment.id)
    now = select(SegmentWatchMember.contact_id).where(is_known).correlate(Contact).exists()
    if end is None:
        return _people(literal("member"), literal(""), literal(watch.looked_at, UtcDateTime())).where(now)
    since = and_(SegmentEvent.segment_id == segment.id, SegmentEvent.contact_id == Contact.id, SegmentEvent.at >= end)
    first = select(SegmentEvent.kind).where(since).order_by(SegmentEvent.id).limit(1).correlate(Contact)
    changed = first.scalar_subquery()
    was = or_(and_(now, changed.is_(None)), changed == SegmentChange.LEFT.value)
    return _people(literal("member"), literal(""), literal(end, UtcDateTime())).where(was)


def _end_of(session: Session, on: date | None) -> datetime | None:
    """Return the end of a day in the workspace's zone."""
    if on is None:
        return None
    zone = ZoneInfo(get_workspace(session).timezone)
    return datetime.combine(on + timedelta(days=1), time(), zone).astimezone(UTC)


def find_campaign(session: Session, public_id: uuid.UUID) -> int:
    """Return the number of a campaign; NotFoundError where there is none."""
    number = session.scalar(select(Campaign.id).where(Campaign.public_id == public_id))
    if number is None:
        raise NotFoundError("no such campaign")
    return number


def list_choices(session: Session, *, limit: int = 200) -> dict[str, list[tuple[int, str]]]:
    """Return what may be asked about, newest first: (number, name) of campaigns, imports and segments."""
    campaigns = select(Campaign.id, Campaign.name).where(Campaign.sending_id.is_not(None)).order_by(Campaign.id.desc())
    imports = select(ImportRun.id, ImportRun.file_name).order_by(ImportRun.id.desc())
    has_watch = select(SegmentWatch.segment_id)
    segments = select(Segment.id, Segment.name).where(
        or_(Segment.kind == SegmentKind.STATIC.value, Segment.id.in_(has_watch))
    )
    return {
        "campaign": [(number, name) for number, name in session.execute(campaigns.limit(limit))],
        "import": [(number, f"{number}: {name}") for number, name in session.execute(imports.limit(limit))],
        "segment": [(number, name) for number, name in session.execute(segments.order_by(Segment.name).limit(limit))],
    }
