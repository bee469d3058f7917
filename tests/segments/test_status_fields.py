"""Consent, addresses, tasks, last mails and values of activities in rules, each with members named by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Engagement, Event, Message
from mailer.schema.followups import FollowUp
from mailer.segments.queries import iter_members, read_rule
from mailer.statuses import Permission, SubscriptionStatus
from tests.support.make import (
    make_activity,
    make_company,
    make_consent,
    make_contact,
    make_sending,
    make_staff,
    make_subscription,
    make_topic,
    make_workspace,
)

TODAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONTH = {"op": "this", "unit": "month"}


@pytest.fixture
def session(ctx: Context) -> Iterator[Session]:
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo")
        yield session


@pytest.fixture
def people(session: Session) -> dict[str, Contact]:
    return {name: make_contact(session, f"{name}@{name}.example", first_name=name) for name in "abcde"}


def names(session: Session, field: str, op: str, value: Any = None) -> str:
    session.flush()
    rule = read_rule(session, {"version": 1, "all": [{"field": field, "op": op, "value": value}]})
    return "".join(sorted(member.first_name for member in iter_members(session, rule, TODAY)))


def test_consent_is_given_withdrawn_expired_or_never(session: Session, people: dict[str, Contact]) -> None:
    old = NOON - timedelta(days=60)
    make_consent(session, people["a"], Permission.CONSENT, updated_at=NOON)
    make_consent(session, people["b"], Permission.CUSTOMER, updated_at=old, expires_at=NOON - timedelta(days=2))
    make_consent(session, people["c"], Permission.WITHDRAWN, updated_at=old)
    make_consent(session, people["d"], Permission.NONE)

    assert names(session, "consent", "given") == "a"
    assert names(session, "consent", "expired") == "b"
    assert names(session, "consent", "withdrawn") == "c"
    assert names(session, "consent", "never") == "de"
    assert names(session, "consent", "given", {"period": MONTH}) == "a"
    assert names(session, "consent", "expired", {"period": MONTH}) == "b"
    assert names(session, "consent", "withdrawn", {"period": MONTH}) == ""


def test_topics_and_suppressions_know_since_when(session: Session, people: dict[str, Contact]) -> None:
    topic = make_topic(session, name="News")
    make_subscription(session, people["a"], topic).updated_at = NOON
    make_subscription(session, people["b"], topic).updated_at = NOON - timedelta(days=60)
    make_subscription(session, people["c"], topic, SubscriptionStatus.UNSUBSCRIBED).updated_at = NOON
    for name, scope, reason, days in (("a", "all", "complaint", 1), ("b", "topic", "manual", 60)):
        digest = session.get_one(Address, people[name].address_id).email_hash
        session.add(
            Suppression(address_hash=digest, scope=scope, topic_id=topic.id if scope == "topic" else None,
                        reason=reason, created_at=NOON - timedelta(days=days))
        )  # fmt: skip

    assert names(session, "topic", "subscribed", {"topic": ["news"], "period": MONTH}) == "a"
    assert names(session, "topic", "not_subscribed", {"topic": "News", "period": MONTH}) == "bcde"
    assert names(session, "topic", "unsubscribed", {"topic": "News", "period": MONTH}) == "c"
    assert names(session, "topic", "subscribed", {"topic": [], "period": MONTH}) == "abcde"
    assert names(session, "suppressed", "yes", {"period": MONTH}) == "a"
    assert names(session, "suppressed", "yes", {"scope": "topic"}) == "b"
    assert names(session, "suppressed", "no", {"scope": "all", "reason": "complaint"}) == "bcde"


def test_address_has_one_status_a_domain_and_a_provider(session: Session, people: dict[str, Contact]) -> None:
    addresses = {name: session.get_one(Address, contact.address_id) for name, contact in people.items()}
    addresses["a"].bounce_state = "hard"
    addresses["b"].is_valid, addresses["b"].bounce_state = False, "hard"
    addresses["c"].email = None
    addresses["d"].bounce_state, addresses["d"].provider = "asleep", "google"
    make_contact(session, None, first_name="n")

    found = {word: names(session, "email.status", "equals", word) for word in ("ok", "hard_bounce", "asleep")}
    assert found == {"ok": "e", "hard_bounce": "a", "asleep": "d"}
    assert names(session, "email.status", "is_one_of", ["no_address", "invalid_address"]) == "bcn"
    assert names(session, "email.status", "is_none_of", ["ok"]) == "abcdn"
    assert names(session, "email.domain", "equals", "A.EXAMPLE") == "a"
    assert names(session, "email.domain", "is_empty") == "cn"
    assert names(session, "email.provider", "equals", "google") == "d"


def test_tasks_are_asked_about_by_outcome_status_kind_and_period(session: Session, people: dict[str, Contact]) -> None:
    owner, old = make_staff(session).id, NOON - timedelta(days=60)
    for name, status, outcome, kind, done_at in (
        ("a", "done", "sale", "call", NOON), ("b", "done", "sale", "meeting", old), ("c", "done", "", "to_do", NOON),
        ("d", "open", "", "call", None), ("a", "done", "reached", "call", old),
    ):  # fmt: skip
        session.add(
            FollowUp(contact_id=people[name].id, owner_id=owner, title="t", status=status, outcome=outcome, kind=kind,
                     due_on=TODAY, created_at=old, done_at=done_at)
        )  # fmt: skip

    assert names(session, "follow_up", "has") == "abcd"
    assert names(session, "follow_up", "has", {"outcome": "sale"}) == "ab"
    assert names(session, "follow_up", "has", {"outcome": ["sale", "reached"], "period": MONTH}) == "a"
    assert names(session, "follow_up", "has", {"status": "done", "period": MONTH}) == "ac"
    assert names(session, "follow_up", "has", {"period": MONTH}) == ""
    assert names(session, "follow_up", "has", {"kind": ["call"], "at_least": 2}) == "a"
    assert names(session, "follow_up", "has", {"count": {"op": "=", "value": 0}}) == "e"
    assert names(session, "follow_up", "has_not", {"status": "open"}) == "abce"


def test_last_mail_open_and_click_are_dates(ctx: Context, session: Session, people: dict[str, Contact]) -> None:
    topic = make_topic(session)
    for name, days in (("a", 1), ("a", 90), ("b", 90)):
        sending = make_sending(session, ctx, [people[name]], topic)
        session.query(Message).filter(Message.sending_id == sending.id).one().accepted_at = NOON - timedelta(days=days)
    make_sending(session, ctx, [people["c"]], topic)  # never accepted
    session.add(Engagement(contact_id=people["a"].id, last_open_at=NOON, last_click_at=None))

    assert names(session, "last_sent_at", "this", {"unit": "month"}) == "a"
    assert names(session, "last_sent_at", "before", "2026-11-01") == "b"
    assert names(session, "last_sent_at", "is_empty") == "cde"
    assert names(session, "last_opened_at", "today") == "a"
    assert names(session, "last_clicked_at", "is_empty") == "abcde"


def test_bounces_are_counted(ctx: Context, session: Session, people: dict[str, Contact]) -> None:
    sending = make_sending(session, ctx, list(people.values()), make_topic(session))
    messages = {one.contact_id: one.id for one in session.query(Message).filter(Message.sending_id == sending.id)}
    for name, kind, times in (("a", "soft_bounce", 3), ("b", "soft_bounce", 1), ("c", "hard_bounce", 1)):
        for number in range(times):
            session.add(
                Event(message_id=messages[people[name].id], sending_id=sending.id, contact_id=people[name].id,
                      kind=kind, at=NOON, detail={}, dedupe_key=f"{name}{number}")
            )  # fmt: skip

    assert names(session, "bounced", "did", {"count": {"op": ">", "value": 1}}) == "a"
    assert names(session, "bounced", "did", {"count": {"op": "between", "value": [0, 1]}}) == "bcde"
    assert names(session, "bounced", "did", {"kind": "soft", "count": {"op": "=", "value": 1}}) == "b"
    assert names(session, "bounced", "did_not", {"count": {"op": "<=", "value": 1}}) == "a"


def test_activities_are_chosen_by_amount_currency_and_own_values(session: Session, people: dict[str, Contact]) -> None:
    for name, amount, currency, data in (
        ("a", 1000_00, "EUR", {"product": "Rowing Boat", "size": 3}), ("a", 10_00, "NOK", {"product": "Net"}),
        ("b", 999_99, "EUR", {"product": "net", "size": "3"}), ("c", None, "", {"product": ["boat"], "paid": True}),
    ):  # fmt: skip
        make_activity(session, people[name], kind="purchase", at=NOON, amount=amount, currency=currency, data=data)

    def has(**parts: Any) -> str:
        return names(session, "activity", "has", {"kind": "purchase", **parts})

    assert has(amount={"op": ">=", "value": 1000}) == "a"
    assert has(sum={"op": "<", "value": 1010}, currency="eur") == "abcde"
    assert has(sum={"op": "between", "value": [1, 1000]}, currency="EUR") == "ab"
    assert has(data={"product": {"op": "contains", "value": "BOAT"}}) == "a"
    assert has(data={"product": {"op": "equals", "value": "NET"}}) == "ab"
    assert has(data={"product": {"op": "is_empty"}}) == "c"
    assert has(data={"size": {"op": "=", "value": 3}}) == "a"
    assert has(data={"size": {"op": "equals", "value": "3"}}) == "ab"
    assert has(data={"paid": {"op": "equals", "value": "true"}}) == "c"
    assert names(session, "activity", "has", {"kind": "", "amount": {"op": ">", "value": 1}}) == "abcde"


def test_own_field_is_found_where_its_key_is_a_name_of_ours(session: Session) -> None:
    from_company = make_company(session, created_at=NOON).id
    make_contact(session, first_name="a", data={"consent": "yes please"}, company_id=from_company)
    make_contact(session, first_name="b")
    session.connection().exec_driver_sql(
        "INSERT INTO contact_field (key, label, type, choices, created_at) "
        "VALUES ('consent', 'Consent', 'text', '[]', '2026-01-01 00:00:00')"
    )

    assert names(session, "own.consent", "contains", "please") == "a"
    assert names(session, "consent", "never") == "ab"
    assert names(session, "company.created_at", "today") == "a"
