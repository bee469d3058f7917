"""The ledger replayed: the last line about each permission and topic, compared with the tables that mails are sent by.

`consent` and `subscription` are a projection of the ledger; where they differ from it, somebody wrote past it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, null, or_, select
from sqlalchemy.orm import Session

from mailer.schema.consent import Consent, ConsentEvent, Subscription
from mailer.schema.contacts import Contact
from mailer.statuses import ConsentVerdict, Permission, SubscriptionStatus

SHOWN = 20


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
            func.coalesce(Consent.permission, Permission.NONE.value) != last.c.permission,
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
