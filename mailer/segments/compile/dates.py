"""Date operators (FEATURES S7): days of the workspace's zone as instants, own dates as text that sorts."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, literal, not_, true

from mailer.schema.contacts import Company, Contact
from mailer.schema.delivery import Engagement, Message
from mailer.segments.compile.conditions import Condition, RuleContext, exists_one, known, own_text, signed
from mailer.segments.periods import DateOp, DateRange, DateTest, resolve_range
from mailer.segments.tree import Line

_RELATED: dict[str, tuple[Any, Condition]] = {
    "company.created_at": (Company.created_at, Company.id == Contact.company_id),
    "last_opened_at": (Engagement.last_open_at, Engagement.contact_id == Contact.id),
    "last_clicked_at": (Engagement.last_click_at, Engagement.contact_id == Contact.id),
}


def compile_date(line: Line, context: RuleContext) -> Condition:
    """Return the condition of a date line."""
    test = _test_of(line)
    if line.own_key is not None:
        return _own_date(line.op, own_text(line.own_key), test, context)
    if line.field == "last_sent_at":
        return _last_sent(line.op, test, context)
    if line.field in _RELATED:
        column, join = _RELATED[line.field]
        if test is None:
            return signed(line.op, lambda _: not_(exists_one(column, join, column.is_not(None))))
        return exists_one(column, join, match_instant(column, test, context))
    column = getattr(Contact, line.field)
    if test is None:
        return signed(line.op, lambda _: column.is_(None))
    return match_instant(column, test, context)


def _test_of(line: Line) -> DateTest | None:
    """Return the date test of a line, None where it asks whether there is a date at all."""
    if line.op in ("is_empty", "is_not_empty"):
        return None
    return line.value if isinstance(line.value, DateTest) else DateTest(DateOp(line.op))


def match_instant(column: Any, test: DateTest, context: RuleContext) -> Condition:
    """Return the condition that an instant lies on the days of `test` in the workspace's zone."""
    start, end = instants_of(resolve_range(test, context.today), context.zone)
    bounds = [column >= literal(start, column.type)] if start else []
    bounds += [column < literal(end, column.type)] if end else []
    return known(column, and_(true(), *bounds))


def instants_of(days: DateRange, zone: str) -> tuple[datetime | None, datetime | None]:
    """Return the first instant of `days` in a zone and the first after them, UTC; None is open."""
    start = day_start(days.start, zone) if days.start is not None and days.start > date.min else None
    end = day_start(days.end, zone) if days.end is not None and days.end < date.max else None
    return start, end


def day_start(day: date, zone: str) -> datetime:
    """Return the first instant of a day in a zone, UTC; where clocks skip midnight, that is the skip."""
    try:
        return datetime.combine(day, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:  # the calendar's first and last day, elsewhere on the globe
        return datetime.combine(day, time.min, tzinfo=UTC)


def _own_date(op: str, column: Any, test: DateTest | None, context: RuleContext) -> Condition:
    if test is None:
        return signed(op, lambda _: func.coalesce(column, "") == "")
    days = resolve_range(test, context.today)
    bounds = [column != ""]
    if days.start is not None:
        bounds.append(column >= days.start.isoformat())
    if days.end is not None:
        bounds.append(column < days.end.isoformat())
    return known(column, and_(*bounds))


def _last_sent(op: str, test: DateTest | None, context: RuleContext) -> Condition:
    """Return when the last mail was accepted: one in the period and none after it."""
    mine = and_(Message.contact_id == Contact.id, Message.accepted_at.is_not(None))
    if test is None:
        return signed(op, lambda _: not_(exists_one(Message.id, mine)))
    found = exists_one(Message.id, mine, match_instant(Message.accepted_at, test, context))
    _, end = instants_of(resolve_range(test, context.today), context.zone)
    if end is None:
        return found
    later = exists_one(Message.id, mine, Message.accepted_at >= literal(end, Message.accepted_at.type))
    return and_(found, not_(later))
