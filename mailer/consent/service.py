"""Changes of permission, subscription and suppression: ledger line, current state and address lock in one transaction.

Everything that may forbid a mail locks the address rows first, in the order of their ids, `FOR NO KEY UPDATE`: so it is
serialized with the gate (delivery/gate.py), which locks the same rows `FOR SHARE` before the final dot.
"""

import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.addresses import AddressError, check_address, hash_address
from mailer.clock import utc_now
from mailer.consent import queries
from mailer.consent.ledger import clean_source, digest_evidence
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.consent import (
    Consent,
    ConsentEvent,
    ConsentEvidence,
    Subscription,
    Suppression,
    Topic,
)
from mailer.schema.contacts import Address, Contact
from mailer.statuses import (
    Basis,
    ConsentVerdict,
    Permission,
    Purpose,
    SubscriptionStatus,
    SuppressionReason,
)

_MARKETING = Purpose.E_MARKETING.value


@dataclass(frozen=True)
class Cause:
    """Why a permission changes: where it came from, through which channel, what proves it."""

    source: str
    channel: str
    message_id: int | None = None
    by_staff_id: int | None = None
    wording_version: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


# ------------------------------------------------------------------ topics


def create_topic(
    ctx: Context, name: str, *, description: str = "", is_own_products: bool = False, is_tracked: bool = True
) -> Topic:
    """Create a topic; it starts empty. ConflictError where the name is taken."""
    name = name.strip()
    if not name:
        raise InputError("a topic needs a name", where="name")
    with ctx.write() as session:
        if queries.find_topic(session, name):
            raise ConflictError(f"a topic is already called {name!r}", mend="choose another name")
        topic = Topic(
            name=name,
            description=description,
            is_own_products=is_own_products,
            is_tracked=is_tracked,
            created_at=utc_now(),
        )
        session.add(topic)
        session.flush()
    return topic


def set_topic_tracking(ctx: Context, public_id: uuid.UUID, *, is_tracked: bool, by: int | None = None) -> None:
    """Say whether opens and clicks of a topic's mails are kept; for sendings that begin from now on."""
    with ctx.write() as session:
        topic = session.scalar(select(Topic).where(Topic.public_id == public_id))
        if topic is None:
            raise NotFoundError("no such topic")
        if topic.is_tracked != is_tracked:
            topic.is_tracked = is_tracked
            record_audit(
                session, "consent.set_topic_tracking", by=by, subject=("topic", topic.id), detail={"kept": is_tracked}
            )


# ------------------------------------------------------------------ permission


def give_permission(
    session: Session,
    contact: Contact,
    permission: Permission,
    cause: Cause,
    *,
    basis: Basis | None = None,
    expires_at: datetime | None = None,
) -> None:
    """Record that a person gave permission; only for acts of the person, never for imports.

    Where nothing changes, a line is written only if there is evidence: a renewed consent is proof, too.
    """
    lock_addresses(session, [contact.address_id])
    set_permission(session, contact, permission, cause, basis=basis, expires_at=expires_at)


def withdraw_all(session: Session, contacts: Sequence[Contact], cause: Cause) -> list[int]:
    """Withdraw the permission for e-marketing and end every subscription of `contacts`. Safe to repeat.

    Returns the lines of the ledger that were written.
    """
    lock_addresses(session, (contact.address_id for contact in contacts))
    lines: list[int | None] = []
    for contact in contacts:
        lines.append(set_permission(session, contact, Permission.WITHDRAWN, cause))
        subscribed = session.scalars(
            select(Subscription.topic_id).where(
                Subscription.contact_id == contact.id, Subscription.status != SubscriptionStatus.UNSUBSCRIBED.value
            )
        ).all()
        ended = SubscriptionStatus.UNSUBSCRIBED
        lines += [set_subscription(session, contact, topic_id, ended, cause) for topic_id in subscribed]
    return [line for line in lines if line is not None]


def unsubscribe(session: Session, contact: Contact, topic_id: int, cause: Cause) -> list[int]:
    """End the subscription to a topic for every contact with this address (FEATURES C10). Safe to repeat.

    Returns the lines of the ledger that were written.
    """
    lock_addresses(session, [contact.address_id])
    lines = [
        set_subscription(session, each, topic_id, SubscriptionStatus.UNSUBSCRIBED, cause)
        for each in list_sharing(session, contact)
    ]
    return [line for line in lines if line is not None]


