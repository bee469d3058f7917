"""Groups and lines of a rule as one condition; each kind of field is compiled in a room of its own."""

from collections.abc import Callable

from sqlalchemy import false, not_, true

from mailer.segments.compile.activities import compile_activity
from mailer.segments.compile.behavior import compile_behavior
from mailer.segments.compile.choices import compile_choice, compile_tags, compile_yes_no
from mailer.segments.compile.conditions import Condition, RuleContext
from mailer.segments.compile.consent import compile_consent, compile_suppressed, compile_topic
from mailer.segments.compile.dates import compile_date
from mailer.segments.compile.followups import compile_follow_up
from mailer.segments.compile.nesting import all_of, any_of
from mailer.segments.compile.numbers import compile_number
from mailer.segments.compile.texts import compile_text
from mailer.segments.fields import Kind
from mailer.segments.tree import Group, Line, Mode


def compile_group(group: Group, context: RuleContext, *, is_negated: bool = False) -> Condition:
    """Return the condition of a group, or its opposite; an empty one says nothing and is true for everyone.

    Negations go down to the lines: NOT around a group would be a level more.
    """
    is_opposite = is_negated != (group.mode is Mode.NONE)
    conditions = [compile_item(item, context, is_negated=is_opposite) for item in group.items]
    if not conditions:
        return false() if is_negated else true()
    return all_of(conditions) if (group.mode is Mode.ALL) != is_opposite else any_of(conditions)


def compile_item(item: Line | Group, context: RuleContext, *, is_negated: bool = False) -> Condition:
    """Return the condition of a line or a group, or its opposite."""
    if isinstance(item, Group):
        return compile_group(item, context, is_negated=is_negated)
    if item.kind is Kind.SEGMENT:
        return _membership(item, context, is_negated=is_negated)
    condition = _COMPILERS[item.kind](item, context)
    return not_(condition) if is_negated else condition


def _membership(line: Line, context: RuleContext, *, is_negated: bool) -> Condition:
    is_opposite = is_negated != (line.op == "not_in")
    found = [context.membership(name, is_opposite) for name in line.value]
    return all_of(found) if is_opposite else any_of(found)


_COMPILERS: dict[Kind, Callable[[Line, RuleContext], Condition]] = {
    Kind.TEXT: compile_text,
    Kind.NUMBER: compile_number,
    Kind.DATE: compile_date,
    Kind.YES_NO: compile_yes_no,
    Kind.CHOICE: compile_choice,
    Kind.TAGS: compile_tags,
    Kind.BEHAVIOR: compile_behavior,
    Kind.ACTIVITY: compile_activity,
    Kind.FOLLOW_UP: compile_follow_up,
    Kind.CONSENT: compile_consent,
    Kind.TOPIC: compile_topic,
    Kind.SUPPRESSED: compile_suppressed,
}
