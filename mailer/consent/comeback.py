"""A person comes back by their own confirmed act: what suppressed them ends, as far as that act may end it."""

from collections.abc import Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.lifting import list_lifted_by
from mailer.consent.service import lock_addresses
from mailer.schema.consent import Subscription, Suppression
from mailer.schema.contacts import Address, Contact
from mailer.statuses import LiftAct, SubscriptionStatus, SuppressionReason

_BOUNCES = (SuppressionReason.HARD_BOUNCE.value, SuppressionReason.SOFT_BOUNCES.value)


def await_confirmation(session: Session, contact: Contact, topic_ids: Sequence[int]) -> None:
    """Note topics that a person asked for and has not confirmed. What is known of a topic stays: it permits nothing."""
    lock_addresses(session, [contact.address_id])
    known = set(session.scalars(select(Subscription.topic_id).where(Subscription.contact_id == contact.id)))
    for topic_id in dict.fromkeys(topic_ids):
        if topic_id not in known:
            status = SubscriptionStatus.PENDING.value
            session.add(Subscription(contact_id=contact.id, topic_id=topic_id, status=status, updated_at=utc_now()))
    session.flush()


def lift_for_person(
    session: Session, address_hash: bytes, topic_ids: Sequence[int], *, act: LiftAct = LiftAct.DOUBLE_OPT_IN
) -> list[SuppressionReason]:
    """Lift what `act` of the person ends (lifting.py): suppressions of all mail, and those of `topic_ids`.

    Only for an act that proves the mailbox: a confirmed double opt-in. Returns what was lifted; history stays.
    """
    address_id = session.scalar(select(Address.id).where(Address.email_hash == address_hash))
    lock_addresses(session, [address_id])
    lifted = session.scalars(
        update(Suppression)
        .where(
            Suppression.address_hash == address_hash,
            Suppression.lifted_at.is_(None),
            Suppression.reason.in_([reason.value for reason in list_lifted_by(act)]),
            or_(Suppression.scope == "all", Suppression.topic_id.in_(topic_ids)),
        )
        .values(lifted_at=utc_now(), lifted_by=None)
        .returning(Suppression.reason)
        .execution_options(synchronize_session=False)
    ).all()
    if set(lifted) & set(_BOUNCES) and address_id is not None:
        session.execute(update(Address).where(Address.id == address_id).values(bounce_state="ok"))
    return [SuppressionReason(reason) for reason in lifted]