def subscribe(session: Session, contact: Contact, topic_id: int, cause: Cause) -> None:
    """Subscribe a person to a topic, by their own act: that is consent, whatever their permission was before."""
    lock_addresses(session, [contact.address_id])
    row = find_consent(session, contact.id)
    if row is None or row.permission != Permission.CONSENT or has_run_out(row, utc_now()):
        set_permission(session, contact, Permission.CONSENT, cause, basis=Basis.CONSENT)
    set_subscription(session, contact, topic_id, SubscriptionStatus.SUBSCRIBED, cause)


def pause(session: Session, contact: Contact, until: datetime | None, cause: Cause) -> None:
    """Send no marketing before `until`, to nobody with this address; None ends a pause. It ends by itself."""
    lock_addresses(session, [contact.address_id])
    for each in list_sharing(session, contact):
        row = find_consent(session, each.id)
        if row is None and until is None:
            continue
        if row is None:
            row = Consent(contact_id=each.id, purpose=_MARKETING, permission=Permission.NONE.value)
            row.source, row.updated_at = cause.source, utc_now()
            session.add(row)
        if row.paused_until != until:
            row.paused_until = until
            verdict = ConsentVerdict.RESUMED if until is None else ConsentVerdict.PAUSED
            _record(session, each, cause, verdict, ends_at=until)


def decide_tracking(session: Session, contact: Contact, cause: Cause, *, is_allowed: bool) -> None:
    """Record whether opens and clicks may be kept with the person, for everybody with this address."""
    lock_addresses(session, [contact.address_id])
    word = Permission.CONSENT if is_allowed else Permission.WITHDRAWN
    basis = Basis.CONSENT if is_allowed else None
    for each in list_sharing(session, contact):
        set_permission(session, each, word, cause, basis=basis, purpose=Purpose.TRACKING)


def object_to_mail(
    ctx: Context, contact_id: int, cause: Cause, *, topic_id: int | None = None, is_complaint: bool = False
) -> None:
    """Record an objection by phone or reply (FEATURES C11): one topic, everything, or a complaint.

    A complaint withdraws everything and suppresses the address. Safe to repeat.

    Raises:
        NotFoundError: no such contact or topic.
    """
    with ctx.write() as session:
        contact = get_contact(session, contact_id)
        if is_complaint:
            complain(session, contact, cause)
        elif topic_id is None:
            withdraw_all(session, list_sharing(session, contact), cause)
        elif session.get(Topic, topic_id) is None:
            raise NotFoundError("no such topic")
        else:
            unsubscribe(session, contact, topic_id, cause)


def complain(session: Session, contact: Contact, cause: Cause) -> None:
    """Withdraw the permission of everybody with this address and suppress it (INTERFACES: complaint)."""
    withdraw_all(session, list_sharing(session, contact), cause)
    if contact.address_id is not None:
        address = session.get_one(Address, contact.address_id)
        suppress(session, address.email_hash, SuppressionReason.COMPLAINT, cause.source, message_id=cause.message_id)


def get_contact(session: Session, contact_id: int) -> Contact:
    """Return a contact or raise NotFoundError."""
    contact = session.get(Contact, contact_id)
    if contact is None:
        raise NotFoundError("no such contact")
    return contact


def list_sharing(session: Session, contact: Contact) -> Sequence[Contact]:
    """Return every contact with the address of this one, by id; itself where it has none."""
    if contact.address_id is None:
        return [contact]
    return queries.list_contacts_of_address(session, contact.address_id)


def find_consent(session: Session, contact_id: int, purpose: Purpose = Purpose.E_MARKETING) -> Consent | None:
    """Return the current permission of a contact, to be changed; the address must be locked."""
    return session.get(Consent, (contact_id, purpose.value), populate_existing=True)


def has_run_out(row: Consent, now: datetime) -> bool:
    """Return whether a permission came to its end by `now`."""
    return row.expires_at is not None and row.expires_at <= now


def lock_addresses(session: Session, address_ids: Iterable[int | None]) -> None:
    """Lock address rows in the order of their ids, before anything that decides whether they may be mailed."""
    ids = sorted({number for number in address_ids if number is not None})
    if ids:
        session.execute(
            select(Address.id).where(Address.id.in_(ids)).order_by(Address.id).with_for_update(key_share=True)
        ).all()


