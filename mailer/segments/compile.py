"""A rule becomes one SQL condition on `contact`: bound parameters only, related tables through EXISTS.

Every condition is true or false, never NULL, so negations mean what they say: "does not contain" includes the empty.
Text compares without regard to case: on PostgreSQL by `lower()` (the database's locale must know its letters; the
built-in C.UTF-8 does, plain C knows ASCII only), on SQLite by LIKE and NOCASE for ASCII and by `fold()` for the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Float, and_, case, cast, exists, false, func, literal, not_, or_, select, true

from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Consent, Subscription, Suppression, Topic
from mailer.schema.contacts import Activity, Address, Company, Contact, ContactTag, Tag
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Event, Message
from mailer.segments.fields import FIELDS, Kind
from mailer.segments.periods import DateOp, DateTest, resolve_range
from mailer.segments.rules import ActivityTest, Behavior, Group, Line, Mode, NumberTest
from mailer.statuses import EventKind, FieldType, HitClass, Permission, Purpose, SubscriptionStatus

MINOR_UNITS = 100
Condition = ColumnElement[bool]
_NEGATIONS = {
    "not_equals": "equals", "is_not_exactly": "is_exactly", "not_contains": "contains",
    "not_starts_with": "starts_with", "not_ends_with": "ends_with", "is_not_empty": "is_empty",
    "is_none_of": "is_one_of", "has_not_all_of": "has_all_of", "<>": "=",
}  # fmt: skip


@dataclass(frozen=True)
class RuleContext:
    """What a rule means depends on: the day, the zone, the engine, own fields, other segments by name or id."""

    today: date
    zone: str
    is_sqlite: bool
    own_fields: Mapping[str, FieldType]
    membership: Callable[[str], Condition]


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


# ------------------------------------------------------------------ text


def _text(line: Line, context: RuleContext) -> Condition:
    if line.field in _CONTACT_TEXTS:
        column = getattr(Contact, line.field)
        return _signed(line.op, lambda op: match_text(column, op, line.value, context))
    if line.field in _COMPANY_TEXTS:
        return _related(line, context, _COMPANY_TEXTS[line.field], Company.id == Contact.company_id)
    if line.field == "email":
        return _related(line, context, Address.email, Address.id == Contact.address_id)
    if line.field == "consent_source":
        return _related(line, context, Consent.source, _is_own_consent())
    return _signed(line.op, lambda op: match_text(own_text(line.field), op, line.value, context))


_CONTACT_TEXTS = frozenset(
    {"external_id", "first_name", "last_name", "title", "phone", "language", "timezone", "country", "city", "category"}
)
_COMPANY_TEXTS: dict[str, Any] = {
    "company": Company.name,
    "company.domain": Company.domain,
    "company.industry": Company.industry,
    "company.category": Company.category,
    "company.country": Company.country,
}


def _related(line: Line, context: RuleContext, column: Any, join: Condition) -> Condition:
    def positive(op: str) -> Condition:
        if op == "is_empty":
            return not_(_exists(column, join, func.coalesce(column, "") != ""))
        return _exists(column, join, match_text(column, op, line.value, context))

    return _signed(line.op, positive)


def match_text(column: Any, op: str, value: Any, context: RuleContext) -> Condition:
    """Return a positive text condition on a column; NULL counts as empty."""
    match op:
        case "is_empty":
            return func.coalesce(column, "") == ""
        case "is_exactly":
            return _known(column, column == value)
        case "is_one_of":
            return _known(column, or_(false(), *_is_among(column, value, context)))
        case "equals":
            return _known(column, or_(*_is_among(column, (value,), context)))
        case _:
            pass
    side, text = _folded(column, value, context)
    matchers: dict[str, Any] = {"contains": side.contains, "starts_with": side.startswith, "ends_with": side.endswith}
    return _known(column, matchers[op](text, autoescape=True))


def _is_among(column: Any, values: Sequence[str], context: RuleContext) -> list[Condition]:
    if not context.is_sqlite:
        return [func.lower(column).in_([value.lower() for value in values])]
    plain = [value for value in values if value.isascii()]
    other = [value.casefold() for value in values if not value.isascii()]
    found = [column.collate("NOCASE").in_(plain)] if plain else []
    return found + ([func.fold(column).in_(other)] if other else [])


def _folded(column: Any, text: str, context: RuleContext) -> tuple[Any, str]:
    if not context.is_sqlite:
        return func.lower(column), text.lower()
    return (column, text) if text.isascii() else (func.fold(column), text.casefold())


def own_text(key: str) -> Any:
    """Return an own field as text."""
    return Contact.data[key].as_string()


# ------------------------------------------------------------------ numbers, dates, yes and no


def _number(line: Line, context: RuleContext) -> Condition:
    column = _json_number(Contact.data, line.field, context)
    if line.value is None:
        return _signed(line.op, lambda _: column.is_(None))
    return _signed(line.op, lambda op: match_number(column, NumberTest(op, line.value.numbers)))


def _json_number(data: Any, key: str, context: RuleContext) -> Any:
    """Return an own value as a number, NULL where it is none."""
    kind = func.json_type(data, f'$."{key}"') if context.is_sqlite else func.jsonb_typeof(data[key])
    return case((kind.in_(("number", "integer", "real")), cast(data[key].as_string(), Float)), else_=None)


def match_number(column: Any, test: NumberTest, *, factor: int = 1) -> Condition:
    """Return a number condition, `<>` among them; NULL fails every one but `<>`."""
    numbers = [_plain_number(number * factor) for number in test.numbers]
    first = literal(numbers[0])
    conditions: dict[str, Callable[[], Condition]] = {
        "=": lambda: column == first,
        "<>": lambda: not_(_known(column, column == first)),
        "<": lambda: column < first,
        "<=": lambda: column <= first,
        ">": lambda: column > first,
        ">=": lambda: column >= first,
        "between": lambda: and_(column >= first, column <= literal(numbers[-1])),
    }
    condition = conditions[test.op]()
    return condition if test.op == "<>" else _known(column, condition)


def _plain_number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _date(line: Line, context: RuleContext) -> Condition:
    column: Any = getattr(Contact, line.field) if line.field in FIELDS else own_text(line.field)
    is_instant = line.field in FIELDS
    if line.value is None and line.op in ("is_empty", "is_not_empty"):
        return _signed(line.op, lambda _: column.is_(None) if is_instant else func.coalesce(column, "") == "")
    test = line.value if isinstance(line.value, DateTest) else DateTest(DateOp(line.op))
    return match_instant(column, test, context) if is_instant else _match_day(column, test, context)


def match_instant(column: Any, test: DateTest, context: RuleContext) -> Condition:
    """Return the condition that an instant lies on the days of `test` in the workspace's zone."""
    days = resolve_range(test, context.today)
    bounds = []
    if days.start is not None and days.start > date.min:
        bounds.append(column >= literal(_instant(days.start, context.zone), column.type))
    if days.end is not None and days.end < date.max:
        bounds.append(column < literal(_instant(days.end, context.zone), column.type))
    return _known(column, and_(true(), *bounds))


