"""A member of staff writes down a permission that somebody gave on paper, by phone or in person.

It says who, when, how and to which words, like every other; and like an import it brings nobody back who left.
"""

from collections.abc import Collection
from datetime import datetime

from mailer.consent import queries
from mailer.consent.service import (
    Cause,
    get_contact,
    give_permission,
    list_sharing,
    lock_addresses,
    set_subscription,
)
from mailer.context import Context
from mailer.errors import InputError, NotAllowedError, Problem
from mailer.schema.consent import Subscription, Topic
from mailer.schema.contacts import Address
from mailer.statuses import PERMITS_MARKETING, Basis, Permission, SubscriptionStatus


def record_permission(
    ctx: Context,
    contact_id: int,
    permission: Permission,
    cause: Cause,
    *,
    topic_ids: Collection[int] = (),
    expires_at: datetime | None = None,
) -> None:
    """Record a permission with its evidence, and topics that the person asked for with it.

    Raises:
        NotFoundError: no such contact.
        InputError: the permission permits nothing, nothing says how it was given, or a topic does not exist.
        NotAllowedError: the person left; only they can come back.
    """
    if permission not in PERMITS_MARKETING:
        raise InputError("choose consent, customer or business", where="permission")
    if not any(str(value).strip() for value in cause.evidence.values()):
        raise InputError("say how it was given", where="note", mend="what was said or signed, where, to whom")
    with ctx.write() as session:
        contact = get_contact(session, contact_id)
        lock_addresses(session, [contact.address_id])
        address = session.get(Address, contact.address_id) if contact.address_id else None
        sharing = list_sharing(session, contact)
        if any(queries.get_permission(session, one.id) is Permission.WITHDRAWN for one in sharing):
            raise NotAllowedError("this person withdrew their permission", mend="only they can give it again")
        if address and any(row.scope == "all" for row in queries.list_active_suppressions(session, address.email_hash)):
            raise NotAllowedError("this address is suppressed", mend="see the suppressions for who may lift it")
        missing = [number for number in topic_ids if session.get(Topic, number) is None]
        if missing:
            raise InputError([Problem("topic", "there is no such topic")])
        give_permission(session, contact, permission, cause, basis=Basis(permission.value), expires_at=expires_at)
        for topic_id in topic_ids:
            row = session.get(Subscription, (contact.id, topic_id))
            if row is None or row.status == SubscriptionStatus.SUBSCRIBED:
                set_subscription(session, contact, topic_id, SubscriptionStatus.SUBSCRIBED, cause)
