"""Activities (FEATURES S9): purchases and what else contacts did outside our mails, counted and summed in a period."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, not_, select

from mailer.schema.contacts import Activity, Contact
from mailer.segments.compile.conditions import Condition, RuleContext, exists_one, json_number, json_text, signed
from mailer.segments.compile.dates import match_instant
from mailer.segments.compile.numbers import match_number
from mailer.segments.compile.texts import match_text
from mailer.segments.tree import ActivityTest, Line, NumberTest, TextTest

MINOR_UNITS = 100


def compile_activity(line: Line, context: RuleContext) -> Condition:
    """Return whether a contact has such activities, or the opposite."""
    condition = _has_activity(line.value, context)
    return condition if line.op == "has" else not_(condition)


def _has_activity(test: ActivityTest, context: RuleContext) -> Condition:
    where: list[Condition] = [Activity.contact_id == Contact.id, Activity.kind == test.kind]
    if test.period:
        where.append(match_instant(Activity.at, test.period, context))
    if test.currency:
        where.append(Activity.currency == test.currency)
    if test.amount:
        where.append(match_number(Activity.amount, test.amount, factor=MINOR_UNITS))
    where += [_own_value(key, one, context) for key, one in test.data]
    if not (test.count or test.sum):
        return exists_one(Activity.id, *where)
    count, total = func.count(), func.coalesce(func.sum(Activity.amount), 0)
    if _is_true_of_nobody(test):
        return _compare(_aggregate(count, where), _aggregate(total, where), test)
    # one pass over the kind and period, instead of one for each contact
    grouped = select(Activity.contact_id).where(*where[1:]).group_by(Activity.contact_id)
    return Contact.id.in_(grouped.having(_compare(count, total, test)))


def _own_value(key: str, test: NumberTest | TextTest, context: RuleContext) -> Condition:
    if isinstance(test, NumberTest):
        return match_number(json_number(Activity.data, key, context), test)
    column = json_text(Activity.data, key, context)
    return signed(test.op, lambda op: match_text(column, op, test.value, context))


def _compare(count: Any, total: Any, test: ActivityTest) -> Condition:
    conditions = [match_number(count, test.count)] if test.count else []
    conditions += [match_number(total, test.sum, factor=MINOR_UNITS)] if test.sum else []
    return and_(*conditions)


def _is_true_of_nobody(test: ActivityTest) -> bool:
    """Whether a contact without any such activity passes: "at most 2 purchases" does."""
    return all(one.holds_for_zero for one in (test.count, test.sum) if one)


def _aggregate(what: Any, where: Sequence[Condition]) -> Any:
    return select(what).select_from(Activity).where(*where).correlate(Contact).scalar_subquery()
