"""The ledger replayed: compared with the tables that mails are sent by, and these made anew from it.

`consent` and `subscription` are a projection of the ledger; where they differ from it, somebody wrote past it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, null, or_, select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.service import lock_addresses
from mailer.context import Context
from mailer.schema.consent import Consent, ConsentEvent, Subscription
from mailer.schema.contacts import Contact
from mailer.statuses import ConsentVerdict, Permission, SubscriptionStatus

SHOWN = 20
_CHUNK = 500


@dataclass(frozen=True)
class Difference:
    """A contact whose table says `holds` where the last line of the ledger says `written`; None: says nothing."""

    contact_id: int
    topic_id: int | None
    written: str | None
    holds: str | None


def list_differences(session: Session, *, limit: int = SHOWN) -> list[Difference]:
    """Return contacts whose permission or subscription is not what the ledger says, by contact id."""
    queries = (_permissions(), _subscriptions(), _unwritten_permissions(), _unwritten_subscriptions())
    found: list[Difference] = []
    for query in queries:
        rows = session.execute(query.order_by(Contact.id).limit(limit))
        found += [Difference(*row) for row in rows]
    return sorted(found, key=lambda one: (one.contact_id, one.topic_id or 0))[:limit]


def _last_lines(is_about_topic: ColumnElement[bool]) -> Any:
    place = func.row_number().over(
        partition_by=[ConsentEvent.ledger_id, ConsentEvent.purpose, ConsentEvent.topic_id],
        order_by=ConsentEvent.id.desc(),
    )
    says = ConsentEvent.verdict.not_in([ConsentVerdict.PAUSED.value, ConsentVerdict.RESUMED.value])
    lines = select(ConsentEvent, place.label("place")).where(is_about_topic, says).subquery()
    return select(lines).where(lines.c.place == 1).subquery("last_line")


def _permissions() -> Any:
    last = _last_lines(ConsentEvent.topic_id.is_(None))
    mine = and_(Consent.contact_id == Contact.id, Consent.purpose == last.c.purpose)
    return (
        select(Contact.id, null(), last.c.permission, Consent.permission)
        .join(last, last.c.ledger_id == Contact.ledger_id)
        .outerjoin(Consent, mine)
        .where(
            or_(
                func.coalesce(Consent.permission, Permission.NONE.value) != last.c.permission,
                and_(
                    last.c.verdict == ConsentVerdict.GIVEN.value,
                    Consent.expires_at.is_distinct_from(last.c.ends_at),
                    Consent.permission != Permission.NONE.value,
                ),
            )
        )
    )


def _subscriptions() -> Any:
    last = _last_lines(ConsentEvent.topic_id.is_not(None))
    given = last.c.verdict == ConsentVerdict.SUBSCRIBED.value
    status = case((given, SubscriptionStatus.SUBSCRIBED.value), else_=SubscriptionStatus.UNSUBSCRIBED.value)
    mine = and_(Subscription.contact_id == Contact.id, Subscription.topic_id == last.c.topic_id)
    return (
        select(Contact.id, last.c.topic_id, status, Subscription.status)
        .join(last, last.c.ledger_id == Contact.ledger_id)
        .outerjoin(Subscription, mine)
        .where(or_(Subscription.status.is_(None), Subscription.status != status))
    )


def _unwritten_permissions() -> Any:
    line = select(literal(1)).where(
        ConsentEvent.ledger_id == Contact.ledger_id, ConsentEvent.purpose == Consent.purpose,
        ConsentEvent.topic_id.is_(None),
    )  # fmt: skip
    query = select(Contact.id, null(), null(), Consent.permission).join(Consent, Consent.contact_id == Contact.id)
    return query.where(Consent.permission != Permission.NONE.value, ~line.correlate(Contact, Consent).exists())


def _unwritten_subscriptions() -> Any:
    line = select(literal(1)).where(
        ConsentEvent.ledger_id == Contact.ledger_id, ConsentEvent.topic_id == Subscription.topic_id
    )
    query = select(Contact.id, Subscription.topic_id, null(), Subscription.status)
    return query.join(Subscription, Subscription.contact_id == Contact.id).where(
        Subscription.status != SubscriptionStatus.PENDING.value, ~line.correlate(Contact, Subscription).exists()
    )


def rebuild_state(ctx: Context) -> int:
    """Make tables what the ledger says wherever they differ, and return how many rows that changed.

    Each contact is changed under the lock of its address, so that nobody gives or withdraws anything meanwhile. A
    permission without a line becomes `none`, a subscription without one is taken away.
    """
    changed = 0
    while True:
        with ctx.read() as session:
            found = list_differences(session, limit=_CHUNK)
        before = changed
        for contact_id in sorted({one.contact_id for one in found}):
            with ctx.write() as session:
                changed += _rebuild_contact(session, session.get_one(Contact, contact_id))
        if len(found) < _CHUNK or changed == before:
            return changed


def _rebuild_contact(session: Session, contact: Contact) -> int:
    lock_addresses(session, [contact.address_id])
    lines = session.scalars(
        select(ConsentEvent).where(ConsentEvent.ledger_id == contact.ledger_id).order_by(ConsentEvent.id)
    )
    last: dict[tuple[str, int | None], ConsentEvent] = {}
    for line in lines:
        if line.verdict not in (ConsentVerdict.PAUSED, ConsentVerdict.RESUMED):
            last[line.purpose, line.topic_id] = line
    changed = 0
    for row in session.scalars(select(Consent).where(Consent.contact_id == contact.id)):
        changed += _rebuild_permission(row, last.get((row.purpose, None)))
    known = {row.topic_id for row in session.scalars(select(Subscription).where(Subscription.contact_id == contact.id))}
    for (purpose, topic_id), line in last.items():
        if topic_id is None and session.get(Consent, (contact.id, purpose)) is None:
            row = Consent(contact_id=contact.id, purpose=purpose, permission=Permission.NONE.value, source="")
            session.add(row)
            changed += _rebuild_permission(row, line)
        elif topic_id is not None:
            changed += _rebuild_subscription(session, contact.id, topic_id, line)
    for topic_id in known - {topic_id for _, topic_id in last}:
        row_without = session.get_one(Subscription, (contact.id, topic_id))
        if row_without.status != SubscriptionStatus.PENDING:
            session.delete(row_without)
            changed += 1
    return changed


def _rebuild_permission(row: Consent, line: ConsentEvent | None) -> int:
    word = Permission.NONE.value if line is None else line.permission
    is_given = line is not None and line.verdict == ConsentVerdict.GIVEN
    ends_at = line.ends_at if line is not None and is_given else row.expires_at
    if row.permission == word and row.expires_at == ends_at and row.updated_at is not None:
        return 0
    row.permission, row.expires_at, row.updated_at = word or Permission.NONE.value, ends_at, utc_now()
    if line is not None:
        row.basis, row.source = line.basis, line.source
    return 1


def _rebuild_subscription(session: Session, contact_id: int, topic_id: int, line: ConsentEvent) -> int:
    is_subscribed = line.verdict == ConsentVerdict.SUBSCRIBED
    status = (SubscriptionStatus.SUBSCRIBED if is_subscribed else SubscriptionStatus.UNSUBSCRIBED).value
    row = session.get(Subscription, (contact_id, topic_id))
    if row is None:
        row = Subscription(contact_id=contact_id, topic_id=topic_id, status="")
        session.add(row)
    if row.status == status:
        return 0
    row.status, row.updated_at = status, utc_now()
    return 1
