"""Reads of segments: by name or id, who uses one, its members, its words and reasons. Never commits."""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Address, Contact, ContactField
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Event
from mailer.schema.segments import Segment, SegmentInput, SegmentMember
from mailer.segments.compile.conditions import RuleContext
from mailer.segments.explain import describe_combination, describe_rule
from mailer.segments.patience import SECONDS, at_most
from mailer.segments.phrases import Names
from mailer.segments.reasons import Node, Reason, build_nodes
from mailer.segments.resolve import Resolver
from mailer.segments.resolve import Source as Source
from mailer.segments.rules import named_segments, parse_rule, with_segment_ids
from mailer.segments.tree import Behavior, Group, iter_lines
from mailer.statuses import EventKind, FieldType, SegmentKind, SegmentOperation
from mailer.workspace.queries import get_workspace

PAGE = 2000
_COLUMNS = 500
"""Conditions asked in one statement; an engine takes 1,664 columns."""
_ID_DIGITS = 18


@dataclass(frozen=True)
class Member:
    """A member as lists show it."""

    id: int
    email: str | None
    first_name: str
    last_name: str


def get_segment(session: Session, name: int | str) -> Segment:
    """Return the segment with an id (a whole number, archived ones too), or the one in use called `name`.

    A text of digits that is nobody's name is taken for an id.

    Raises:
        NotFoundError: there is none; names those that exist.
        ConflictError: several have this name.
    """
    if isinstance(name, int):
        segment = session.get(Segment, name)
        if segment is None:
            raise NotFoundError(f"there is no segment with the id {name}")
        return segment
    query = select(Segment).where(Segment.archived_at.is_(None))
    found = session.scalars(query.where(Segment.name == name).limit(2)).all()
    if len(found) > 1:
        raise ConflictError(f"several segments are called {name!r}", mend="use the id")
    if not found and name.isdecimal() and len(name) <= _ID_DIGITS:
        found = session.scalars(query.where(Segment.id == int(name))).all()
    if not found:
        raise NotFoundError(f"no segment is called {name!r}", mend=_hint(session, name))
    return found[0]


def _hint(session: Session, name: str) -> str:
    """Return what may have been meant; names of segments that not everybody sees are not told."""
    is_shown = Segment.visibility == "all"
    archived = session.scalar(
        select(Segment.id).where(Segment.name == name, is_shown, Segment.archived_at.is_not(None))
    )
    if archived is not None:
        return f"one of this name is archived: its id is {archived}"
    known = select(Segment.name).where(is_shown, Segment.archived_at.is_(None)).order_by(Segment.name).limit(20)
    return f"segments: {', '.join(session.scalars(known)) or 'none yet'}"


def get_by_public_id(session: Session, public_id: uuid.UUID) -> Segment:
    """Return a segment by its public id or raise NotFoundError."""
    segment = session.scalar(select(Segment).where(Segment.public_id == public_id))
    if segment is None:
        raise NotFoundError("no such segment")
    return segment


def list_segments(session: Session, *, with_archived: bool = False) -> Sequence[Segment]:
    """Return segments by name."""
    query = select(Segment).order_by(Segment.name, Segment.id)
    return session.scalars(query if with_archived else query.where(Segment.archived_at.is_(None))).all()


def list_inputs(session: Session, segment_id: int) -> Sequence[Segment]:
    """Return the operands of a combined segment in order."""
    query = select(Segment).join(SegmentInput, SegmentInput.input_id == Segment.id)
    return session.scalars(query.where(SegmentInput.segment_id == segment_id).order_by(SegmentInput.ordinal)).all()


def own_field_types(session: Session) -> dict[str, FieldType]:
    """Return the types of own fields by key."""
    rows = session.execute(select(ContactField.key, ContactField.type).where(ContactField.archived_at.is_(None)))
    return {key: FieldType(kind) for key, kind in rows}


def read_rule(session: Session, rule: object) -> Group:
    """Return a rule as a tree, own fields and the segments it names included in the check; InputError if wrong."""
    return parse_rule(rule, own_field_types(session))


