"""Values that people choose from while they write a rule, with how many contacts have each. Never commits.

Counted over the newest contacts only, so that the answer takes no longer as the address book grows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true
from sqlalchemy.orm import Session

from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Consent, Subscription, Suppression, Topic
from mailer.schema.contacts import Activity, Address, Company, Contact, ContactField, ContactTag, Tag
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.segments import Segment
from mailer.segments.patience import SECONDS, at_most
from mailer.segments.visibility import Viewer, is_visible_to
from mailer.statuses import FieldType, Purpose, SubscriptionStatus

LIMIT = 40
LOOKED_AT = 50_000
"""Contacts whose values are counted: the newest ones."""
_KINDS = 50


@dataclass(frozen=True)
class Suggestion:
    """A value, what it is called, how many contacts have it (None: not counted) and a word about it."""

    value: str | int
    label: str
    count: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class Suggestions:
    """Values, the most frequent first; `has_more`: there are others; `looked_at`: over how many of all contacts."""

    items: Sequence[Suggestion]
    has_more: bool = False
    looked_at: int | None = None


def list_suggestions(
    session: Session, field: str, search: str, *, viewer: Viewer | None, campaigns: Sequence[int] = ()
) -> Suggestions:
    """Return values of a field whose name holds `search`; none where the field is unknown."""
    search = search.strip().casefold()[:100]
    special: dict[str, Callable[[], list[Suggestion]]] = {
        "campaign": lambda: _campaigns(session, search),
        "link": lambda: _links(session, search, campaigns),
        "activity": lambda: [
            Suggestion(kind, kind.replace("_", " ")) for kind in list_kinds(session) if search in kind
        ],
        "segment": lambda: _segments(session, search, viewer),
        "topic": lambda: _topics(session, search),
        "suppressed": lambda: _suppressions(session, search),
        "email": lambda: _addresses(session, search),
    }
    if field in special:
        found = special[field]()
        return Suggestions(found[:LIMIT], has_more=len(found) > LIMIT)
    return _counted(session, field, search)


def list_kinds(session: Session) -> list[str]:
    """Return the kinds of activity there are, by name: one step in the index for each, not a read of the table."""
    found: list[str] = []
    while len(found) < _KINDS:
        after = Activity.kind > found[-1] if found else Activity.kind != ""
        kind = session.scalar(select(func.min(Activity.kind)).where(after))
        if kind is None:
            break
        found.append(kind)
    return found


# ------------------------------------------------------------------ counted over contacts


def _counted(session: Session, field: str, search: str) -> Suggestions:
    top = session.scalar(select(func.max(Contact.id))) or 0
    rows = _values_of(session, field)
    if rows is None:
        return Suggestions(())
    value = rows.selected_columns[0]
    grouped = (
        rows.add_columns(func.count().label("number"))
        .where(Contact.archived_at.is_(None), Contact.id > top - LOOKED_AT, value.is_not(None), value != "")
        .group_by(value)
        .subquery()
    )
    name, number = grouped.c[0], grouped.c.number
    query = select(name, number).order_by(number.desc(), name).limit(LIMIT + 1)
    if search:
        query = query.where(_holds(session, name, search))
    with at_most(session, SECONDS):
        found = [Suggestion(one, one, count) for one, count in session.execute(query)]
    return Suggestions(
        _named(session, field, found[:LIMIT]), len(found) > LIMIT, LOOKED_AT if top > LOOKED_AT else None
    )


def _values_of(session: Session, field: str) -> Select[Any] | None:
    """Return a select of one value a contact, over `contact`; None where the field has none to choose from."""
    if field in _COLUMNS:
        return select(_COLUMNS[field].label("value")).select_from(Contact)
    if field == "company.owner":
        return _joined(Staff.email, Company, Company.id == Contact.company_id).join(Staff, Staff.id == Company.owner_id)
    if field.startswith("company"):
        column = Company.name if field == "company" else _COMPANY.get(field.removeprefix("company."))
        return None if column is None else _joined(column, Company, Company.id == Contact.company_id)
    if field in _ADDRESS:
        return _joined(_ADDRESS[field], Address, Address.id == Contact.address_id)
    if field in _CONSENT:
        is_own = and_(Consent.contact_id == Contact.id, Consent.purpose == Purpose.E_MARKETING.value)
        return _joined(_CONSENT[field], Consent, is_own)
    if field == "owner":
        return _joined(Staff.email, Staff, Staff.id == Contact.owner_id)
    if field == "tags":
        carried = select(Tag.name.label("value")).select_from(Contact)
        return carried.join(ContactTag, ContactTag.contact_id == Contact.id).join(Tag, Tag.id == ContactTag.tag_id)
    return _own_values(session, field.removeprefix("own."))


_COLUMNS: dict[str, Any] = {
    name: getattr(Contact, name)
    for name in ("first_name", "last_name", "title", "language", "timezone", "country", "city", "category")
}
_COMPANY: dict[str, Any] = {name: getattr(Company, name) for name in ("domain", "industry", "category", "country")}
_ADDRESS: dict[str, Any] = {"email.domain": Address.domain, "email.provider": Address.provider}
_CONSENT: dict[str, Any] = {
    "permission": Consent.permission, "basis": Consent.basis, "consent_source": Consent.source,
}  # fmt: skip
_JOINED = ("company", "company.owner", "owner", "tags")
COUNTED_FIELDS = frozenset({*_COLUMNS, *_ADDRESS, *_CONSENT, *_JOINED, *(f"company.{name}" for name in _COMPANY)})
"""Fields of ours, beside own ones, whose values are suggested with their numbers."""


def _joined(column: Any, table: Any, condition: ColumnElement[bool]) -> Select[Any]:
    return select(column.label("value")).select_from(Contact).join(table, condition)


def _own_values(session: Session, key: str) -> Select[Any] | None:
    own = session.scalar(select(ContactField).where(ContactField.key == key, ContactField.archived_at.is_(None)))
    if own is None or own.type not in (FieldType.TEXT, FieldType.CHOICE, FieldType.TAGS):
        return None
    if own.type != FieldType.TAGS:
        return select(Contact.data[key].as_string().label("value")).select_from(Contact)
    if session.get_bind().dialect.name == "sqlite":
        listed = func.json_each(Contact.data, f'$."{key}"').table_valued("value", name="own_tag")
        return select(listed.c.value.label("value")).select_from(Contact).join(listed, true())
    array = case((func.jsonb_typeof(Contact.data[key]) == "array", Contact.data[key]), else_=None)
    listed = func.jsonb_array_elements_text(array).table_valued("value", name="own_tag")
    return select(listed.c.value.label("value")).select_from(Contact).join(listed, true())


def _named(session: Session, field: str, found: Sequence[Suggestion]) -> Sequence[Suggestion]:
    if field not in ("owner", "company.owner"):
        return found
    names = {email: name for email, name in session.execute(select(Staff.email, Staff.name))}
    return [Suggestion(one.value, names.get(str(one.value)) or one.label, one.count, one.label) for one in found]


def _holds(session: Session, column: Any, search: str) -> ColumnElement[bool]:
    fold = func.fold if session.get_bind().dialect.name == "sqlite" else func.lower
    condition: ColumnElement[bool] = fold(column).contains(search, autoescape=True)
    return condition


# ------------------------------------------------------------------ named things


def _campaigns(session: Session, search: str) -> list[Suggestion]:
    """Campaigns that were sent, the newest first, then drafts."""
    query = (
        select(Campaign.id, Campaign.name, Campaign.created_at, Sending.started_at)
        .outerjoin(Sending, Sending.id == Campaign.sending_id)
        .where(Campaign.archived_at.is_(None))
        .order_by(Sending.started_at.is_(None), Sending.started_at.desc(), Campaign.id.desc())
        .limit(LIMIT + 1)
    )
    if search:
        query = query.where(_holds(session, Campaign.name, search))
    return [
        Suggestion(number, name, None, started.date().isoformat() if started else "")
        for number, name, _, started in session.execute(query)
    ]


def _links(session: Session, search: str, campaigns: Sequence[int]) -> list[Suggestion]:
    query = select(TrackedLink.url, func.max(TrackedLink.label)).group_by(TrackedLink.url)
    query = query.order_by(func.max(TrackedLink.id).desc()).limit(LIMIT + 1)
    if campaigns:
        sent = select(Sending.content_version_id).join(Campaign, Campaign.sending_id == Sending.id)
        query = query.where(TrackedLink.content_version_id.in_(sent.where(Campaign.id.in_(campaigns))))
    if search:
        label = func.coalesce(TrackedLink.label, "")
        query = query.where(or_(_holds(session, TrackedLink.url, search), _holds(session, label, search)))
    return [Suggestion(url, url, None, label or "") for url, label in session.execute(query)]


def _segments(session: Session, search: str, viewer: Viewer | None) -> list[Suggestion]:
    query = select(Segment.id, Segment.name, Segment.kind).order_by(Segment.name).limit(LIMIT + 1)
    query = query.where(Segment.archived_at.is_(None), is_visible_to(viewer))
    if search:
        query = query.where(_holds(session, Segment.name, search))
    return [Suggestion(number, name, None, kind) for number, name, kind in session.execute(query)]


def _kinds(session: Session, search: str) -> list[Suggestion]:
    return [Suggestion(kind, kind.replace("_", " ")) for kind in list_kinds(session) if search in kind.casefold()]


def _topics(session: Session, search: str) -> list[Suggestion]:
    is_on = and_(Subscription.topic_id == Topic.id, Subscription.status == SubscriptionStatus.SUBSCRIBED.value)
    counted = select(func.count()).select_from(Subscription).where(is_on).correlate(Topic).scalar_subquery()
    rows = session.execute(select(Topic.name, counted).where(Topic.archived_at.is_(None)).order_by(Topic.name))
    return [Suggestion(name, name, count) for name, count in rows if search in name.casefold()]


def _suppressions(session: Session, search: str) -> list[Suggestion]:
    query = select(Suppression.reason, func.count()).where(Suppression.lifted_at.is_(None)).group_by(Suppression.reason)
    found = [Suggestion(reason, reason.replace("_", " "), count) for reason, count in session.execute(query)]
    return sorted((one for one in found if search in one.label), key=lambda one: -(one.count or 0))


def _addresses(session: Session, search: str) -> list[Suggestion]:
    if not search:
        return []
    is_alike = Address.email.startswith(search, autoescape=True)
    rows = session.scalars(select(Address.email).where(is_alike).order_by(Address.email).limit(LIMIT + 1))
    return [Suggestion(email, email) for email in rows if email]
