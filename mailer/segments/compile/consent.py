"""Consent and status (FEATURES S10): permission, its basis, topics since when, suppressions and why."""

from collections.abc import Sequence

from sqlalchemy import and_, func, literal, not_, or_, select

from mailer.schema.consent import Consent, Subscription, Suppression, Topic
from mailer.schema.contacts import Address, Contact
from mailer.segments.compile.conditions import Condition, RuleContext, exists_one
from mailer.segments.compile.dates import day_start, match_instant
from mailer.segments.compile.texts import is_among
from mailer.segments.tree import ConsentTest, Line, SuppressionTest, TopicTest
from mailer.statuses import PERMITS_MARKETING, Permission, Purpose, SubscriptionStatus


def _is_of(purpose: str) -> Condition:
    return and_(Consent.contact_id == Contact.id, Consent.purpose == purpose)


def _is_in_force(context: RuleContext) -> Condition:
    today = literal(day_start(context.today, context.zone), Consent.expires_at.type)
    return or_(Consent.expires_at.is_(None), Consent.expires_at > today)


def has_permission(op: str, values: Sequence[str], context: RuleContext) -> Condition:
    """Return whether the permission for e-marketing is one of `values` today; an expired one is none."""
    own = _is_of(Purpose.E_MARKETING.value)
    held = select(Consent.permission).where(own, _is_in_force(context)).correlate(Contact).scalar_subquery()
    words = (Permission.NONE.value,) if op == "is_empty" else values
    return func.coalesce(held, Permission.NONE.value).in_(words)


def has_basis(op: str, values: Sequence[str]) -> Condition:
    """Return whether the legal basis of the permission for e-marketing is one of `values`."""
    held = select(Consent.basis).where(_is_of(Purpose.E_MARKETING.value)).correlate(Contact).scalar_subquery()
    return func.coalesce(held, "").in_(("",) if op == "is_empty" else values)


def compile_consent(line: Line, context: RuleContext) -> Condition:
    """Return which of four things is true of a contact's consent: given, withdrawn, expired, never."""
    test: ConsentTest = line.value
    own = _is_of(test.purpose)
    if line.op == "never":
        had = or_(Consent.permission != Permission.NONE.value, Consent.expires_at.is_not(None))
        return not_(exists_one(Consent.contact_id, own, had))
    since = Consent.expires_at if line.op == "expired" else Consent.updated_at
    where = [own] if test.period is None else [own, match_instant(since, test.period, context)]
    if line.op == "withdrawn":
        where.append(Consent.permission == Permission.WITHDRAWN.value)
    elif line.op == "expired":  # also before the job that writes it down has come by
        where += [not_(_is_in_force(context)), Consent.permission != Permission.WITHDRAWN.value]
    else:
        where += [_is_in_force(context), Consent.permission.in_([word.value for word in PERMITS_MARKETING])]
    return exists_one(Consent.contact_id, *where)


def compile_topic(line: Line, context: RuleContext) -> Condition:
    """Return the state of a subscription to any of the topics."""
    test: TopicTest = line.value
    where = [
        Subscription.contact_id == Contact.id,
        Topic.id == Subscription.topic_id,
        Subscription.status == SubscriptionStatus(line.op.removeprefix("not_")).value,
        or_(*is_among(Topic.name, test.topics, context)),
    ]
    if test.period:
        where.append(match_instant(Subscription.updated_at, test.period, context))
    found = exists_one(Subscription.topic_id, *where)
    return not_(found) if line.op.startswith("not_") else found


def compile_suppressed(line: Line, context: RuleContext) -> Condition:
    """Return whether the address is suppressed now, and why."""
    test: SuppressionTest = line.value
    where = [
        Address.id == Contact.address_id,
        Suppression.address_hash == Address.email_hash,
        Suppression.lifted_at.is_(None),
    ]
    if test.reasons:
        where.append(Suppression.reason.in_(test.reasons))
    if test.scope:
        where.append(Suppression.scope == test.scope)
    if test.period:
        where.append(match_instant(Suppression.created_at, test.period, context))
    found = exists_one(Suppression.id, *where)
    return found if line.op == "yes" else not_(found)