def set_permission(
    session: Session,
    contact: Contact,
    permission: Permission,
    cause: Cause,
    *,
    basis: Basis | None = None,
    expires_at: datetime | None = None,
    purpose: Purpose = Purpose.E_MARKETING,
) -> int | None:
    """Make this the permission of a contact and return the line of the ledger; None where it was so.

    The address must be locked. For the other rooms of consent: what people do has functions of its own above.
    """
    row = find_consent(session, contact.id, purpose)
    is_given = permission is not Permission.WITHDRAWN
    is_the_same = row is not None and row.permission == permission and row.expires_at == expires_at
    if is_the_same and not (is_given and cause.evidence):
        return None
    if row is None:
        row = Consent(contact_id=contact.id, purpose=purpose.value)
        session.add(row)
    row.permission, row.basis, row.source = permission.value, basis.value if basis else None, cause.source
    row.expires_at, row.updated_at = expires_at, utc_now()
    verdict = ConsentVerdict.GIVEN if is_given else ConsentVerdict.WITHDRAWN
    return _record(
        session, contact, cause, verdict, permission=permission, basis=basis, purpose=purpose, ends_at=expires_at
    )


def set_subscription(
    session: Session, contact: Contact, topic_id: int, status: SubscriptionStatus, cause: Cause
) -> int | None:
    """Make this the state of a subscription and return the line of the ledger; None where it was so. As above."""
    row = session.get(Subscription, (contact.id, topic_id), populate_existing=True)
    given = status is SubscriptionStatus.SUBSCRIBED
    if row is not None and row.status == status and not (given and cause.evidence):
        return None
    if row is None:
        row = Subscription(contact_id=contact.id, topic_id=topic_id)
        session.add(row)
    row.status, row.updated_at = status.value, utc_now()
    verdict = ConsentVerdict.SUBSCRIBED if given else ConsentVerdict.UNSUBSCRIBED
    return _record(session, contact, cause, verdict, topic_id=topic_id)


def _record(
    session: Session,
    contact: Contact,
    cause: Cause,
    verdict: ConsentVerdict,
    *,
    topic_id: int | None = None,
    permission: Permission | None = None,
    basis: Basis | None = None,
    purpose: Purpose = Purpose.E_MARKETING,
    ends_at: datetime | None = None,
) -> int:
    """Append a line to the ledger and return its id; what proves it goes to a row of its own, which can be erased."""
    salt = secrets.token_bytes(16)
    line = ConsentEvent(
        ledger_id=contact.ledger_id,
        purpose=purpose.value,
        topic_id=topic_id,
        verdict=verdict.value,
        permission=permission.value if permission else None,
        basis=basis.value if basis else None,
        source=clean_source(cause.source),
        channel=cause.channel,
        wording_version=cause.wording_version,
        evidence_digest=digest_evidence(cause.evidence, salt) if cause.evidence else None,
        message_id=cause.message_id,
        by_staff_id=cause.by_staff_id,
        at=utc_now(),
        ends_at=ends_at,
    )
    session.add(line)
    session.flush()
    if cause.evidence:
        session.add(ConsentEvidence(consent_event_id=line.id, salt=salt, data=dict(cause.evidence)))
    return line.id


# ------------------------------------------------------------------ suppressions


def suppress(
    session: Session,
    address_hash: bytes,
    reason: SuppressionReason,
    source: str,
    *,
    topic_id: int | None = None,
    message_id: int | None = None,
) -> bool:
    """Suppress an address by its hash and return whether that is new. Safe to repeat."""
    address_id = session.scalar(select(Address.id).where(Address.email_hash == address_hash))
    lock_addresses(session, [address_id])
    active = select(Suppression.id).where(
        Suppression.address_hash == address_hash,
        Suppression.reason == reason.value,
        Suppression.topic_id.is_(None) if topic_id is None else Suppression.topic_id == topic_id,
        Suppression.lifted_at.is_(None),
    )
    if session.scalar(active) is not None:
        return False
    session.add(
        Suppression(
            address_hash=address_hash,
            scope="all" if topic_id is None else "topic",
            topic_id=topic_id,
            reason=reason.value,
            source=source,
            message_id=message_id,
            created_at=utc_now(),
        )
    )
    session.flush()
    return True


def hash_email(ctx: Context, email: str) -> bytes:
    """Return the keyed hash of a typed address; InputError where it is not one."""
    try:
        address = check_address(email)
    except AddressError as error:
        raise InputError(str(error), where="email") from error
    return hash_address(address.email, ctx.keys.suppression)
