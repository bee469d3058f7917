"""What a rule costs before it is asked: about how long, and which fields want an index. An estimate, never a cache.

Each line weighs so many microseconds a contact, as `bench.segments` measures them on two slow cores; a line whose field
has an index weighs next to nothing. Sizes of tables are their highest ids, which no engine has to count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment
from mailer.segments.fields import Kind
from mailer.segments.indexes import can_index, list_indexed
from mailer.segments.queries import Source, get_segment, list_inputs, own_field_types, read_rule
from mailer.segments.tree import Behavior, Group, Line, NumberTest, iter_lines
from mailer.statuses import SegmentKind

MANY_CONTACTS = 100_000
"""From so many contacts on an index is worth its keep."""
SLOW_MILLISECONDS = 1_000
_EVERYBODY = 0.05
_INDEXED = 0.01
_LISTED = 0.2
_COUNTED = 2.0
_OWN = 0.9
_WEIGHTS: Mapping[Kind, float] = {
    Kind.TEXT: 0.2, Kind.NUMBER: _OWN, Kind.DATE: 0.3, Kind.YES_NO: 0.3, Kind.CHOICE: 0.3, Kind.TAGS: 0.6,
    Kind.BEHAVIOR: 0.8, Kind.ACTIVITY: 0.5, Kind.FOLLOW_UP: 0.5, Kind.CONSENT: 0.5, Kind.TOPIC: 0.5,
    Kind.SUPPRESSED: 0.7, Kind.SEGMENT: 0.0,
}  # fmt: skip
_SEEKING = frozenset({"equals", "is_one_of", "=", "<", "<=", ">", ">=", "between"})


@dataclass(frozen=True)
class Cost:
    """About how long counting takes, and the fields whose index would shorten it."""

    milliseconds: int
    wanting: tuple[str, ...] = ()

    @property
    def is_slow(self) -> bool:
        """Whether a person would notice."""
        return self.milliseconds >= SLOW_MILLISECONDS


def estimate_cost(session: Session, source: Source) -> Cost:
    """Return what it costs to count a rule or segment, with all the segments that it names.

    Raises:
        InputError, NotFoundError: a rule on the way is wrong, or names what is gone.
    """
    contacts = session.scalar(select(func.max(Contact.id))) or 0
    own_fields, indexed = own_field_types(session), list_indexed(session)
    lines, lists = _gather(session, source, set())
    weight = _EVERYBODY + _LISTED * lists + sum(_weight(line, indexed) for line in lines)
    wanting = [
        line.own_key or line.field
        for line in lines
        if can_index(line.field, own_fields) and not _is_indexed(line, indexed) and _seeks(line)
    ]
    return Cost(round(weight * contacts / 1000), tuple(dict.fromkeys(wanting)) if contacts >= MANY_CONTACTS else ())


def _gather(session: Session, source: Source, seen: set[int]) -> tuple[Sequence[Line], int]:
    """Return the lines of a source and of all that it names, and how many lists there are."""
    if isinstance(source, Group):
        lines = list(iter_lines(source))
        named = [get_segment(session, name) for line in lines if line.kind is Kind.SEGMENT for name in line.value]
        return _gather_all(session, named, seen, lines)
    if source.id in seen:
        return [], 0
    seen.add(source.id)
    match SegmentKind(source.kind):
        case SegmentKind.STATIC:
            return [], 1
        case SegmentKind.DYNAMIC:
            return _gather(session, read_rule(session, source.rule), seen)
        case SegmentKind.COMBINED:
            return _gather_all(session, list_inputs(session, source.id), seen, [])


def _gather_all(
    session: Session, segments: Sequence[Segment], seen: set[int], lines: list[Line]
) -> tuple[Sequence[Line], int]:
    lists = 0
    for segment in segments:
        more, count = _gather(session, segment, seen)
        lines, lists = [*lines, *more], lists + count
    return lines, lists


def _weight(line: Line, indexed: set[str]) -> float:
    if _is_indexed(line, indexed) and _seeks(line):
        return _INDEXED
    if isinstance(getattr(line.value, "count", None), NumberTest):
        return _COUNTED
    if isinstance(line.value, Behavior) and line.value.campaigns:
        return _LISTED
    return _OWN if line.own_key is not None else _WEIGHTS[line.kind]


def _is_indexed(line: Line, indexed: set[str]) -> bool:
    return (line.own_key or line.field) in indexed


def _seeks(line: Line) -> bool:
    """Whether a line asks for a part that an index finds, not for what is left when some are taken away."""
    return line.op in _SEEKING or (line.kind is Kind.DATE and line.value is not None)
