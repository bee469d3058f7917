"""Factories: `make_contact(session, **overrides)` and friends write one row with sensible values and return it."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import and_, case, delete, func, insert, select
from sqlalchemy.orm import Session

from mailer.addresses import check_address, hash_address
from mailer.clock import utc_now
from mailer.content.service import ContentSpec, freeze_content
from mailer.context import Context
from mailer.delivery.sendings import SendingSpec, create_sending, start_sending
from mailer.delivery.service import add_batches, add_messages
from mailer.ids import new_ledger_id
from mailer.schema.accounts import Staff
from mailer.schema.consent import Consent, Subscription, Topic
from mailer.schema.contacts import Activity, Address, Company, Contact
from mailer.schema.content import ContentVersion
from mailer.schema.delivery import Engagement, Event, Sending
from mailer.schema.workspace import Sender, Workspace
from mailer.statuses import Permission, Purpose, Role, SendingClass, SubscriptionStatus

T = TypeVar("T")
_numbers = itertools.count(1)
TEST_HASH_KEY = b"k" * 32


def _add(session: Session, row: T) -> T:
    session.add(row)
    session.flush()
    return row


def make_workspace(session: Session, **overrides: Any) -> Workspace:
    """The one settings row."""
    now = utc_now()
    return _add(session, Workspace(**{"id": 1, "created_at": now, "updated_at": now, "stop_note": "", **overrides}))


def make_staff(session: Session, **overrides: Any) -> Staff:
    """An admin."""
    number = next(_numbers)
    values = {"email": f"staff{number}@example.com", "role": Role.ADMIN, "password_hash": "-", "created_at": utc_now()}
    return _add(session, Staff(**values | overrides))


def make_sender(session: Session, **overrides: Any) -> Sender:
    """A complete sender profile."""
    values = {
        "name": f"Fjord Seminars {next(_numbers)}",
        "from_name": "Fjord Seminars",
        "from_email": "news@example.com",
        "postal_address": "Havnegata 1, 0150 Oslo",
        "created_at": utc_now(),
    }
    return _add(session, Sender(**values | overrides))


def make_topic(session: Session, **overrides: Any) -> Topic:
    """A topic."""
    return _add(session, Topic(**{"name": f"Topic {next(_numbers)}", "created_at": utc_now()} | overrides))


def make_address(session: Session, email: str, *, key: bytes = TEST_HASH_KEY, **overrides: Any) -> Address:
    """An address row in its normal form."""
    address = check_address(email)
    values = {
        "email": address.email,
        "email_hash": hash_address(address.email, key),
        "domain": address.domain,
        "provider": address.provider,
        "created_at": utc_now(),
    }
    return _add(session, Address(**values | overrides))


def make_company(session: Session, **overrides: Any) -> Company:
    """A company."""
    return _add(session, Company(**{"name": f"Company {next(_numbers)}", "created_at": utc_now()} | overrides))


def make_contact(session: Session, email: str | None = "", *, key: bytes = TEST_HASH_KEY, **overrides: Any) -> Contact:
    """A contact with an address of its own; `email=None` for none."""
    now = utc_now()
    number = next(_numbers)
    if "address_id" not in overrides and email is not None:
        address = make_address(session, email or f"person{number}@example.com", key=key)
        overrides["address_id"] = address.id
    values = {
        "ledger_id": new_ledger_id(),
        "first_name": f"First{number}",
        "last_name": f"Last{number}",
        "created_at": now,
        "updated_at": now,
    }
    return _add(session, Contact(**values | overrides))


def make_consent(
    session: Session, contact: Contact, permission: Permission = Permission.CONSENT, **overrides: Any
) -> Consent:
    """The current permission of a contact."""
    values = {
        "contact_id": contact.id,
        "purpose": Purpose.E_MARKETING,
        "permission": permission,
        "source": "test",
        "updated_at": utc_now(),
    }
    return _add(session, Consent(**values | overrides))


def make_subscription(
    session: Session, contact: Contact, topic: Topic, status: SubscriptionStatus = SubscriptionStatus.SUBSCRIBED
) -> Subscription:
    """A contact's subscription to a topic."""
    row = Subscription(contact_id=contact.id, topic_id=topic.id, status=status, updated_at=utc_now())
    return _add(session, row)


def make_reader(
    session: Session, topic: Topic, email: str = "", *, key: bytes = TEST_HASH_KEY, **overrides: Any
) -> Contact:
    """A contact who may be mailed about `topic`."""
    contact = make_contact(session, email, key=key, **overrides)
    make_consent(session, contact)
    make_subscription(session, contact, topic)
    return contact


def make_activity(
    session: Session, contact: Contact, kind: str = "purchase", *, days_ago: int = 1, **overrides: Any
) -> Activity:
    """An activity; `amount` is in minor units."""
    now = utc_now()
    values = {"contact_id": contact.id, "kind": kind, "at": now - timedelta(days=days_ago), "created_at": now}
    return _add(session, Activity(**values | overrides))


STARTER_MJML = """<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ contact.first_name | default('there') }}</mj-text>
<mj-button href="https://example.com/sign-up">Sign up</mj-button>
<mj-text>{{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""


def fill_engagement(session: Session) -> None:
    """Write the engagement that delivery would have written with the events that are there."""
    session.flush()
    session.execute(delete(Engagement))
    opened, human = Event.kind == "open", Event.hit_class == "human"
    last = [
        func.max(case((and_(opened, Event.hit_class != "machine"), Event.at))),
        func.max(case((and_(opened, human), Event.at))),
        func.max(case((and_(Event.kind == "click", human), Event.at))),
    ]
    rows = select(Event.contact_id, *last).where(Event.contact_id.is_not(None)).group_by(Event.contact_id)
    columns = ["contact_id", "last_open_at", "last_human_open_at", "last_click_at"]
    session.execute(insert(Engagement).from_select(columns, rows))


def make_version(
    session: Session, ctx: Context, *, mjml: str = STARTER_MJML, subject: str = "News", **more: Any
) -> ContentVersion:
    """A frozen content with one tracked link."""
    return freeze_content(session, ctx, ContentSpec(mjml=mjml, subject=subject, **more))


def make_sending(session: Session, ctx: Context, contacts: Sequence[Contact], topic: Topic, **more: Any) -> Sending:
    """A running sending with one queued message for each contact, in one batch."""
    spec = SendingSpec(
        sending_class=more.pop("sending_class", SendingClass.MARKETING),
        sender_id=make_sender(session).id,
        content_version_id=make_version(session, ctx, mjml=more.pop("mjml", STARTER_MJML)).id,
        topic_id=topic.id,
        **more,
    )
    sending = create_sending(session, ctx, spec)
    (batch_id,) = add_batches(session, [make_batch_row(sending.id)])
    rows = [
        {"sending_id": sending.id, "contact_id": contact.id, "address_id": contact.address_id, "to_address": None,
         "recipient_key": contact.id, "occurrence": 0, "batch_id": batch_id, "state": "queued", "reason": "",
         "attempts": 0, "reply": ""}
        for contact in contacts
    ]  # fmt: skip
    add_messages(session, rows)
    start_sending(session, ctx, sending.id)
    return sending


def make_batch_row(sending_id: int, **overrides: Any) -> dict[str, Any]:
    """The columns of a ready batch."""
    values = {"sending_id": sending_id, "provider": "other", "ordinal": 0, "state": "ready", "token": 0, "claims": 0}
    return values | {"not_before": utc_now() - timedelta(minutes=1)} | overrides
