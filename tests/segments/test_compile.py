"""Every operator selects who it says, on both engines."""

from datetime import UTC, date, datetime, timedelta

import pytest

from mailer.clock import utc_now
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact, ContactField, ContactTag, Tag
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Event, Message
from mailer.segments.queries import count_members, iter_members, members_select, read_rule
from mailer.statuses import Permission, SubscriptionStatus
from tests.support.make import (
    fill_engagement,
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


def names(session, *lines, mode="all"):
    rule = read_rule(session, {"version": 1, mode: list(lines)})
    return "".join(sorted(member.first_name for member in iter_members(session, rule, TODAY)))


def line(field, op, value=None):
    return {"field": field, "op": op, "value": value}


@pytest.fixture
def session(ctx):
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo")
        yield session


@pytest.fixture
def texts(session):
    for name, city in (("A", "Århus"), ("B", "ÅRHUS"), ("C", "Aarhus"), ("D", ""), ("E", "50%_done"), ("F", "oslo")):
        make_contact(session, f"{name}@example.com", first_name=name, city=city, data={"nick": city} if city else {})
    return session


@pytest.mark.parametrize("field", ["city", "nick"])
@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("equals", "århus", "AB"),
        ("equals", "OSLO", "F"),
        ("not_equals", "århus", "CDEF"),
        ("is_exactly", "ÅRHUS", "B"),
        ("is_not_exactly", "ÅRHUS", "ACDEF"),
        ("contains", "RHU", "ABC"),
        ("contains", "Århu", "AB"),
        ("contains", "%_", "E"),
        ("not_contains", "rhus", "DEF"),
        ("starts_with", "å", "AB"),
        ("starts_with", "AA", "C"),
        ("not_starts_with", "å", "CDEF"),
        ("ends_with", "LO", "F"),
        ("not_ends_with", "us", "DEF"),
        ("is_empty", None, "D"),
        ("is_not_empty", None, "ABCEF"),
        ("is_one_of", ["Oslo", "århus"], "ABF"),
        ("is_none_of", ["Oslo", "århus"], "CDE"),
    ],
)
def test_text_operator(texts, field, op, value, expected):
    if field == "nick":
        texts.add(ContactField(key="nick", label="Nick", type="text", created_at=utc_now()))
        texts.flush()

    assert names(texts, line(field, op, value)) == expected


def test_email_operators_look_at_the_address(texts):
    make_contact(texts, None, first_name="N")

    assert names(texts, line("email", "equals", "A@Example.com")) == "A"
    assert names(texts, line("email", "ends_with", "example.com")) == "ABCDEF"
    assert names(texts, line("email", "not_contains", "a@")) == "BCDEFN"
    assert names(texts, line("email", "is_empty")) == "N"


def test_archived_contacts_are_never_members(texts):
    texts.query(Contact).filter(Contact.first_name == "A").update({"archived_at": utc_now()})

    assert names(texts, line("city", "equals", "århus")) == "B"
    assert names(texts) == "BCDEF"


def test_groups_nest(texts):
    inner = {"none": [line("city", "equals", "oslo"), line("city", "is_empty")]}

    assert names(texts, inner, line("city", "not_contains", "rhus")) == "E"
    assert names(texts, {"all": [line("city", "is_empty")]}, line("city", "equals", "oslo"), mode="any") == "DF"
    assert names(texts, line("city", "is_empty"), line("city", "equals", "oslo"), mode="none") == "ABCE"
    assert names(texts, line("city", "equals", "")) == "ABCDEF"


@pytest.fixture
def own(session):
    now = utc_now()
    for key, kind in (("seats", "number"), ("born", "date"), ("vip", "yes_no"), ("size", "choice"), ("likes", "tags")):
        session.add(ContactField(key=key, label=key, type=kind, created_at=now))
    rows = {
        "A": {"seats": 5, "born": "2026-11-21", "vip": True, "size": "Large", "likes": ["Golf", "Chess"]},
        "B": {"seats": 10.5, "born": "2026-10-31", "vip": False, "size": "small", "likes": ["golf"]},
        "C": {"seats": -3, "born": "2027-01-01", "likes": []},
        "D": {"seats": "many"},
        "E": {},
    }
    for name, data in rows.items():
        make_contact(session, first_name=name, data=data)
    return session


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("=", 5, "A"),
        ("<>", 5, "BCDE"),
        ("<", 5, "C"),
        ("<=", 5, "AC"),
        (">", 5, "B"),
        (">=", 10.5, "B"),
        ("between", [-3, 5], "AC"),
        ("is_empty", None, "DE"),
        ("is_not_empty", None, "ABC"),
    ],
)
def test_number_operator(own, op, value, expected):
    assert names(own, line("seats", op, value)) == expected


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("before", "2026-11-21", "B"),
        ("on", "2026-11-21", "A"),
        ("after", "2026-11-21", "C"),
        ("between", ["2026-10-31", "2026-11-21"], "AB"),
        ("today", None, "A"),
        ("before_today", None, "B"),
        ("after_today", None, "C"),
        ("previous", {"n": 1, "unit": "month"}, "B"),
        ("this", {"unit": "month"}, "A"),
        ("next", {"n": 1, "unit": "year"}, "C"),
        ("this_and_previous", {"n": 1, "unit": "month"}, "AB"),
        ("is_empty", None, "DE"),
        ("is_not_empty", None, "ABC"),
    ],
)
def test_date_operator(own, op, value, expected):
    assert names(own, line("born", op, value)) == expected


