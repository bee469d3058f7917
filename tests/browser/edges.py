"""Who must be in the newcomer's segment: people at each edge of the rule, and the set found without SQL of ours."""

from datetime import date, timedelta
from typing import Any

from playwright.sync_api import Page, expect
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.contacts import Activity, Address, Contact
from mailer.schema.delivery import Event, Message
from mailer.schema.segments import SegmentMember
from mailer.segments.queries import get_segment, iter_members
from tests.support.make import make_activity, make_contact
from tests.support.story import Story

World = tuple[Context, Story]
SEMINAR_LIST = "Seminar participants"


def make_people_at_each_edge(ctx: Context, story: Story) -> None:
    """Write two people who belong in, and one for each condition who fails that one only."""
    people: dict[str, dict[str, Any]] = {
        "norway": {},
        "sweden": {"country": "Sweden"},
        "class-a": {"data": {"customer_class": "A"}},
        "denmark": {"country": "Denmark"},
        "bought": {},
        "never-opened": {},
        "listed": {},
    }
    with ctx.write() as session:
        listed = get_segment(session, SEMINAR_LIST)
        for name, values in people.items():
            kept = {"country": "Norway", "data": {"customer_class": "B"}, **values}
            contact = make_contact(session, f"{name}@example.com", key=ctx.keys.suppression, first_name=name, **kept)
            days = 20 if name == "bought" else 400
            make_activity(session, contact, kind="purchase", at=utc_now() - timedelta(days=days), amount=100)
            if name == "listed":
                session.add(SegmentMember(segment_id=listed.id, contact_id=contact.id, added_at=utc_now()))
            if name != "never-opened":
                open_mail(session, story, contact)


def open_mail(session: Any, story: Story, contact: Contact) -> None:
    """Write that a person opened the finished campaign's mail."""
    sending_id = story.finished.sending_id
    message = Message(
        sending_id=sending_id, contact_id=contact.id, address_id=contact.address_id, recipient_key=contact.id,
        state="accepted", accepted_at=utc_now(), gate_at=utc_now(),
    )  # fmt: skip
    session.add(message)
    session.flush()
    session.add(
        Event(
            message_id=message.id,
            sending_id=sending_id,
            contact_id=contact.id,
            kind="open",
            hit_class="human",
            at=utc_now(),
            dedupe_key=f"open:{message.id}",
        )
    )


def assert_the_right_people(page: Page, world: World, name: str) -> None:
    """Compare the segment's members with a set that is computed without any SQL of ours."""
    ctx, story = world
    with ctx.read() as session:
        found = {member.email for member in iter_members(session, get_segment(session, name), utc_now().date())}
        contacts = session.execute(select(Contact, Address.email).join(Address, Address.id == Contact.address_id)).all()
        purchases = session.execute(select(Activity.contact_id, Activity.at).where(Activity.kind == "purchase")).all()
        opens = session.execute(select(Event.contact_id, Event.sending_id, Event.kind, Event.hit_class)).all()
        segment = get_segment(session, SEMINAR_LIST)
        listed = set(session.scalars(select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)))
    start = six_months_before(utc_now().date())
    buyers = {number for number, at in purchases if at.date() >= start}
    openers = {number for number, sending, kind, judged in opens
               if (sending, kind, judged) == (story.finished.sending_id, "open", "human")}  # fmt: skip
    expected = {
        email for contact, email in contacts
        if contact.data.get("customer_class") == "B" and contact.country in ("Norway", "Sweden")
        and contact.id not in buyers and contact.id in openers and contact.id not in listed
    }  # fmt: skip
    assert found == expected
    edge = {f"{name}@example.com" for name in ("class-a", "denmark", "bought", "never-opened", "listed")}
    assert {"norway@example.com", "sweden@example.com"} <= found
    assert not edge & found
    expect(page.locator("#live [data-count]")).to_have_attribute("data-count", str(len(expected)))


def six_months_before(day: date) -> date:
    """Return the first day of the month six months before the one of `day`."""
    months = day.year * 12 + day.month - 1 - 6
    return date(months // 12, months % 12 + 1, 1)