def pin_rule(session: Session, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule, checked, as it is stored: segments by id, so that renaming one changes no rule.

    Raises:
        InputError: the rule is wrong, by place in the tree.
        NotFoundError, ConflictError: it names a segment that does not exist, or that several are called.
    """
    read_rule(session, rule)
    return with_segment_ids(rule, lambda name: get_segment(session, name).id)


def _resolver(session: Session, today: date, *, asks_one: bool = False) -> Resolver:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    context = RuleContext(
        today=today,
        zone=get_workspace(session).timezone,
        is_sqlite=is_sqlite,
        makes_sets=is_sqlite and not asks_one,
        newest_hit=_find_newest_hit(session),
        membership=_no_membership,
    )
    return Resolver(
        context=context,
        own_fields=own_field_types(session),
        find=lambda name: get_segment(session, name),
        list_inputs=lambda segment_id: list_inputs(session, segment_id),
    )


def _find_newest_hit(session: Session) -> datetime | None:
    newest = [
        select(Event.at).where(Event.kind == kind.value).order_by(Event.at.desc()).limit(1)
        for kind in (EventKind.OPEN, EventKind.CLICK)
    ]
    found = [session.scalar(query) for query in newest]
    return max((at for at in found if at is not None), default=None)


def _no_membership(name: int | str, _is_negated: bool) -> ColumnElement[bool]:  # noqa: FBT001 - as the compiler calls it
    raise InputError(f"the segment {name!r} cannot be asked about here")


def member_condition(session: Session, source: Source, today: date) -> ColumnElement[bool]:
    """Return the condition of being a member, over the table `contact`; archived contacts are not left out yet.

    Raises:
        ConflictError: segments go round in a circle, shown with the path.
        InputError: a stored rule names a field that is gone, or everything together is too large.
        NotFoundError: a rule names a segment that is gone.
    """
    return _resolver(session, today).condition_of(source)


def members_select(session: Session, source: Source, today: date) -> Select[Any]:
    """Return `SELECT contact.id` of the members on the day `today`; archived contacts are never members."""
    if isinstance(source, Segment) and source.kind == SegmentKind.STATIC:
        listed = select(Contact.id).join(SegmentMember, SegmentMember.contact_id == Contact.id)
        return listed.where(SegmentMember.segment_id == source.id, Contact.archived_at.is_(None))
    condition = member_condition(session, source, today)
    return select(Contact.id).where(Contact.archived_at.is_(None), condition)


def count_members(session: Session, source: Source, today: date, *, seconds: float | None = SECONDS) -> int:
    """Return how many members there are now; TooCostlyError where that takes longer than `seconds` (None: no end)."""
    counted = members_select(session, source, today).with_only_columns(func.count(), maintain_column_froms=True)
    with at_most(session, seconds):
        return session.scalar(counted) or 0


def iter_members(session: Session, source: Source, today: date, *, page: int = PAGE) -> Iterator[Member]:
    """Yield every member by id, in keyset pages."""
    columns: Any = (Contact.id, Address.email, Contact.first_name, Contact.last_name)
    query = members_select(session, source, today).with_only_columns(*columns, maintain_column_froms=True)
    query = query.outerjoin(Address, Address.id == Contact.address_id).order_by(Contact.id).limit(page)
    last = 0
    while True:
        rows = session.execute(query.where(Contact.id > last)).all()
        yield from (Member(*row) for row in rows)
        if len(rows) < page:
            return
        last = rows[-1][0]


def list_sample(session: Session, source: Source, today: date, *, limit: int = 10) -> list[Member]:
    """Return some members, the newest first, for a person to look at; TooCostlyError as in `count_members`."""
    columns: Any = (Contact.id, Address.email, Contact.first_name, Contact.last_name)
    query = members_select(session, source, today).with_only_columns(*columns, maintain_column_froms=True)
    query = query.outerjoin(Address, Address.id == Contact.address_id).order_by(Contact.id.desc()).limit(limit)
    with at_most(session, SECONDS):
        return [Member(*row) for row in session.execute(query)]


def describe_segment(session: Session, source: Source) -> str:
    """Return a sentence that says who is in."""
    if isinstance(source, Group):
        return describe_rule(source, find_names(session, source))
    match SegmentKind(source.kind):
        case SegmentKind.STATIC:
            return "A fixed list of contacts"
        case SegmentKind.DYNAMIC:
            return describe_segment(session, read_rule(session, source.rule))
        case SegmentKind.COMBINED:
            names = [operand.name for operand in list_inputs(session, source.id)]
            return describe_combination(SegmentOperation(str(source.operation)), names)


def find_names(session: Session, group: Group) -> Names:
    """Return what the ids and own fields of a rule are called."""
    lines = iter_lines(group)
    campaigns = {one for line in lines for one in getattr(line.value, "campaigns", ()) if isinstance(one, int)}
    links = {line.value.link for line in lines if isinstance(line.value, Behavior) and isinstance(line.value.link, int)}
    segments = {name for name in named_segments(group) if isinstance(name, int)}
    keys = {line.own_key for line in lines if line.own_key is not None}
    return Names(
        segments=_texts(session, Segment.id, Segment.name, segments),
        campaigns=_texts(session, Campaign.id, Campaign.name, campaigns),
        links=_texts(session, TrackedLink.id, TrackedLink.url, links),
        fields=_texts(session, ContactField.key, ContactField.label, keys),
    )


def _texts(session: Session, key: Any, text: Any, wanted: Collection[Any]) -> dict[Any, str]:
    if not wanted:
        return {}
    return {found: name for found, name in session.execute(select(key, text).where(key.in_(wanted)))}


def list_reasons(session: Session, source: Source, contact_id: int, today: date) -> list[Reason]:
    """Return the tree of a source, each line with whether it holds for a contact; TooCostlyError as in `count_members`.

    A contact is a member where every reason of depth 0 holds.
    """
    nodes = build_nodes(_resolver(session, today, asks_one=True), source, lambda group: find_names(session, group))
    nodes.append(Node("is not archived", Contact.archived_at.is_(None)))
    conditions = [condition for node in nodes for condition in node.conditions()]
    found: list[bool] = []
    with at_most(session, SECONDS):
        for start in range(0, len(conditions), _COLUMNS):
            columns = [one.label(f"c{number}") for number, one in enumerate(conditions[start : start + _COLUMNS])]
            row = session.execute(select(*columns).select_from(Contact).where(Contact.id == contact_id)).one_or_none()
            if row is None:
                raise NotFoundError("no such contact")
            found += [bool(holds) for holds in row]
    answers = iter(found)
    return [reason for node in nodes for reason in node.reasons(answers)]


def is_member(session: Session, source: Source, contact_id: int, today: date) -> bool:
    """Return whether a contact is a member now."""
    with at_most(session, SECONDS):
        return session.scalar(members_select(session, source, today).where(Contact.id == contact_id)) is not None
