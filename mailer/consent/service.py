"""Changes of permission, subscription and suppression: ledger line, current state and address lock in one transaction.

Everything that may forbid a mail locks the address rows first, in the order of their ids, `FOR NO KEY UPDATE`: so it is
serialized with the gate (delivery/gate.py), which locks the same rows `FOR SHARE` before the final dot.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from mailer.addresses import AddressError, check_address, hash_address
from mailer.clock import utc_now
from mailer.consent import queries
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError, NotFoundError
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

LIFTED_BY_STAFF = (
    SuppressionReason.HARD_BOUNCE,
    SuppressionReason.SOFT_BOUNCES,
    SuppressionReason.MANUAL,
    SuppressionReason.PROVIDER,
)
"""What staff may lift; the rest only the person can (FEATURES C10)."""


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


def create_topic(ctx: Context, name: str, *, description: str = "", is_own_products: bool = False) -> Topic:
    """Create a topic; it starts empty. ConflictError where the name is taken."""
    name = name.strip()
    if not name:
        raise InputError("a topic needs a name", where="name")
    with ctx.write() as session:
        if queries.find_topic(session, name):
            raise ConflictError(f"a topic is already called {name!r}", mend="choose another name")
        topic = Topic(name=name, description=description, is_own_products=is_own_products, created_at=utc_now())
        session.add(topic)
        session.flush()
    return topic


# ------------------------------------------------------------------ permission


def give_permission(
    session: Session, contact: Contact, permission: Permission, cause: Cause, *, basis: Basis | None = None
) -> None:
    """Record that a person gave permission; only for acts of the person, never for imports."""
    _set_permission(session, contact, permission, cause, ConsentVerdict.GIVEN, basis)


def withdraw_all(session: Session, contacts: Sequence[Contact], cause: Cause) -> None:
    """Withdraw the permission for e-marketing and end every subscription of `contacts`. Safe to repeat."""
    lock_addresses(session, (contact.address_id for contact in contacts))
    for contact in contacts:
        _set_permission(session, contact, Permission.WITHDRAWN, cause, ConsentVerdict.WITHDRAWN, None)
        subscribed = session.scalars(
            select(Subscription.topic_id).where(
                Subscription.contact_id == contact.id, Subscription.status != SubscriptionStatus.UNSUBSCRIBED.value
            )
        ).all()
        for topic_id in subscribed:
            _set_subscription(session, contact, topic_id, SubscriptionStatus.UNSUBSCRIBED, cause)


def unsubscribe(session: Session, contact: Contact, topic_id: int, cause: Cause) -> None:
    """End the subscription to a topic for every contact with this address (FEATURES C10). Safe to repeat."""
    lock_addresses(session, [contact.address_id])
    for each in _sharing_address(session, contact):
        _set_subscription(session, each, topic_id, SubscriptionStatus.UNSUBSCRIBED, cause)


def subscribe(session: Session, contact: Contact, topic_id: int, cause: Cause) -> None:
    """Subscribe a person to a topic, by their own act; a withdrawn permission is given again by it.

    Raises:
        NotAllowedError: the address is suppressed for a reason that this act does not lift.
    """
    lock_addresses(session, [contact.address_id])
    if queries.get_permission(session, contact.id) in (Permission.WITHDRAWN, Permission.NONE):
        give_permission(session, contact, Permission.CONSENT, cause, basis=Basis.CONSENT)
    _set_subscription(session, contact, topic_id, SubscriptionStatus.SUBSCRIBED, cause)


def object_to_mail(ctx: Context, contact_id: int, cause: Cause, *, topic_id: int | None = None) -> None:
    """Record an objection by phone or reply (FEATURES C11): one topic, or everything where `topic_id` is None."""
    with ctx.write() as session:
        contact = get_contact(session, contact_id)
        if topic_id is None:
            withdraw_all(session, _sharing_address(session, contact), cause)
        else:
            unsubscribe(session, contact, topic_id, cause)


def complain(session: Session, contact: Contact, cause: Cause) -> None:
    """Withdraw the permission of everybody with this address and suppress it (INTERFACES: complaint)."""
    withdraw_all(session, _sharing_address(session, contact), cause)
    if contact.address_id is not None:
        address = session.get_one(Address, contact.address_id)
        suppress(session, address.email_hash, SuppressionReason.COMPLAINT, cause.source, message_id=cause.message_id)


def get_contact(session: Session, contact_id: int) -> Contact:
    """Return a contact or raise NotFoundError."""
    contact = session.get(Contact, contact_id)
    if contact is None:
        raise NotFoundError("no such contact")
    return contact


def _sharing_address(session: Session, contact: Contact) -> Sequence[Contact]:
    if contact.address_id is None:
        return [contact]
    return queries.list_contacts_of_address(session, contact.address_id)


def lock_addresses(session: Session, address_ids: Iterable[int | None]) -> None:
    """Lock address rows in the order of their ids, before anything that decides whether they may be mailed."""
    ids = sorted({number for number in address_ids if number is not None})
    if ids:
        session.execute(
            select(Address.id).where(Address.id.in_(ids)).order_by(Address.id).with_for_update(key_share=True)
        ).all()


def _set_permission(
    session: Session,
    contact: Contact,
    permission: Permission,
    cause: Cause,
    verdict: ConsentVerdict,
    basis: Basis | None,
) -> None:
    row = session.get(Consent, (contact.id, Purpose.E_MARKETING.value))
    if row is not None and row.permission == permission:
        return
    if row is None:
        row = Consent(contact_id=contact.id, purpose=Purpose.E_MARKETING.value)
        session.add(row)
    row.permission, row.basis, row.source = permission.value, basis.value if basis else None, cause.source
    row.expires_at, row.updated_at = None, utc_now()
    _record(session, contact, cause, verdict, permission=permission, basis=basis)


def _set_subscription(
    session: Session, contact: Contact, topic_id: int, status: SubscriptionStatus, cause: Cause
) -> None:
    row = session.get(Subscription, (contact.id, topic_id))
    if row is not None and row.status == status:
        return
    if row is None:
        row = Subscription(contact_id=contact.id, topic_id=topic_id)
        session.add(row)
    row.status, row.updated_at = status.value, utc_now()
    given = status is SubscriptionStatus.SUBSCRIBED
    verdict = ConsentVerdict.SUBSCRIBED if given else ConsentVerdict.UNSUBSCRIBED
    _record(session, contact, cause, verdict, topic_id=topic_id)


def _record(
    session: Session,
    contact: Contact,
    cause: Cause,
    verdict: ConsentVerdict,
    *,
    topic_id: int | None = None,
    permission: Permission | None = None,
    basis: Basis | None = None,
) -> None:
    """Append a line to the ledger; what proves it goes to a row of its own, which can be erased."""
    salt = secrets.token_bytes(16)
    proof = json.dumps(dict(cause.evidence), sort_keys=True).encode()
    line = ConsentEvent(
        ledger_id=contact.ledger_id,
        purpose=Purpose.E_MARKETING.value,
        topic_id=topic_id,
        verdict=verdict.value,
        permission=permission.value if permission else None,
        basis=basis.value if basis else None,
        source=cause.source,
        channel=cause.channel,
        wording_version=cause.wording_version,
        evidence_digest=hashlib.blake2b(proof, salt=salt, digest_size=32).digest() if cause.evidence else None,
        message_id=cause.message_id,
        by_staff_id=cause.by_staff_id,
        at=utc_now(),
    )
    session.add(line)
    session.flush()
    if cause.evidence:
        session.add(ConsentEvidence(consent_event_id=line.id, salt=salt, data=dict(cause.evidence)))


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


def add_suppression(
    ctx: Context, email: str, *, source: str, reason: SuppressionReason = SuppressionReason.MANUAL
) -> bool:
    """Suppress a typed address and return whether that is new; InputError where it is not an address."""
    address_hash = hash_email(ctx, email)
    with ctx.write() as session:
        return suppress(session, address_hash, reason, source)


def lift_suppressions(ctx: Context, email: str, *, by: int | None) -> int:
    """Lift what staff may lift from an address and return how many; history stays.

    Raises:
        NotFoundError: nothing suppresses the address.
        NotAllowedError: only the person can lift what is there (unsubscribe, complaint, erasure).
    """
    address_hash = hash_email(ctx, email)
    with ctx.write() as session:
        active = queries.list_active_suppressions(session, address_hash)
        if not active:
            raise NotFoundError(f"{email} is not suppressed")
        liftable = [row.id for row in active if row.reason in LIFTED_BY_STAFF]
        if not liftable:
            reasons = ", ".join(sorted({row.reason for row in active}))
            raise NotAllowedError(
                f"{email} is suppressed by {reasons}", mend="only the person can come back, by signing up again"
            )
        address_id = session.scalar(select(Address.id).where(Address.email_hash == address_hash))
        lock_addresses(session, [address_id])
        session.execute(
            update(Suppression).where(Suppression.id.in_(liftable)).values(lifted_at=utc_now(), lifted_by=by)
        )
        session.execute(update(Address).where(Address.email_hash == address_hash).values(bounce_state="ok"))
        return len(liftable)


def import_suppressions(ctx: Context, emails: Iterable[str], *, source: str) -> tuple[int, list[tuple[str, str]]]:
    """Suppress many addresses; return how many were new and the refused ones with their reasons."""
    hashes: dict[bytes, None] = {}
    refused: list[tuple[str, str]] = []
    for email in emails:
        try:
            hashes[hash_address(check_address(email).email, ctx.keys.suppression)] = None
        except AddressError as error:
            refused.append((email, str(error)))
    new = 0
    for chunk in _chunks(list(hashes), 500):
        with ctx.write() as session:
            new += _suppress_many(session, chunk, source)
    return new, refused


def _suppress_many(session: Session, hashes: Sequence[bytes], source: str) -> int:
    ids = session.scalars(select(Address.id).where(Address.email_hash.in_(hashes))).all()
    lock_addresses(session, ids)
    there = set(
        session.scalars(
            select(Suppression.address_hash).where(
                Suppression.address_hash.in_(hashes),
                Suppression.reason == SuppressionReason.MANUAL.value,
                Suppression.lifted_at.is_(None),
            )
        )
    )
    now = utc_now()
    rows = [
        {"address_hash": value, "scope": "all", "reason": SuppressionReason.MANUAL.value, "source": source,
         "is_suspect": False, "created_at": now}
        for value in hashes
        if value not in there
    ]  # fmt: skip
    if rows:
        session.execute(insert(Suppression), rows)
    return len(rows)


def _chunks(items: list[bytes], size: int) -> Iterable[list[bytes]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def hash_email(ctx: Context, email: str) -> bytes:
    """Return the keyed hash of a typed address; InputError where it is not one."""
    try:
        address = check_address(email)
    except AddressError as error:
        raise InputError(str(error), where="email") from error
    return hash_address(address.email, ctx.keys.suppression)
