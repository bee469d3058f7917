"""What permits a mail, as SQL conditions: written once, obeyed by the audience and by the gate. Executes nothing.

Every condition is correlated to the columns it is given, so one statement judges any number of messages. `Facts` are
the conditions that decide about a marketing mail; `why_not_marketing` puts them together, in the order of INTERFACES,
for both. The gate asks for each row (`look_facts`); the audience joins the tables once, for everybody.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, not_, or_

from mailer.database import any_row
from mailer.schema.consent import (
    Consent,
    ConsentOverride,
    ConsentOverridePerson,
    Subscription,
    Suppression,
    Topic,
)
from mailer.schema.contacts import Company, Contact
from mailer.statuses import (
    OWN_PRODUCTS_ONLY,
    Permission,
    Purpose,
    SkipReason,
    SubscriptionStatus,
    SuppressionReason,
)

DEAD_REASONS = (SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT, SuppressionReason.ERASURE)
"""What stops even a transactional mail (DESIGN: the gate)."""

Int = SQLColumnExpression[Any] | int
Instant = SQLColumnExpression[Any] | datetime
Condition = ColumnElement[bool]


class Facts(NamedTuple):
    """What decides about a marketing mail to one contact (FEATURES C3)."""

    is_do_not_mail: Condition
    is_suppressed: Condition
    is_permitted: Condition
    is_subscribed: Condition
    is_paused: Condition
    is_overridden: Condition


def why_not_marketing(facts: Facts) -> tuple[tuple[Condition, SkipReason], ...]:
    """Return what forbids a marketing mail, in the order in which reasons are named; nothing true: it may be sent.

    An override stands in for permission and subscription that are missing, for nothing else.
    """
    return (
        (facts.is_do_not_mail, SkipReason.DO_NOT_MAIL),
        (facts.is_suppressed, SkipReason.SUPPRESSED),
        (not_(or_(facts.is_permitted, facts.is_overridden)), SkipReason.NO_PERMISSION),
        (not_(or_(facts.is_subscribed, facts.is_overridden)), SkipReason.NOT_SUBSCRIBED),
        (facts.is_paused, SkipReason.PAUSED),
    )


# ------------------------------------------------------------------ permission


def is_marketing_row(contact_id: Int) -> Condition:
    """The row of `consent` is the contact's for e-marketing: for joins."""
    return and_(Consent.contact_id == contact_id, Consent.purpose == Purpose.E_MARKETING.value)


def permits(topic_id: Int, now: Instant) -> Condition:
    """The row of `consent` permits mails about the topic at `now`. `customer` and `business`: own products only."""
    own_products = any_row(Topic, Topic.id == topic_id, Topic.is_own_products.is_(True))
    return and_(
        or_(Consent.expires_at.is_(None), Consent.expires_at > now),
        or_(
            Consent.permission == Permission.CONSENT.value,
            and_(Consent.permission.in_([word.value for word in OWN_PRODUCTS_ONLY]), own_products),
        ),
    )


def pauses(now: Instant) -> Condition:
    """The row of `consent` says that the person wants no mail at `now`."""
    return and_(Consent.paused_until.is_not(None), Consent.paused_until > now)


def has_permission(contact_id: Int, topic_id: Int, now: Instant) -> Condition:
    """Permission for e-marketing about the topic holds at `now`."""
    return any_row(Consent, is_marketing_row(contact_id), permits(topic_id, now))


def is_paused(contact_id: Int, now: Instant) -> Condition:
    """The person wants no mail at `now`."""
    return any_row(Consent, is_marketing_row(contact_id), pauses(now))


# ------------------------------------------------------------------ subscription


def grants_subscription(contact_id: Int, topic_id: Int) -> Condition:
    """The row of `subscription` says that the contact is subscribed to the topic: for joins."""
    return and_(
        Subscription.contact_id == contact_id,
        Subscription.topic_id == topic_id,
        Subscription.status == SubscriptionStatus.SUBSCRIBED.value,
    )


def is_subscribed(contact_id: Int, topic_id: Int) -> Condition:
    """The contact is subscribed to the topic; no row means not."""
    return any_row(Subscription, grants_subscription(contact_id, topic_id))


# ------------------------------------------------------------------ suppression and marks


def is_suppressed(
    address_hash: SQLColumnExpression[Any],
    topic_id: Int | None,
    *,
    reasons: Iterable[SuppressionReason] | None = None,
) -> Condition:
    """The address is suppressed, for all mail or for the topic; `reasons` narrows it."""
    scope: Condition = Suppression.scope == "all"
    if topic_id is not None:
        scope = or_(scope, Suppression.topic_id == topic_id)
    matching = [Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None), scope]
    if reasons is not None:
        matching.append(Suppression.reason.in_([reason.value for reason in reasons]))
    return any_row(Suppression, *matching)


def is_do_not_mail(contact: type[Contact] = Contact) -> Condition:
    """The contact or its company is marked "do not mail"."""
    company = any_row(Company, Company.id == contact.company_id, Company.do_not_mail.is_(True))
    return or_(contact.do_not_mail.is_(True), company)


# ------------------------------------------------------------------ override


def is_active_override() -> Condition:
    """The override counts: nobody has to approve it any more, and it was not taken back."""
    return and_(ConsentOverride.approved_at.is_not(None), ConsentOverride.ended_at.is_(None))


def is_overridden(contact_id: Int, address_id: Int, sending_id: Int, topic_id: Int) -> Condition:
    """An override of the sending names the contact, and nobody with this address has said no."""
    named = any_row(
        ConsentOverridePerson,
        ConsentOverridePerson.override_id == ConsentOverride.id,
        ConsentOverridePerson.contact_id == contact_id,
    )
    override = any_row(
        ConsentOverride,
        ConsentOverride.sending_id == sending_id,
        ConsentOverride.topic_id == topic_id,
        is_active_override(),
        named,
    )
    return and_(override, not_(has_said_no(address_id, topic_id)))


def has_said_no(address_id: Int, topic_id: Int) -> Condition:
    """Somebody with this address withdrew everything or left the topic, or was asked and has not confirmed it."""
    withdrawn = any_row(Consent, is_marketing_row(Contact.id), Consent.permission == Permission.WITHDRAWN.value)
    left = any_row(
        Subscription,
        Subscription.contact_id == Contact.id,
        Subscription.topic_id == topic_id,
        Subscription.status != SubscriptionStatus.SUBSCRIBED.value,
    )
    return any_row(Contact, Contact.address_id == address_id, or_(withdrawn, left))
