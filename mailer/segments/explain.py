"""A rule in plain words. Pure: the sentence that people read beside the editor (FEATURES S15)."""

from collections.abc import Mapping, Sequence

from mailer.segments.phrases import Names, phrase_line
from mailer.segments.tree import Group, Line, Mode
from mailer.statuses import SegmentOperation

_NOBODY_NAMED = Names()
_TITLES: Mapping[Mode, str] = {Mode.ALL: "all of these", Mode.ANY: "any of these", Mode.NONE: "none of these"}
_OPERATIONS: Mapping[SegmentOperation, str] = {
    SegmentOperation.UNION: "is in any of these segments",
    SegmentOperation.INTERSECTION: "is in all of these segments",
    SegmentOperation.ONLY_FIRST: "is in the first and not in the second",
    SegmentOperation.ONLY_SECOND: "is in the second and not in the first",
    SegmentOperation.EXACTLY_ONE: "is in exactly one of these segments",
}


def describe_rule(group: Group, names: Names = _NOBODY_NAMED) -> str:
    """Return a sentence: "Contacts whose city is Oslo and who opened a mail in the previous 3 months"."""
    if not group.items:
        return "All contacts"
    if group.mode is Mode.NONE:
        return f"All contacts except those {_joined(group, names, 0)}"
    return f"Contacts {_joined(group, names, 0)}"


def describe_line(line: Line, names: Names = _NOBODY_NAMED) -> str:
    """Return the words of one condition about one contact: "city is Oslo"."""
    return phrase_line(line, names).statement


def title_group(mode: Mode) -> str:
    """Return the words above the lines of a group."""
    return _TITLES[mode]


def title_operation(operation: SegmentOperation) -> str:
    """Return the words above the operands of a combined segment."""
    return _OPERATIONS[operation]


def _joined(group: Group, names: Names, level: int) -> str:
    word = "and" if group.mode is Mode.ALL else "or"
    clauses = [_clause(item, names, group.mode, level) for item in group.items]
    if len(clauses) == 1:
        return clauses[0]
    return f"{', '.join(clauses[:-1])} {word} {clauses[-1]}"


def _clause(item: Line | Group, names: Names, outer: Mode, level: int) -> str:
    if isinstance(item, Line):
        return phrase_line(item, names).clause
    inner = _joined(item, names, level + 1)
    if item.mode is Mode.NONE:
        return f"who are not those ({inner})" if len(item.items) > 1 else f"who are not those {inner}"
    if len(item.items) == 1 or item.mode is outer or (item.mode is Mode.ANY and outer is Mode.NONE):
        return inner
    if level or len(item.items) > 2 or _has_groups(item):  # noqa: PLR2004 - either and both speak of two
        return f"({inner})"
    return f"{'both' if item.mode is Mode.ALL else 'either'} {inner}"


def _has_groups(group: Group) -> bool:
    return any(isinstance(item, Group) for item in group.items)


def describe_combination(operation: SegmentOperation, names: Sequence[str]) -> str:
    """Return a sentence about the operands of a combined segment."""
    shown = [f"“{name}”" for name in names]
    match operation:
        case SegmentOperation.UNION:
            return f"Contacts in any of {_listed(shown)}"
        case SegmentOperation.INTERSECTION:
            return f"Contacts in all of {_listed(shown)}"
        case SegmentOperation.ONLY_FIRST:
            return f"Contacts in {shown[0]} and not in {shown[1]}"
        case SegmentOperation.ONLY_SECOND:
            return f"Contacts in {shown[1]} and not in {shown[0]}"
        case SegmentOperation.EXACTLY_ONE:
            return f"Contacts in exactly one of {_listed(shown)}"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
