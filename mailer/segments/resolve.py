"""Segments that name each other become one condition; circles are refused with their path, and so is what is too large.

Nothing is looked up but the segments themselves: by id, archived ones too, so that no rule changes its meaning; by
name only among those in use.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import exists, select

from mailer.errors import ConflictError, InputError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.algebra import combine
from mailer.segments.compile.conditions import Condition, RuleContext
from mailer.segments.compile.groups import compile_group
from mailer.segments.rules import parse_rule
from mailer.segments.tree import Group, Line, iter_lines
from mailer.statuses import FieldType, SegmentKind, SegmentOperation

MAX_CONDITIONS = 2000
MAX_VALUES = 20_000
MAX_PATH = 20
Source = Segment | Group
"""What has members: a stored segment, or a rule that nobody stored."""


@dataclass
class Budget:
    """How much one statement still holds; segments that name segments grow quickly."""

    conditions: int = MAX_CONDITIONS
    values: int = MAX_VALUES

    def take(self, lines: Sequence[Line]) -> None:
        """Take the lines of one rule, or of one list; InputError where they are too many together."""
        self.conditions -= max(len(lines), 1)
        self.values -= sum(len(line.value) for line in lines if isinstance(line.value, tuple))
        if self.conditions < 0 or self.values < 0:
            raise InputError(
                f"with the segments it names this has more than {MAX_CONDITIONS} lines or {MAX_VALUES} values",
                mend="make one of the segments static",
            )


@dataclass(frozen=True)
class Resolver:
    """Turns segments into conditions; `path` is how we came here, so that a circle can be shown."""

    context: RuleContext
    own_fields: Mapping[str, FieldType]
    find: Callable[[int | str], Segment]
    list_inputs: Callable[[int], Sequence[Segment]]
    path: tuple[str, ...] = ()
    seen: frozenset[int] = frozenset()
    budget: Budget = field(default_factory=Budget)

    def condition_of(self, source: Source) -> Condition:
        """Return the condition of being a member.

        Raises:
            ConflictError: segments go round in a circle, shown with the path.
            InputError: a stored rule names a field that is gone, or everything together is too large.
            NotFoundError: a rule names a segment that is gone.
        """
        if isinstance(source, Group):
            self.budget.take(iter_lines(source))
            return compile_group(source, self.line_context())
        inner = self.enter(source)
        match SegmentKind(source.kind):
            case SegmentKind.STATIC:
                self.budget.take(())
                return is_listed(source.id)
            case SegmentKind.DYNAMIC:
                return inner.condition_of(inner.rule_of(source))
            case SegmentKind.COMBINED:
                operands = [inner.condition_of(operand) for operand in inner.list_inputs(source.id)]
                return combine(SegmentOperation(str(source.operation)), operands)

    def enter(self, segment: Segment) -> "Resolver":
        """Return the resolver of what `segment` is made of."""
        path = (*self.path, segment.name)
        if segment.id in self.seen:
            raise ConflictError("segments go round in a circle: " + " > ".join(path))
        if len(path) > MAX_PATH:
            raise InputError(
                f"segments name each other more than {MAX_PATH} deep: " + " > ".join(path),
                mend="make one of them static",
            )
        return replace(self, path=path, seen=self.seen | {segment.id})

    def rule_of(self, segment: Segment) -> Group:
        """Return the tree of a dynamic segment's rule."""
        return parse_rule(segment.rule, self.own_fields)

    def line_context(self) -> RuleContext:
        """Return the context in which lines may ask about segments."""
        return replace(self.context, membership=lambda name: self.condition_of(self.find(name)))


def is_listed(segment_id: int) -> Condition:
    """Return the condition that a contact is in the list of a static segment."""
    where = (SegmentMember.segment_id == segment_id, SegmentMember.contact_id == Contact.id)
    return exists(select(SegmentMember.contact_id).where(*where).correlate(Contact))
