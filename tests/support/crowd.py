"""Many readers at once, and a campaign to them that only needs to be prepared."""

import itertools
from collections.abc import Mapping

from sqlalchemy import insert
from sqlalchemy.orm import Session

from mailer.addresses import check_address, hash_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.ids import new_ledger_id
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.consent import Consent, Subscription
from mailer.schema.contacts import Address, Contact
from mailer.schema.segments import Segment
from mailer.statuses import Permission, Purpose, SubscriptionStatus
from mailer.workspace.service import update_settings
from tests.support.make import STARTER_MJML, make_sender, make_topic

_numbers = itertools.count(1)


def make_people(session: Session, count: int, key: bytes, topic_id: int, *, domain: str, prefix: str = "p") -> None:
    """Write `count` readers of a topic at a domain."""
    now = utc_now()
    emails = [check_address(f"{prefix}{next(_numbers)}@{domain}") for _ in range(count)]
    addresses = session.scalars(insert(Address).returning(Address.id, sort_by_parameter_order=True), [
        {"email": one.email, "email_hash": hash_address(one.email, key), "domain": one.domain,
         "provider": one.provider, "created_at": now} for one in emails
    ]).all()  # fmt: skip
    contacts = session.scalars(insert(Contact).returning(Contact.id, sort_by_parameter_order=True), [
        {"ledger_id": new_ledger_id(), "first_name": "First", "last_name": "Last", "address_id": address,
         "created_at": now, "updated_at": now} for address in addresses
    ]).all()  # fmt: skip
    session.execute(insert(Consent), [
        {"contact_id": contact, "purpose": Purpose.E_MARKETING.value, "permission": Permission.CONSENT.value,
         "source": "test", "updated_at": now} for contact in contacts
    ])  # fmt: skip
    session.execute(insert(Subscription), [
        {"contact_id": contact, "topic_id": topic_id, "status": SubscriptionStatus.SUBSCRIBED.value,
         "updated_at": now} for contact in contacts
    ])  # fmt: skip


def make_crowd_campaign(ctx: Context, people: Mapping[tuple[str, str], int], limits: Mapping[str, float]) -> int:
    """A campaign in `preparing` for so many readers for each (prefix of the address, domain); its id."""
    with ctx.write() as session:
        update_settings(session, limits=limits)
        topic, sender = make_topic(session), make_sender(session)
        for (prefix, domain), count in people.items():
            make_people(session, count, ctx.keys.suppression, topic.id, domain=domain, prefix=prefix)
        now = utc_now()
        rule = {"version": 1, "all": []}
        segment = Segment(name="Everybody", kind="dynamic", rule=rule, created_at=now, updated_at=now)
        campaign = Campaign(
            name="News", subject="News", sender_id=sender.id, topic_id=topic.id, mjml=STARTER_MJML,
            status="preparing", created_at=now, updated_at=now,
        )  # fmt: skip
        session.add_all([segment, campaign])
        session.flush()
        session.add(CampaignSegment(campaign_id=campaign.id, segment_id=segment.id, mode="include"))
        return campaign.id
