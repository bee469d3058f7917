"""The list of segments: found, filtered and sorted, with how many use each. Never commits."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from mailer.schema.accounts import Staff
from mailer.schema.segments import Segment, SegmentInput, SegmentUse
from mailer.segments.visibility import Viewer, is_visible_to
from mailer.statuses import SegmentKind

SORTS = ("name", "changed", "created", "uses")
MOST = 500
"""Segments on one page; more are found by searching."""


@dataclass(frozen=True)
class ListQuery:
    """What a reader of the list asks for; empty means all."""

    search: str = ""
    kind: str = ""
    owner: int | None = None
    is_archived: bool = False
    sort: str = "name"


@dataclass(frozen=True)
class SegmentLine:
    """A segment with its owner's name and how many campaigns, links and segments use it."""

    segment: Segment
    owner: str
    uses: int


def list_lines(session: Session, wanted: ListQuery, viewer: Viewer | None) -> list[SegmentLine]:
    """Return the segments that `viewer` may see and asks for."""
    recorded = select(func.count()).select_from(SegmentUse).where(SegmentUse.segment_id == Segment.id)
    as_part = select(func.count()).select_from(SegmentInput).where(SegmentInput.input_id == Segment.id)
    uses = recorded.correlate(Segment).scalar_subquery() + as_part.correlate(Segment).scalar_subquery()
    owner = func.coalesce(func.nullif(Staff.name, ""), Staff.email, "")
    query = select(Segment, owner, uses).outerjoin(Staff, Staff.id == Segment.owner_id).where(is_visible_to(viewer))
    order = {
        "changed": (Segment.updated_at.desc(),),
        "created": (Segment.created_at.desc(),),
        "uses": (uses.desc(), Segment.name),
    }.get(wanted.sort, (func.lower(Segment.name),))
    rows: Any = session.execute(_filter(query, wanted).order_by(*order, Segment.id).limit(MOST))
    return [SegmentLine(segment, name, number) for segment, name, number in rows]


def _filter(query: Select[tuple[Segment, str, int]], wanted: ListQuery) -> Select[tuple[Segment, str, int]]:
    is_archived = Segment.archived_at.is_not(None)
    query = query.where(is_archived if wanted.is_archived else ~is_archived)
    for word in wanted.search.split()[:5]:
        matches = (Segment.name.icontains(word, autoescape=True), Segment.description.icontains(word, autoescape=True))
        query = query.where(or_(*matches))
    if wanted.kind in list(SegmentKind):
        query = query.where(Segment.kind == wanted.kind)
    if wanted.owner is not None:
        query = query.where(Segment.owner_id == wanted.owner)
    return query


def list_namesakes(session: Session, name: str, besides: int | None, viewer: Viewer | None) -> int:
    """Return how many other segments have this name: allowed, but worth a warning."""
    query = select(func.count()).select_from(Segment).where(Segment.name == name.strip(), is_visible_to(viewer))
    return session.scalar(query if besides is None else query.where(Segment.id != besides)) or 0
