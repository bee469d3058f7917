"""A small world for pages: staff, contacts, segments, a finished, a running and a draft campaign, and what follows.

Rows are written directly: what they mean is the business of each room's own tests.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.passwords import hash_password
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.bounces import BounceReport
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.consent import ConsentEvent, Suppression
from mailer.schema.contacts import Contact, ContactField
from mailer.schema.content import ContentVersion, TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.segments import Segment, SegmentInput, SegmentMember
from mailer.statuses import FieldType, Permission, Role, SubscriptionStatus
from tests.support.make import (
    make_activity,
    make_company,
    make_consent,
    make_contact,
    make_sender,
    make_staff,
    make_subscription,
    make_topic,
    make_workspace,
)

PASSWORD = "correct horse battery"
FIRST = ("Ada", "Björn", "Chen", "Dagny", "Emre", "Fatima", "Greta", "Håkon", "Ines", "Jonas", "Kari", "Liv")
LAST = ("Lindqvist", "Åsen", "Moreau", "Okafor", "Petersen", "Quist", "Rossi", "Sørensen", "Takala", "Ulriksen")
COMPANIES = ("Nordlys Energi", "Havn & Co", "Skog Bygg", "Fjellpost", "Brygga Mat", "Isfjord Tek")
TITLES = ("Head of marketing", "Managing director", "Buyer", "Project manager", "Chief of sales")
AGENT = "Mozilla/5.0"


@dataclass(frozen=True)
class Story:
    """What tests need to know of the world."""

    admin_id: int
    contact: Contact
    topic_id: int
    running: Campaign
    finished: Campaign
    draft: Campaign
    segment: Segment


def make_story(ctx: Context, *, people: int = 240) -> Story:
    """Write the world and return what is looked at. The admin is ada@example.com with `PASSWORD`."""
    chance = random.Random(7)
    with ctx.write() as session:
        make_workspace(session, name="Fjord Seminars", timezone="Europe/Oslo")
        admin = make_staff(
            session,
            email="ada@example.com",
            name="Ada Lindqvist",
            password_hash=_hashed(),
            must_change_password=False,
        )
        seller = make_staff(session, email="bo@example.com", name="Bo Petersen", role=Role.SALES.value)
        make_staff(session, email="kim@example.com", name="Kim Rossi", role=Role.MARKETER.value)
        sender = make_sender(session, name="Fjord Seminars")
        topic = make_topic(session, name="Invitations", description="Seminars and breakfast meetings near you")
        make_topic(session, name="News", description="What is new, once a month", is_own_products=True)
        session.add(
            ContactField(key="customer_class", label="Customer class", type=FieldType.CHOICE, choices=["A", "B", "C"],
                         created_at=utc_now())
        )  # fmt: skip
        companies = [make_company(session, name=name, country="Norway", owner_id=seller.id) for name in COMPANIES]
        contacts = [_person(session, ctx, number, companies, chance) for number in range(people)]
        for contact in contacts:
            permitted = chance.random() < 0.9
            make_consent(session, contact, Permission.CONSENT if permitted else Permission.NONE)
            make_subscription(
                session, contact, topic, SubscriptionStatus.SUBSCRIBED if permitted else SubscriptionStatus.UNSUBSCRIBED
            )
        segment = _segments(session, contacts)
        finished = _campaign(session, "Seminar invitation", admin.id, sender.id, topic.id, segment, "finished")
        running = _campaign(session, "Breakfast in Bergen", admin.id, sender.id, topic.id, segment, "sending")
        draft = _campaign(session, "Autumn news", admin.id, sender.id, topic.id, segment, "draft")
        _messages(session, finished, contacts, chance, done=1.0)
        _messages(session, running, contacts, chance, done=0.6)
        _after(session, finished, contacts, seller.id, admin.id)
    return Story(admin.id, contacts[0], topic.id, running, finished, draft, segment)


@cache
def _hashed() -> str:
    """The hash of `PASSWORD`, made once a process: it is slow on purpose."""
    return hash_password(PASSWORD)


def _person(session: Session, ctx: Context, number: int, companies: list[Any], chance: random.Random) -> Contact:
    first, last = FIRST[number % len(FIRST)], LAST[number % len(LAST)]
    domain = ("example.com", "gmail.com", "outlook.com", "example.org")[number % 4]
    contact = make_contact(
        session,
        f"person{number}@{domain}",
        key=ctx.keys.suppression,
        first_name=first,
        last_name=last,
        title=TITLES[number % len(TITLES)],
        company_id=companies[number % len(companies)].id,
        country="Norway",
        city=("Oslo", "Bergen", "Tromsø")[number % 3],
        category=("Decision maker", "User", "Buyer")[number % 3],
        data={"customer_class": "ABC"[number % 3]},
    )
    if number % 4 == 0:
        make_activity(
            session, contact, kind="purchase", at=utc_now() - timedelta(days=chance.randint(1, 400)),
            amount=chance.randint(1_000, 900_000) * 100, currency="NOK",
        )  # fmt: skip
    return contact


def _segments(session: Session, contacts: list[Contact]) -> Segment:
    now = utc_now()
    rule = {"version": 1, "all": [{"field": "category", "op": "equals", "value": "Decision maker"}]}
    base = {"created_at": now, "updated_at": now}
    makers = Segment(name="Decision makers", kind="dynamic", rule=rule, description="They sign.", **base)
    members = Segment(name="Seminar participants", kind="static", **base)
    both = Segment(name="Makers who take part", kind="combined", operation="intersection", **base)
    session.add_all([makers, members, both])
    session.flush()
    session.add_all(
        [SegmentMember(segment_id=members.id, contact_id=one.id, added_at=now, cause="link") for one in contacts[:40]]
    )
    session.add_all(
        [SegmentInput(segment_id=both.id, ordinal=at, input_id=one.id) for at, one in enumerate((makers, members))]
    )
    session.flush()
    return makers


def _campaign(
    session: Session, name: str, by: int, sender_id: int, topic_id: int, segment: Segment, status: str
) -> Campaign:
    now = utc_now()
    campaign = Campaign(
        name=name,
        subject="{{ contact.first_name | default('Hello') }}, join us in {{ event.city }}",
        preheader="Seats are few",
        sender_id=sender_id,
        topic_id=topic_id,
        design="invitation",
        data={"event": {"city": "Oslo"}},
        created_by=by,
        created_at=now - timedelta(days=3),
        updated_at=now,
        status="draft",
    )
    session.add(campaign)
    session.flush()
    session.add(CampaignSegment(campaign_id=campaign.id, segment_id=segment.id, mode="include"))
    if status != "draft":
        _sending(session, campaign, status)
    session.flush()
    return campaign


def _sending(session: Session, campaign: Campaign, state: str) -> None:
    now = utc_now()
    version = ContentVersion(
        content_hash=f"{campaign.id:064}", subject="Join us in Oslo", preheader="Seats are few",
        html="<html><body><h1>Join us in Oslo</h1></body></html>", text="Join us in Oslo", created_at=now,
    )  # fmt: skip
    session.add(version)
    session.flush()
    for at, url in enumerate(("https://example.com/seminar/sign-up", "https://example.com/programme")):
        session.add(TrackedLink(content_version_id=version.id, ordinal=at, url=url, response="redirect"))
    sending = Sending(
        sending_class="marketing", topic_id=campaign.topic_id, sender_id=campaign.sender_id,
        content_version_id=version.id, state=state, key_id=1, created_at=now - timedelta(days=2),
        started_at=now - timedelta(days=2), finished_at=now - timedelta(days=1) if state == "finished" else None,
    )  # fmt: skip
    session.add(sending)
    session.flush()
    campaign.sending_id = sending.id
    campaign.status = state


def _messages(
    session: Session, campaign: Campaign, contacts: list[Contact], chance: random.Random, *, done: float
) -> None:
    sending = session.get_one(Sending, campaign.sending_id)
    of_version = TrackedLink.content_version_id == sending.content_version_id
    links = list(session.scalars(select(TrackedLink.id).where(of_version).order_by(TrackedLink.ordinal)))
    start = sending.started_at or sending.created_at
    for number, contact in enumerate(contacts):
        state, reason = "accepted", ""
        if number % 10 == 3:
            state, reason = "skipped", ("no_permission", "not_subscribed", "suppressed")[number % 3]
        elif number % 47 == 5:
            state, reason = "failed", "user_unknown"
        elif number % 90 == 7:
            state = "unknown"
        elif number > len(contacts) * done:
            state = "queued"
        accepted = start + timedelta(seconds=number / 4) if state == "accepted" else None
        message = Message(
            sending_id=sending.id, contact_id=contact.id, address_id=contact.address_id, recipient_key=contact.id,
            state=state, reason=reason, accepted_at=accepted, gate_at=accepted,
            reply="550 5.1.1 no such user" if state == "failed" else "",
        )  # fmt: skip
        session.add(message)
        session.flush()
        if state == "failed":
            _event(session, message, "hard_bounce", start, code="5.1.1", reason="user_unknown")
        if accepted:
            _reactions(session, message, accepted, links, chance)


def _reactions(session: Session, message: Message, at: Any, links: list[int], chance: random.Random) -> None:
    late = at + timedelta(minutes=chance.expovariate(1 / 300))
    roll = chance.random()
    if roll < 0.42:
        _event(session, message, "open", late, hit_class="human")
    elif roll < 0.55:
        _event(session, message, "open", at + timedelta(seconds=3), hit_class="machine", reason="scanner")
    if roll < 0.16:
        _event(session, message, "click", late + timedelta(minutes=1), hit_class="human", tracked_link_id=links[0])
    elif roll > 0.985:
        _event(session, message, "soft_bounce", at + timedelta(minutes=2), code="4.2.2", reason="mailbox_full")


def _event(session: Session, message: Message, kind: str, at: Any, **values: Any) -> None:
    session.add(
        Event(
            message_id=message.id,
            sending_id=message.sending_id,
            contact_id=message.contact_id,
            kind=kind,
            at=at,
            dedupe_key=f"{kind}:{message.id}",
            **values,
        )
    )


def _after(session: Session, campaign: Campaign, contacts: list[Contact], seller_id: int, admin_id: int) -> None:
    now = utc_now()
    today = now.date()
    for number, contact in enumerate(contacts[:9]):
        session.add(
            FollowUp(
                contact_id=contact.id,
                owner_id=admin_id if number % 2 else seller_id,
                title="Call about the seminar",
                kind="call",
                due_on=today + timedelta(days=number - 2),
                source="Seminar invitation",
                created_at=now,
                status="open",
            )
        )
    for number, contact in enumerate(contacts[20:26]):
        session.add(
            Suppression(
                address_hash=f"{number:016}".encode(),
                scope="all",
                source="campaign Seminar invitation",
                reason=("hard_bounce", "complaint", "manual")[number % 3],
                created_at=now - timedelta(hours=number),
            )
        )
        session.add(
            ConsentEvent(
                ledger_id=contact.ledger_id,
                purpose="e_marketing",
                verdict="given",
                permission="consent",
                source="import spring list",
                channel="import",
                at=now - timedelta(days=80),
            )
        )
        session.add(
            BounceReport(
                received_at=now - timedelta(hours=number),
                source="listener",
                digest=f"{number:032}".encode(),
                raw=b"From: mailer-daemon@example.com\r\nSubject: failed\r\n\r\n550 5.1.1 no such user\r\n",
                state="matched",
                verdict="hard",
                blame="address",
                reason="user_unknown",
                status="5.1.1",
                recipients=[f"person{20 + number}@example.com"],
                diagnostic="550 5.1.1 no such user",
                matched_by="verp",
            )
        )
