"""Why a contact is in or not: the tree of a source, line by line (FEATURES S15).

Each line becomes one column of one statement, by the same compiler that selects members; groups and set operations are
put together from their lines.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mailer.schema.segments import Segment
from mailer.segments.algebra import decide
from mailer.segments.compile.conditions import Condition
from mailer.segments.compile.groups import compile_item
from mailer.segments.explain import describe_line, title_group, title_operation
from mailer.segments.fields import Kind
from mailer.segments.phrases import Names
from mailer.segments.resolve import Resolver, Source, is_listed
from mailer.segments.tree import Group, Line, Mode
from mailer.statuses import SegmentKind, SegmentOperation

_DECIDE: dict[Mode, Callable[[Sequence[bool]], bool]] = {
    Mode.ALL: all,
    Mode.ANY: any,
    Mode.NONE: lambda found: not any(found),
}


@dataclass(frozen=True)
class Reason:
    """One line, group or segment of a source and whether it holds for a contact; `depth` 0 is at the top."""

    text: str
    holds: bool
    depth: int = 0


@dataclass
class Node:
    """What is asked: a condition of its own, or one that its parts decide."""

    text: str
    condition: Condition | None = None
    parts: list["Node"] = field(default_factory=list)
    decide: Callable[[Sequence[bool]], bool] = all

    def conditions(self) -> Iterator[Condition]:
        """Yield the conditions of this node and those below, in the order in which `reasons` takes answers."""
        if self.condition is not None:
            yield self.condition
        for part in self.parts:
            yield from part.conditions()

    def reasons(self, answers: Iterator[bool], depth: int = 0) -> list[Reason]:
        """Return this node and those below with their answers, in tree order."""
        own = next(answers) if self.condition is not None else None
        below = [part.reasons(answers, depth + 1) for part in self.parts]
        holds = own if own is not None else self.decide([found[0].holds for found in below])
        return [Reason(self.text, holds, depth), *(reason for found in below for reason in found)]


def build_nodes(resolver: Resolver, source: Source, names: Callable[[Group], Names]) -> list[Node]:
    """Return what a source asks; a contact is in where all of it holds."""
    if isinstance(source, Group):
        nodes = [_item(resolver, item, names(source), names) for item in source.items]
        if source.mode is Mode.ALL or (source.mode is Mode.ANY and len(nodes) == 1):
            return nodes
        return [Node(title_group(source.mode), parts=nodes, decide=_DECIDE[source.mode])]
    inner = resolver.enter(source)
    match SegmentKind(source.kind):
        case SegmentKind.STATIC:
            return [Node("is on the list", is_listed(source.id, resolver.context))]
        case SegmentKind.DYNAMIC:
            return build_nodes(inner, inner.rule_of(source), names)
        case SegmentKind.COMBINED:
            operation = SegmentOperation(str(source.operation))
            parts = [_operand(inner, operand, names) for operand in inner.list_inputs(source.id)]
            return [Node(title_operation(operation), parts=parts, decide=lambda found: decide(operation, found))]


def _operand(resolver: Resolver, segment: Segment, names: Callable[[Group], Names]) -> Node:
    text = f"is in “{segment.name}”"
    if segment.kind == SegmentKind.STATIC:
        return Node(text, is_listed(segment.id, resolver.context))
    return Node(text, parts=build_nodes(resolver, segment, names))


def _item(resolver: Resolver, item: Line | Group, known: Names, names: Callable[[Group], Names]) -> Node:
    if isinstance(item, Group):
        parts = [_item(resolver, one, known, names) for one in item.items]
        return Node(title_group(item.mode), parts=parts, decide=_DECIDE[item.mode])
    resolver.budget.take([item])
    node = Node(describe_line(item, known), compile_item(item, resolver.line_context()))
    if item.kind is Kind.SEGMENT:
        node.parts = _one_below(resolver, item, names)
    return node


def _one_below(resolver: Resolver, line: Line, names: Callable[[Group], Names]) -> list[Node]:
    """Return what the segments of a membership line ask, without going further down."""
    segments = [resolver.find(name) for name in line.value]
    if len(segments) > 1:
        return [Node(f"is in “{segment.name}”", resolver.condition_of(segment)) for segment in segments]
    (segment,) = segments
    if segment.kind != SegmentKind.DYNAMIC:
        return []
    inner = resolver.enter(segment)
    rule = inner.rule_of(segment)
    known, context = names(rule), inner.line_context()
    parts = [_leaf(item, known, compile_item(item, context)) for item in rule.items]
    return parts if rule.mode is Mode.ALL else [Node(title_group(rule.mode), parts=parts, decide=_DECIDE[rule.mode])]


def _leaf(item: Line | Group, known: Names, condition: Condition) -> Node:
    return Node(describe_line(item, known) if isinstance(item, Line) else title_group(item.mode), condition)
