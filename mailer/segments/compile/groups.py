"""Groups and lines of a rule as one condition; each kind of field is compiled in a room of its own."""

from collections.abc import Callable

from sqlalchemy import and_, not_, or_, true

from mailer.segments.compile.activities import compile_activity
from mailer.segments.compile.behavior import compile_behavior
from mailer.segments.compile.choices import compile_choice, compile_tags, compile_yes_no
from mailer.segments.compile.conditions import Condition, RuleContext
from mailer.segments.compile.consent import compile_consent, compile_suppressed, compile_topic
from mailer.segments.compile.dates import compile_date
from mailer.segments.compile.followups import compile_follow_up
from mailer.segments.compile.numbers import compile_number
from mailer.segments.compile.texts import compile_text
from mailer.segments.fields import Kind
from mailer.segments.tree import Group, Line, Mode


def compile_group(group: Group, context: RuleContext) -> Condition:
    """Return the condition of a group; an empty one says nothing and is true for everyone."""
    conditions = [compile_item(item, context) for item in group.items]
    if not conditions:
        return true()
    if group.mode is Mode.ALL:
        return and_(*conditions)
    together = or_(*conditions)
    return together if group.mode is Mode.ANY else not_(together)


def compile_item(item: Line | Group, context: RuleContext) -> Condition:
    """Return the condition of a line or a group."""
    if isinstance(item, Group):
        return compile_group(item, context)
    return _COMPILERS[item.kind](item, context)


def _membership(line: Line, context: RuleContext) -> Condition:
    found = or_(*(context.membership(name) for name in line.value))
    return found if line.op == "in" else not_(found)


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
    Kind.SEGMENT: _membership,
}
