"""What permits a mail, as SQL conditions: written once, obeyed by the audience and by the gate. Executes nothing.

Every condition is correlated to the columns it is given, so one statement judges any number of messages. `grants_…`
are for joins: one pass over a table judges a whole audience.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, or_

from mailer.database import any_row
from mailer.schema.consent import Consent, Subscription, Suppression, Topic
from mailer.schema.contacts import Company, Contact
from mailer.statuses import (
    OWN_PRODUCTS_ONLY,
    Permission,
    Purpose,
    SubscriptionStatus,
    SuppressionReason,
)

DEAD_REASONS = (SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT, SuppressionReason.ERASURE)
"""What stops even a transactional mail (DESIGN: the gate)."""

Int = SQLColumnExpression[Any] | int


def grants_permission(contact_id: Int, topic_id: Int, now: SQLColumnExpression[Any] | datetime) -> ColumnElement[bool]:
    """The row of `consent` is the contact's permission for e-marketing and holds at `now`.

    `customer` and `business` reach own-products topics only.
    """
    own_products = any_row(Topic, Topic.id == topic_id, Topic.is_own_products.is_(True))
    return and_(
        Consent.contact_id == contact_id,
        Consent.purpose == Purpose.E_MARKETING.value,
        or_(Consent.expires_at.is_(None), Consent.expires_at > now),
        or_(
            Consent.permission == Permission.CONSENT.value,
            and_(Consent.permission.in_([word.value for word in OWN_PRODUCTS_ONLY]), own_products),
        ),
    )


def has_permission(contact_id: Int, topic_id: Int, now: SQLColumnExpression[Any] | datetime) -> ColumnElement[bool]:
    """Permission for e-marketing holds at `now`."""
    return any_row(Consent, grants_permission(contact_id, topic_id, now))


def grants_subscription(contact_id: Int, topic_id: Int) -> ColumnElement[bool]:
    """The row of `subscription` says that the contact is subscribed to the topic."""
    return and_(
        Subscription.contact_id == contact_id,
        Subscription.topic_id == topic_id,
        Subscription.status == SubscriptionStatus.SUBSCRIBED.value,
    )


def is_subscribed(contact_id: Int, topic_id: Int) -> ColumnElement[bool]:
    """The contact is subscribed to the topic; no row means not."""
    return any_row(Subscription, grants_subscription(contact_id, topic_id))


def is_suppressed(
    address_hash: SQLColumnExpression[Any],
    topic_id: Int | None,
    *,
    reasons: Iterable[SuppressionReason] | None = None,
) -> ColumnElement[bool]:
    """The address is suppressed, for all mail or for the topic; `reasons` narrows it."""
    scope: ColumnElement[bool] = Suppression.scope == "all"
    if topic_id is not None:
        scope = or_(scope, Suppression.topic_id == topic_id)
    matching = [Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None), scope]
    if reasons is not None:
        matching.append(Suppression.reason.in_([reason.value for reason in reasons]))
    return any_row(Suppression, *matching)


def is_do_not_mail(contact: type[Contact] = Contact) -> ColumnElement[bool]:
    """The contact or its company is marked "do not mail"."""
    company = any_row(Company, Company.id == contact.company_id, Company.do_not_mail.is_(True))
    return or_(contact.do_not_mail.is_(True), company)
