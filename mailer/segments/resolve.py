"""Segments that name each other become one condition; circles are refused with their path, and so is what is too large.

Nothing is looked up but the segments themselves: by id, archived ones too, so that no rule changes its meaning; by
name only among those in use.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import exists, not_, select

from mailer.errors import ConflictError, InputError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.algebra import Operand, combine
from mailer.segments.compile.conditions import Condition, RuleContext, is_in
from mailer.segments.compile.groups import compile_group
from mailer.segments.rules import parse_rule
from mailer.segments.tree import Group, Line, depth_of, iter_lines
from mailer.statuses import FieldType, SegmentKind, SegmentOperation

MAX_CONDITIONS = 2000
MAX_VALUES = 20_000
MAX_PATH = 20
MAX_LEVELS = 60
Source = Segment | Group
"""What has members: a stored segment, or a rule that nobody stored."""


class TooLargeError(InputError):
    """Segments that name segments are too deep or too many for one statement."""


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
            raise TooLargeError(
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
    levels: int = 0
    seen: frozenset[int] = frozenset()
    budget: Budget = field(default_factory=Budget)

    def condition_of(self, source: Source, *, is_negated: bool = False) -> Condition:
        """Return the condition of being a member, or its opposite.

        Raises:
            ConflictError: segments go round in a circle, shown with the path.
            InputError: a stored rule names a field that is gone, or everything together is too large.
            NotFoundError: a rule names a segment that is gone.
        """
        if isinstance(source, Group):
            self.budget.take(iter_lines(source))
            inner = self.deeper(depth_of(source))
            return compile_group(source, inner.line_context(), is_negated=is_negated)
        inner = self.enter(source)
        match SegmentKind(source.kind):
            case SegmentKind.STATIC:
                self.budget.take(())
                listed = is_listed(source.id, self.context)
                return not_(listed) if is_negated else listed
            case SegmentKind.DYNAMIC:
                return inner.condition_of(inner.rule_of(source), is_negated=is_negated)
            case SegmentKind.COMBINED:
                operation = SegmentOperation(str(source.operation))
                operands = [inner.operand(segment) for segment in inner.list_inputs(source.id)]
                return combine(operation, operands, is_negated=is_negated)

    def operand(self, segment: Segment) -> Operand:
        """Return a segment as an operand of a set operation."""
        return lambda is_negated: self.condition_of(segment, is_negated=is_negated)

    def deeper(self, levels: int) -> "Resolver":
        """Return the resolver `levels` further down; InputError where that is deeper than an engine reads."""
        if self.levels + levels > MAX_LEVELS:
            raise TooLargeError(
                f"with the segments it names this is nested more than {MAX_LEVELS} deep",
                mend="make one of the segments static",
            )
        return replace(self, levels=self.levels + levels)

    def enter(self, segment: Segment) -> "Resolver":
        """Return the resolver of what `segment` is made of."""
        path = (*self.path, segment.name)
        if segment.id in self.seen:
            raise ConflictError("segments go round in a circle: " + " > ".join(path))
        if len(path) > MAX_PATH:
            raise TooLargeError(
                f"segments name each other more than {MAX_PATH} deep: " + " > ".join(path),
                mend="make one of them static",
            )
        return replace(self.deeper(1), path=path, seen=self.seen | {segment.id})

    def rule_of(self, segment: Segment) -> Group:
        """Return the tree of a dynamic segment's rule."""
        return parse_rule(segment.rule, self.own_fields)

    def line_context(self) -> RuleContext:
        """Return the context in which lines may ask about segments."""
        return replace(self.context, membership=self._membership)

    def _membership(self, name: int | str, is_negated: bool) -> Condition:  # noqa: FBT001 - as the compiler calls it
        return self.condition_of(self.find(name), is_negated=is_negated)


def is_listed(segment_id: int, context: RuleContext) -> Condition:
    """Return the condition that a contact is in the list of a static segment."""
    listed = select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment_id)
    if context.makes_sets:
        return is_in(listed)
    return exists(listed.where(SegmentMember.contact_id == Contact.id).correlate(Contact))
