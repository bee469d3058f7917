"""Reads of segments: by name or id, who uses one, its members as a condition. Never commits."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.contacts import Address, Contact, ContactField
from mailer.schema.segments import Segment, SegmentInput, SegmentMember, SegmentUse
from mailer.segments.algebra import combine
from mailer.segments.compile import RuleContext, compile_group, compile_item
from mailer.segments.explain import describe_line, describe_rule
from mailer.segments.rules import Group, iter_lines, parse_rule
from mailer.statuses import FieldType, SegmentKind, SegmentOperation
from mailer.workspace.queries import get_workspace

PAGE = 2000
Source = Segment | Group
"""What has members: a stored segment, or a rule that nobody stored."""


@dataclass(frozen=True)
class Member:
    """A member as lists show it."""

    id: int
    email: str | None
    first_name: str
    last_name: str


@dataclass(frozen=True)
class Use:
    """Somebody who uses a segment: `campaign` 5, `segment` 7."""

    kind: str
    id: int
    name: str = ""


@dataclass(frozen=True)
class Reason:
    """One line of a rule and whether it holds for a contact."""

    text: str
    holds: bool


def get_segment(session: Session, name: str) -> Segment:
    """Return the segment called `name` or with that id.

    Raises:
        NotFoundError: there is none; names those that exist.
        ConflictError: several have this name.
    """
    query = select(Segment).where(Segment.archived_at.is_(None))
    found = session.scalars(query.where(Segment.name == name).limit(2)).all()
    if len(found) > 1:
        raise ConflictError(f"several segments are called {name!r}", mend="use the id")
    if not found and name.isdecimal():
        found = session.scalars(query.where(Segment.id == int(name))).all()
    if not found:
        known = ", ".join(session.scalars(select(Segment.name).order_by(Segment.name).limit(20))) or "none yet"
        raise NotFoundError(f"no segment is called {name!r}", mend=f"segments: {known}")
    return found[0]


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


def list_uses(session: Session, segment_id: int) -> list[Use]:
    """Return who uses a segment: what rooms above recorded, then combined segments, then rules that name it."""
    query = select(SegmentUse).where(SegmentUse.segment_id == segment_id)
    recorded = session.scalars(query.order_by(SegmentUse.user_kind, SegmentUse.user_id)).all()
    combined = select(Segment.id).join(SegmentInput, SegmentInput.segment_id == Segment.id)
    ids = set(session.scalars(combined.where(SegmentInput.input_id == segment_id)))
    ids |= {use.user_id for use in recorded if use.user_kind == "segment"}
    names = session.execute(select(Segment.id, Segment.name).where(Segment.id.in_(ids)).order_by(Segment.id))
    others = [Use(use.user_kind, use.user_id) for use in recorded if use.user_kind != "segment"]
    return others + [Use("segment", number, name) for number, name in names]


def own_field_types(session: Session) -> dict[str, FieldType]:
    """Return the types of own fields by key."""
    rows = session.execute(select(ContactField.key, ContactField.type).where(ContactField.archived_at.is_(None)))
    return {key: FieldType(kind) for key, kind in rows}


def read_rule(session: Session, rule: object) -> Group:
    """Return a rule as a tree, own fields and the segments it names included in the check; InputError if wrong."""
    return parse_rule(rule, own_field_types(session))


@dataclass
class _Resolver:
    """Turns segments into conditions; `path` is how we came here, so that a cycle can be shown."""

    session: Session
    context: RuleContext
    path: tuple[str, ...] = ()
    seen: frozenset[int] = field(default_factory=frozenset)

    def condition_of(self, source: Source) -> ColumnElement[bool]:
        if isinstance(source, Group):
            return compile_group(source, replace(self.context, membership=self._membership))
        if source.id in self.seen:
            raise ConflictError("segments go round in a circle: " + " > ".join([*self.path, source.name]))
        inner = _Resolver(self.session, self.context, (*self.path, source.name), self.seen | {source.id})
        match SegmentKind(source.kind):
            case SegmentKind.STATIC:
                return is_static_member(source.id)
            case SegmentKind.DYNAMIC:
                return inner.condition_of(parse_rule(source.rule, self.context.own_fields))
            case SegmentKind.COMBINED:
                operands = [inner.condition_of(operand) for operand in list_inputs(self.session, source.id)]
                return combine(SegmentOperation(str(source.operation)), operands)

    def _membership(self, name: str) -> ColumnElement[bool]:
        return self.condition_of(get_segment(self.session, name))


def is_static_member(segment_id: int) -> ColumnElement[bool]:
    """Return the condition that a contact is in the list of a static segment."""
    where = (SegmentMember.segment_id == segment_id, SegmentMember.contact_id == Contact.id)
    return exists(select(SegmentMember.contact_id).where(*where).correlate(Contact))


def rule_context(session: Session, today: date) -> RuleContext:
    """Return what rules mean on the day `today` in the workspace."""
    return RuleContext(
        today=today,
        zone=get_workspace(session).timezone,
        is_sqlite=session.get_bind().dialect.name == "sqlite",
        own_fields=own_field_types(session),
        membership=_no_membership,
    )


def _no_membership(name: str) -> ColumnElement[bool]:
    raise InputError(f"the segment {name!r} cannot be asked about here")


def member_condition(session: Session, source: Source, today: date) -> ColumnElement[bool]:
    """Return the condition of being a member, over the table `contact`; archived contacts are not left out yet.

    Raises:
        ConflictError: segments go round in a circle, shown with the path.
        InputError: a stored rule names a field that is gone.
        NotFoundError: a rule names a segment that is gone.
    """
    return _Resolver(session, rule_context(session, today)).condition_of(source)


def members_select(session: Session, source: Source, today: date) -> Select[Any]:
    """Return `SELECT contact.id` of the members on the day `today`; archived contacts are never members."""
    if isinstance(source, Segment) and source.kind == SegmentKind.STATIC:
        listed = select(Contact.id).join(SegmentMember, SegmentMember.contact_id == Contact.id)
        return listed.where(SegmentMember.segment_id == source.id, Contact.archived_at.is_(None))
    condition = member_condition(session, source, today)
    return select(Contact.id).where(Contact.archived_at.is_(None), condition)


def count_members(session: Session, source: Source, today: date) -> int:
    """Return how many members there are now."""
    counted = members_select(session, source, today).with_only_columns(func.count(), maintain_column_froms=True)
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
    """Return some members, the newest first, for a person to look at."""
    columns: Any = (Contact.id, Address.email, Contact.first_name, Contact.last_name)
    query = members_select(session, source, today).with_only_columns(*columns, maintain_column_froms=True)
    query = query.outerjoin(Address, Address.id == Contact.address_id).order_by(Contact.id.desc()).limit(limit)
    return [Member(*row) for row in session.execute(query)]


def describe_segment(session: Session, source: Source) -> str:
    """Return a sentence that says who is in."""
    if isinstance(source, Group):
        return describe_rule(source)
    match SegmentKind(source.kind):
        case SegmentKind.STATIC:
            return "A fixed list of contacts"
        case SegmentKind.DYNAMIC:
            return describe_rule(read_rule(session, source.rule))
        case SegmentKind.COMBINED:
            names = [operand.name for operand in list_inputs(session, source.id)]
            return _COMBINED[SegmentOperation(str(source.operation))](names)


def list_reasons(session: Session, source: Source, contact_id: int, today: date) -> list[Reason]:
    """Return each condition of a source and whether it holds for a contact, in one statement."""
    context = rule_context(session, today)
    resolver = _Resolver(session, context)
    rule_source = source if isinstance(source, Group) else None
    if isinstance(source, Segment) and source.kind == SegmentKind.DYNAMIC:
        rule_source = read_rule(session, source.rule)
    if rule_source is not None:
        membership = replace(context, membership=resolver._membership)  # noqa: SLF001 - of this module
        lines = iter_lines(rule_source)
        conditions = [(describe_line(line), compile_item(line, membership)) for line in lines]
    elif isinstance(source, Segment) and source.kind == SegmentKind.COMBINED:
        inputs = list_inputs(session, source.id)
        conditions = [(f"is in {operand.name}", resolver.condition_of(operand)) for operand in inputs]
    else:
        conditions = [("is on the list", resolver.condition_of(source))]
    conditions.append(("is not archived", Contact.archived_at.is_(None)))
    columns = [condition.label(f"c{number}") for number, (_, condition) in enumerate(conditions)]
    row = session.execute(select(*columns).select_from(Contact).where(Contact.id == contact_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such contact")
    return [Reason(text, bool(holds)) for (text, _), holds in zip(conditions, row, strict=True)]


def is_member(session: Session, source: Source, contact_id: int, today: date) -> bool:
    """Return whether a contact is a member now."""
    return session.scalar(members_select(session, source, today).where(Contact.id == contact_id)) is not None


_COMBINED: dict[SegmentOperation, Callable[[list[str]], str]] = {
    SegmentOperation.UNION: lambda names: "Contacts in any of " + ", ".join(names),
    SegmentOperation.INTERSECTION: lambda names: "Contacts in all of " + ", ".join(names),
    SegmentOperation.ONLY_FIRST: lambda names: f"Contacts in {names[0]} and not in {names[1]}",
    SegmentOperation.ONLY_SECOND: lambda names: f"Contacts in {names[1]} and not in {names[0]}",
    SegmentOperation.EXACTLY_ONE: lambda names: f"Contacts in exactly one of {names[0]} and {names[1]}",
}