def test_yes_no_choice_and_tags_of_own_fields(own):
    assert names(own, line("vip", "yes")) == "A"
    assert names(own, line("vip", "no")) == "BCDE"
    assert names(own, line("size", "is_one_of", ["LARGE", "SMALL"])) == "AB"
    assert names(own, line("size", "is_none_of", ["large"])) == "BCDE"
    assert names(own, line("size", "is_empty")) == "CDE"
    assert names(own, line("likes", "is_one_of", ["golf"])) == "AB"
    assert names(own, line("likes", "is_none_of", ["chess"])) == "BCDE"
    assert names(own, line("likes", "has_all_of", ["golf", "chess"])) == "A"
    assert names(own, line("likes", "has_not_all_of", ["golf", "chess"])) == "BCDE"
    assert names(own, line("likes", "is_empty")) == "CDE"


def test_days_are_those_of_the_workspace_zone(session):
    make_contact(session, first_name="A", created_at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))  # the 21st in Oslo
    make_contact(session, first_name="B", created_at=datetime(2026, 11, 20, 22, 30, tzinfo=UTC))

    assert names(session, line("created_at", "today")) == "A"
    assert names(session, line("created_at", "on", "2026-11-20")) == "B"
    assert names(session, line("created_at", "this", {"unit": "month"})) == "AB"


def test_tags_owner_and_company(session):
    staff = make_staff(session, email="ola@example.com")
    company = make_company(session, name="Fjord AS", industry="Fish", owner_id=staff.id)
    other = make_company(session, name="Berg AS")
    contact_a = make_contact(session, first_name="A", owner_id=staff.id, company_id=company.id)
    make_contact(session, first_name="B", company_id=other.id)
    make_contact(session, first_name="C")
    for name in ("Golf", "Mat"):
        tag = Tag(name=name)
        session.add(tag)
        session.flush()
        session.add(ContactTag(contact_id=contact_a.id, tag_id=tag.id))
    session.flush()

    assert names(session, line("tags", "is_one_of", ["golf", "x"])) == "A"
    assert names(session, line("tags", "has_all_of", ["golf", "mat"])) == "A"
    assert names(session, line("tags", "has_all_of", ["golf", "x"])) == ""
    assert names(session, line("tags", "is_empty")) == "BC"
    assert names(session, line("owner", "is_one_of", ["Ola@example.com"])) == "A"
    assert names(session, line("owner", "is_empty")) == "BC"
    assert names(session, line("company", "contains", "fjord")) == "A"
    assert names(session, line("company", "not_contains", "fjord")) == "BC"
    assert names(session, line("company", "is_empty")) == "C"
    assert names(session, line("company.industry", "is_empty")) == "BC"
    assert names(session, line("company.owner", "equals", "ola@example.com")) == "A"
    assert names(session, line("company.owner", "is_empty")) == "BC"
    assert names(session, line("company.do_not_mail", "no")) == "ABC"


def test_permission_topic_and_suppression(session):
    topic = make_topic(session, name="Nyheter Å")
    people = {name: make_contact(session, f"{name}@example.com", first_name=name) for name in "ABCD"}
    make_consent(session, people["A"], Permission.CONSENT, basis="consent", source="Fair 2026")
    make_consent(session, people["B"], Permission.WITHDRAWN)
    make_consent(session, people["C"], Permission.CONSENT, expires_at=NOON - timedelta(days=30))
    make_subscription(session, people["A"], topic)
    make_subscription(session, people["B"], topic, status=SubscriptionStatus.UNSUBSCRIBED)
    address = session.get_one(Address, people["D"].address_id)
    session.add(Suppression(address_hash=address.email_hash, reason="hard_bounce", created_at=utc_now()))
    session.flush()

    assert names(session, line("permission", "is_one_of", ["consent"])) == "A"
    assert names(session, line("permission", "is_one_of", ["none"])) == "CD"
    assert names(session, line("permission", "equals", "withdrawn")) == "B"
    assert names(session, line("permission", "is_none_of", ["consent"])) == "BCD"
    assert names(session, line("basis", "equals", "consent")) == "A"
    assert names(session, line("consent_source", "starts_with", "fair")) == "A"
    assert names(session, line("topic", "subscribed", "nyheter å")) == "A"
    assert names(session, line("topic", "not_subscribed", "Nyheter Å")) == "BCD"
    assert names(session, line("topic", "unsubscribed", ["Nyheter Å"])) == "B"
    assert names(session, line("suppressed", "yes")) == "D"
    assert names(session, line("suppressed", "no")) == "ABC"
    assert names(session, line("suppressed", "yes", ["complaint"])) == ""


