"""Behavior (FEATURES S9): what contacts did with mails, how often, in which period; human events unless asked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, not_, select

from mailer.schema.contacts import Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Engagement, Event, Message
from mailer.segments.compile.conditions import Condition, RuleContext, exists_one, is_in, sendings_of
from mailer.segments.compile.dates import instants_of, match_instant
from mailer.segments.compile.numbers import match_number
from mailer.segments.periods import resolve_range
from mailer.segments.tree import Behavior, Line, NumberTest
from mailer.statuses import EventKind, HitClass

_KINDS = {
    "opened": EventKind.OPEN,
    "clicked": EventKind.CLICK,
    "complained": EventKind.COMPLAINT,
    "unsubscribed": EventKind.UNSUBSCRIBE,
}
_BOUNCES = {"hard": (EventKind.HARD_BOUNCE,), "soft": (EventKind.SOFT_BOUNCE,)}


def compile_behavior(line: Line, context: RuleContext) -> Condition:
    """Return whether a contact did something, or the opposite."""
    test: Behavior = line.value
    if line.field == "sent":
        condition = _was_sent(test, context)
    elif (column := _last_of(line, context)) is not None:
        condition = _happened_last(column, test, context)
    else:
        condition = _has_event(line, test, context)
    return condition if line.op == "did" else not_(condition)


def _was_sent(test: Behavior, context: RuleContext) -> Condition:
    where = [Message.contact_id == Contact.id, Message.accepted_at.is_not(None)]
    if test.campaigns:
        where.append(Message.sending_id.in_(sendings_of(test.campaigns)))
    if test.period:
        where.append(match_instant(Message.accepted_at, test.period, context))
    return has_count(Message.id, where, test.count)


def _last_of(line: Line, context: RuleContext) -> Any:
    """Return the column of engagement that answers a line, None where single events must be asked.

    The last time answers for a period that no hit lies after.
    """
    test: Behavior = line.value
    if test.campaigns or test.link is not None or test.count or test.with_machines:
        return None
    end = _bounds(test, context)[1]
    if end and context.newest_hit and context.newest_hit >= end:
        return None
    if line.field == "clicked":
        return Engagement.last_click_at
    if line.field == "opened":
        return Engagement.last_human_open_at if line.op == "did" else Engagement.last_open_at
    return None


def _happened_last(column: Any, test: Behavior, context: RuleContext) -> Condition:
    """Return whether something happened since the beginning of the period, by the last time it did."""
    start = _bounds(test, context)[0]
    since = column >= literal(start, column.type) if start else column.is_not(None)
    return exists_one(Engagement.contact_id, Engagement.contact_id == Contact.id, since)


def _bounds(test: Behavior, context: RuleContext) -> tuple[datetime | None, datetime | None]:
    if test.period is None:
        return None, None
    return instants_of(resolve_range(test.period, context.today), context.zone)


def _has_event(line: Line, test: Behavior, context: RuleContext) -> Condition:
    where: list[Condition] = [Event.kind.in_(_event_kinds(line.field, test))]
    if line.field in ("opened", "clicked") and not test.with_machines:
        where.append(Event.hit_class.in_(_classes(line)))
    if test.campaigns:
        where.append(Event.sending_id.in_(sendings_of(test.campaigns)))
    if isinstance(test.link, int):
        where.append(Event.tracked_link_id == test.link)
    elif test.link is not None:
        where.append(Event.tracked_link_id.in_(select(TrackedLink.id).where(TrackedLink.url == test.link)))
    if test.period:
        where.append(match_instant(Event.at, test.period, context))
    if context.makes_sets and test.campaigns and test.count is None:
        return is_in(select(func.coalesce(Event.contact_id, 0)).where(*where))  # a NULL would spoil NOT IN
    return has_count(Event.id, [Event.contact_id == Contact.id, *where], test.count)


def _classes(line: Line) -> list[str]:
    classes = [HitClass.HUMAN.value]
    if line.field == "opened" and line.op == "did_not":
        classes.append(HitClass.PROXY.value)  # an open through a privacy proxy proves neither
    return classes


def _event_kinds(field: str, test: Behavior) -> list[str]:
    if field == "bounced":
        return [kind.value for kind in _BOUNCES.get(test.kind or "", (EventKind.HARD_BOUNCE, EventKind.SOFT_BOUNCE))]
    return [_KINDS[field].value]


def has_count(column: Any, where: Sequence[Condition], count: NumberTest | None) -> Condition:
    """Return whether so many rows of a contact meet `where`; without a count, whether one does."""
    if count is None:
        return exists_one(column, *where)
    counted = select(func.count()).select_from(column.table).where(*where).correlate(Contact).scalar_subquery()
    return match_number(counted, count)