def _match_day(column: Any, test: DateTest, context: RuleContext) -> Condition:
    days = resolve_range(test, context.today)
    bounds = [column != ""]
    if days.start is not None:
        bounds.append(column >= days.start.isoformat())
    if days.end is not None:
        bounds.append(column < days.end.isoformat())
    return _known(column, and_(*bounds))


def _instant(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _yes_no(line: Line, _context: RuleContext) -> Condition:
    if line.field == "do_not_mail":
        condition: Condition = Contact.do_not_mail.is_(True)
    elif line.field == "company.do_not_mail":
        condition = _exists(Company.id, Company.id == Contact.company_id, Company.do_not_mail.is_(True))
    else:
        condition = func.lower(func.coalesce(own_text(line.field), "")).in_(("true", "1"))
    return condition if line.op == "yes" else not_(condition)


# ------------------------------------------------------------------ choices and tags


def _choice(line: Line, context: RuleContext) -> Condition:
    values = (line.value,) if isinstance(line.value, str) else line.value or ()
    op = {"equals": "is_one_of", "not_equals": "is_none_of"}.get(line.op, line.op)
    return _signed(op, lambda positive: _CHOICES.get(line.field, _own_choice)(line, positive, values, context))


def _own_choice(line: Line, op: str, values: Sequence[str], context: RuleContext) -> Condition:
    return match_text(own_text(line.field), op, values, context)


def _owner(line: Line, op: str, values: Sequence[str], _context: RuleContext) -> Condition:
    emails = Staff.email.in_([value.lower() for value in values])
    if line.field == "owner":
        return (
            Contact.owner_id.is_(None) if op == "is_empty" else _exists(Staff.id, Staff.id == Contact.owner_id, emails)
        )
    own_company = Company.id == Contact.company_id
    if op == "is_empty":
        return not_(_exists(Company.id, own_company, Company.owner_id.is_not(None)))
    return _exists(Company.id, own_company, Staff.id == Company.owner_id, emails)


def _permission(_line: Line, op: str, values: Sequence[str], context: RuleContext) -> Condition:
    is_current = or_(
        Consent.expires_at.is_(None),
        Consent.expires_at > literal(_instant(context.today, context.zone), Consent.expires_at.type),
    )
    held = select(Consent.permission).where(_is_own_consent(), is_current).correlate(Contact).scalar_subquery()
    words = (Permission.NONE.value,) if op == "is_empty" else values
    return func.coalesce(held, Permission.NONE.value).in_(words)


def _basis(_line: Line, op: str, values: Sequence[str], _context: RuleContext) -> Condition:
    held = select(Consent.basis).where(_is_own_consent()).correlate(Contact).scalar_subquery()
    return func.coalesce(held, "").in_(("",) if op == "is_empty" else values)


_CHOICES: dict[str, Callable[[Line, str, Sequence[str], RuleContext], Condition]] = {
    "owner": _owner,
    "company.owner": _owner,
    "permission": _permission,
    "basis": _basis,
}


def _tags(line: Line, context: RuleContext) -> Condition:
    has = _has_tag if line.field == "tags" else _has_own_tag

    def positive(op: str) -> Condition:
        if op == "is_empty":
            return not_(has(line, None, context))
        if op == "is_one_of":
            return has(line, line.value, context)
        return and_(*(has(line, (value,), context) for value in line.value))

    return _signed(line.op, positive)


def _has_tag(_line: Line, values: Sequence[str] | None, context: RuleContext) -> Condition:
    join = and_(ContactTag.contact_id == Contact.id, Tag.id == ContactTag.tag_id)
    return _exists(ContactTag.tag_id, join, true() if values is None else or_(*_is_among(Tag.name, values, context)))


def _has_own_tag(line: Line, values: Sequence[str] | None, context: RuleContext) -> Condition:
    if context.is_sqlite:
        listed = func.json_each(Contact.data, f'$."{line.field}"').table_valued("value", name="own_tag")
    else:
        array = case((func.jsonb_typeof(Contact.data[line.field]) == "array", Contact.data[line.field]), else_=None)
        listed = func.jsonb_array_elements_text(array).table_valued("value", name="own_tag")
    condition = true() if values is None else or_(*_is_among(listed.c.value, values, context))
    return exists(select(literal(1)).select_from(listed).where(condition).correlate(Contact))


# ------------------------------------------------------------------ behavior and activities


def _behavior(line: Line, context: RuleContext) -> Condition:
    did = line.op == "did"
    build = _was_sent if line.field == "sent" else _has_event
    condition = build(line, line.value, context)
    return condition if did else not_(condition)


def _was_sent(_line: Line, test: Behavior, context: RuleContext) -> Condition:
    where = [Message.contact_id == Contact.id, Message.accepted_at.is_not(None)]
    if test.campaign is not None:
        where.append(Message.sending_id.in_(_sendings_of(test.campaign)))
    if test.period:
        where.append(match_instant(Message.accepted_at, test.period, context))
    return _at_least(Message.id, where, test.at_least)


def _has_event(line: Line, test: Behavior, context: RuleContext) -> Condition:
    where: list[Condition] = [Event.contact_id == Contact.id, Event.kind.in_(_event_kinds(line.field, test))]
    if line.field in ("opened", "clicked") and not test.with_machines:
        classes = [HitClass.HUMAN.value]
        if line.field == "opened" and line.op == "did_not":
            classes.append(HitClass.PROXY.value)  # an open through a privacy proxy proves neither
        where.append(Event.hit_class.in_(classes))
    if test.campaign is not None:
        where.append(Event.sending_id.in_(_sendings_of(test.campaign)))
    if test.link is not None:
        where.append(Event.tracked_link_id.in_(select(TrackedLink.id).where(TrackedLink.url == test.link)))
    if test.period:
        where.append(match_instant(Event.at, test.period, context))
    return _at_least(Event.id, where, test.at_least)


def _event_kinds(field: str, test: Behavior) -> list[str]:
    if field == "bounced":
        kinds = {"hard": [EventKind.HARD_BOUNCE], "soft": [EventKind.SOFT_BOUNCE]}
        return [kind.value for kind in kinds.get(test.kind or "", [EventKind.HARD_BOUNCE, EventKind.SOFT_BOUNCE])]
    return [{"opened": EventKind.OPEN, "clicked": EventKind.CLICK, "complained": EventKind.COMPLAINT}[field].value]


def _sendings_of(campaign: int | str) -> Any:
    column: Any = Campaign.id if isinstance(campaign, int) else Campaign.name
    return select(Campaign.sending_id).where(column == campaign, Campaign.sending_id.is_not(None))


def _at_least(column: Any, where: Sequence[Condition], count: int) -> Condition:
    if count == 1:
        return _exists(column, *where)
    counted = select(func.count()).select_from(column.table).where(*where).correlate(Contact).scalar_subquery()
    return counted >= literal(count)


def _activity(line: Line, context: RuleContext) -> Condition:
    condition = _has_activity(line.value, context)
    return condition if line.op == "has" else not_(condition)


def _has_activity(test: ActivityTest, context: RuleContext) -> Condition:
    where: list[Condition] = [Activity.contact_id == Contact.id, Activity.kind == test.kind]
    if test.period:
        where.append(match_instant(Activity.at, test.period, context))
    if test.currency:
        where.append(Activity.currency == test.currency)
    where += [match_number(_json_number(Activity.data, key, context), number) for key, number in test.data]
    if not (test.count or test.sum):
        return _exists(Activity.id, *where)
    grouped = _amounts_condition(func.count(), func.coalesce(func.sum(Activity.amount), 0), test)
    if _is_true_of_nobody(test):
        count, total = _aggregate(func.count(), where), _aggregate(func.coalesce(func.sum(Activity.amount), 0), where)
        return _amounts_condition(count, total, test)
    # one pass over the kind and period, instead of one for each contact
    return Contact.id.in_(select(Activity.contact_id).where(*where[1:]).group_by(Activity.contact_id).having(grouped))


def _amounts_condition(count: Any, total: Any, test: ActivityTest) -> Condition:
    conditions = [match_number(count, test.count)] if test.count else []
    conditions += [match_number(total, test.sum, factor=MINOR_UNITS)] if test.sum else []
    return and_(*conditions)


def _is_true_of_nobody(test: ActivityTest) -> bool:
    """Whether a contact without any such activity passes: "at most 2 purchases" does."""
    return all(_holds_for_zero(number) for number in (test.count, test.sum) if number)


def _holds_for_zero(test: NumberTest) -> bool:
    first, last = test.numbers[0], test.numbers[-1]
    answers = {"=": first == 0, "<>": first != 0, "<": first > 0, "<=": first >= 0, ">": first < 0, ">=": first <= 0}
    return first <= 0 <= last if test.op == "between" else answers[test.op]


def _aggregate(what: Any, where: Sequence[Condition]) -> Any:
    return select(what).select_from(Activity).where(*where).correlate(Contact).scalar_subquery()


# ------------------------------------------------------------------ consent and membership


def _is_own_consent() -> Condition:
    return and_(Consent.contact_id == Contact.id, Consent.purpose == Purpose.E_MARKETING.value)


def _topic(line: Line, context: RuleContext) -> Condition:
    status = line.op.removeprefix("not_")
    where = and_(
        Subscription.contact_id == Contact.id,
        Topic.id == Subscription.topic_id,
        Subscription.status == SubscriptionStatus(status).value,
    )
    found = _exists(Subscription.topic_id, where, or_(*_is_among(Topic.name, line.value, context)))
    return not_(found) if line.op.startswith("not_") else found


def _suppressed(line: Line, _context: RuleContext) -> Condition:
    where = [
        Address.id == Contact.address_id,
        Suppression.address_hash == Address.email_hash,
        Suppression.lifted_at.is_(None),
    ]
    if line.value:
        where.append(Suppression.reason.in_(line.value))
    found = _exists(Suppression.id, *where)
    return found if line.op == "yes" else not_(found)


def _segment(line: Line, context: RuleContext) -> Condition:
    found = or_(*(context.membership(name) for name in line.value))
    return found if line.op == "in" else not_(found)


_COMPILERS: dict[Kind, Callable[[Line, RuleContext], Condition]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.YES_NO: _yes_no,
    Kind.CHOICE: _choice,
    Kind.TAGS: _tags,
    Kind.BEHAVIOR: _behavior,
    Kind.ACTIVITY: _activity,
    Kind.TOPIC: _topic,
    Kind.SUPPRESSED: _suppressed,
    Kind.SEGMENT: _segment,
}


# ------------------------------------------------------------------ building blocks


def _signed(op: str, positive: Callable[[str], Condition]) -> Condition:
    """Return the condition of an operator or, for a negation, the opposite of what it negates."""
    return not_(positive(_NEGATIONS[op])) if op in _NEGATIONS else positive(op)


def _known(column: Any, condition: Condition) -> Condition:
    """Return `condition`, false where the column is NULL."""
    return and_(column.is_not(None), condition)


def _exists(column: Any, *where: Condition) -> Condition:
    return exists(select(column).where(*where).correlate(Contact))