def test_activities_by_kind_period_count_and_sum(session):
    people = {name: make_contact(session, first_name=name) for name in "ABCD"}
    in_period, before, recent = (datetime(2026, 5, 5, tzinfo=UTC), datetime(2025, 10, 31, 12, tzinfo=UTC), NOON)
    make_activity(session, people["A"], kind="purchase", at=in_period, amount=200_001_00)
    for _ in range(2):
        make_activity(session, people["B"], kind="purchase", at=in_period, amount=250_000_00)
    make_activity(session, people["B"], kind="purchase", at=before, amount=999_999_00)
    make_activity(session, people["C"], kind="purchase", at=in_period, amount=200_000_99)
    make_activity(session, people["C"], kind="purchase", at=recent, amount=100)
    make_activity(session, people["D"], kind="nps", at=recent, data={"score": 9})
    year = {"op": "previous", "n": 12, "unit": "month"}
    half = {"op": "this_and_previous", "n": 6, "unit": "month"}

    def has(**value):
        return line("activity", "has", value)

    assert names(session, has(kind="purchase", period=year, sum={"op": "between", "value": [200_001, 500_000]})) == "AB"
    assert names(session, has(kind="purchase", period=year, count={"op": ">=", "value": 2})) == "B"
    assert names(session, has(kind="purchase", count={"op": "=", "value": 0})) == "D"
    assert names(session, line("activity", "has_not", {"kind": "purchase", "period": half})) == "D"
    assert (
        names(session, line("activity", "has_not", {"kind": "purchase", "period": {"op": "this", "unit": "month"}}))
        == "ABD"
    )
    assert names(session, line("activity", "has", "nps")) == "D"
    assert names(session, has(kind="nps", data={"score": {"op": ">=", "value": 9}})) == "D"
    assert names(session, has(kind="nps", data={"score": {"op": "<", "value": 9}})) == ""


def test_behavior_counts_human_events_only_unless_asked(ctx, session):
    topic = make_topic(session)
    people = {name: make_contact(session, first_name=name) for name in "ABCD"}
    sending = make_sending(session, ctx, list(people.values()), topic)
    session.add(Campaign(name="Autumn", sending_id=sending.id, created_at=NOON, updated_at=NOON))
    link = TrackedLink(content_version_id=sending.content_version_id, ordinal=7, url="https://example.com/x")
    session.add(link)
    session.flush()
    messages = {m.contact_id: m for m in session.query(Message).filter(Message.sending_id == sending.id)}
    for name in "ABC":
        messages[people[name].id].accepted_at = NOON - timedelta(days=2)

    def event(name, kind, hit_class=None, days=1, **more):
        message = messages[people[name].id]
        session.add(
            Event(message_id=message.id, sending_id=sending.id, contact_id=people[name].id, kind=kind,
                  hit_class=hit_class, at=NOON - timedelta(days=days), detail={},
                  dedupe_key=f"{name}{kind}{hit_class}{days}", **more)
        )  # fmt: skip
        session.flush()

    event("A", "open", "human")
    event("A", "open", "human", days=2)
    event("A", "click", "human", tracked_link_id=link.id)
    event("B", "open", "proxy")
    event("B", "click", "machine")
    event("C", "open", "machine")
    event("D", "hard_bounce")
    fill_engagement(session)

    assert names(session, line("sent", "did")) == "ABC"
    assert names(session, line("sent", "did_not", {})) == "D"
    assert names(session, line("sent", "did", {"campaign": "Autumn"})) == "ABC"
    assert names(session, line("sent", "did", {"campaign": "Winter"})) == ""
    assert names(session, line("sent", "did", {"period": {"op": "today"}})) == ""
    assert names(session, line("opened", "did")) == "A"
    assert names(session, line("opened", "did", {"at_least": 2})) == "A"
    assert names(session, line("opened", "did", {"at_least": 3})) == ""
    assert names(session, line("opened", "did", {"machine": True})) == "ABC"
    assert names(session, line("opened", "did_not")) == "CD"
    assert names(session, line("clicked", "did", {"link": "https://example.com/x"})) == "A"
    assert names(session, line("clicked", "did", {"link": "https://example.com/y"})) == ""
    assert names(session, line("clicked", "did_not")) == "BCD"
    assert names(session, line("bounced", "did")) == "D"
    assert names(session, line("bounced", "did", {"kind": "soft"})) == ""
    assert names(session, line("complained", "did_not")) == "ABCD"


def test_values_are_bound_parameters(session):
    evil = "x'; DROP TABLE contact; --"
    make_contact(session, first_name="A", city=evil)

    rule = read_rule(session, {"all": [line("city", "contains", evil), line("tags", "is_none_of", [evil])]})
    statement = str(members_select(session, rule, TODAY).compile(session.get_bind()))

    assert "DROP" not in statement
    assert count_members(session, rule, TODAY) == 1
