"""Who sees a segment: everybody, the owner's group, or the owner alone; admins see all of them (FEATURES S14)."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, or_, select, true
from sqlalchemy.orm import Session

from mailer.errors import NotFoundError
from mailer.schema.accounts import Staff
from mailer.schema.segments import Segment
from mailer.statuses import Role


class Visibility(StrEnum):
    """Who sees a segment beside its owner and the admins."""

    ALL = "all"
    GROUP = "group"
    PRIVATE = "private"


@dataclass(frozen=True)
class Viewer:
    """Who looks: a member of staff."""

    staff_id: int
    is_admin: bool


def make_viewer(staff_id: int, role: Role | str) -> Viewer:
    """Return a member of staff as one who looks."""
    return Viewer(staff_id, role == Role.ADMIN)


def find_viewer(session: Session, staff_id: int | None) -> Viewer | None:
    """Return a member of staff as one who looks; None for commands and background work, which see everything."""
    role = session.scalar(select(Staff.role).where(Staff.id == staff_id)) if staff_id is not None else None
    return None if staff_id is None else make_viewer(staff_id, str(role))


def is_visible_to(viewer: Viewer | None) -> ColumnElement[bool]:
    """Return the condition, over `segment`, that `viewer` sees it; None is a command, which sees all."""
    if viewer is None or viewer.is_admin:
        return true()
    group = select(Staff.group_name).where(Staff.id == viewer.staff_id).scalar_subquery()
    in_group = and_(Segment.group_name != "", Segment.group_name == group)
    return or_(Segment.visibility == "all", Segment.owner_id == viewer.staff_id, in_group)


def visibility_of(segment: Segment) -> Visibility:
    """Return who sees a segment."""
    if segment.visibility == "all":
        return Visibility.ALL
    return Visibility.GROUP if segment.group_name else Visibility.PRIVATE


def get_visible(session: Session, public_id: uuid.UUID, viewer: Viewer | None) -> Segment:
    """Return a segment by its public id; NotFoundError also where `viewer` may not see it."""
    found = session.scalar(select(Segment).where(Segment.public_id == public_id, is_visible_to(viewer)))
    if found is None:
        raise NotFoundError("no such segment")
    return found


def list_visible(session: Session, viewer: Viewer | None, *, with_archived: bool = False) -> Sequence[Segment]:
    """Return the segments that `viewer` sees, by name."""
    query = select(Segment).where(is_visible_to(viewer)).order_by(Segment.name, Segment.id)
    return session.scalars(query if with_archived else query.where(Segment.archived_at.is_(None))).all()


def require_visible(session: Session, segments: Iterable[Segment], staff_id: int | None) -> None:
    """Raise NotFoundError for the first of `segments` that a member of staff may not see; a command may see all."""
    viewer = find_viewer(session, staff_id)
    wanted = [segment.id for segment in segments]
    seen = set(session.scalars(select(Segment.id).where(Segment.id.in_(wanted), is_visible_to(viewer))))
    for number in wanted:
        if number not in seen:  # its name is not told: whoever asks may have guessed the id
            raise NotFoundError(f"there is no segment {number} for you", mend="it may be private: ask its owner")
