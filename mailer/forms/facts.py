"""What is known of addresses that signed up, and what follows from it: a mail, nothing, or a contact at once.

Read by the background work only: no visitor ever waits for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.consent.lifting import may_lift
from mailer.database import insert_into
from mailer.schema.consent import Consent, Subscription, Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event
from mailer.schema.forms import SignUp, SignUpAddress
from mailer.statuses import EventKind, LiftAct, Permission, SignUpRefusal, SubscriptionStatus

MAILS_IN_ALL = 3
MAIL_GAP = timedelta(hours=24)


@dataclass
class Known:
    """What is known of one address."""

    address_id: int | None = None
    reasons: set[str] = field(default_factory=set)
    is_marked: bool = False
    has_left: bool = False
    has_complained: bool = False

    @property
    def gate_address(self) -> int | None:
        """Whose suppressions the gate is to look at: nobody's where the person may end them by confirming."""
        return None if self.reasons else self.address_id

    @property
    def needs_proof(self) -> bool:
        """Whether only a confirmation from the mailbox may bring this person back."""
        return self.has_left or bool(self.reasons)


def load_known(session: Session, hashes: Iterable[bytes]) -> dict[bytes, Known]:
    """Return what is known of addresses, by hash; five statements for any number."""
    wanted = set(hashes)
    found = {value: Known() for value in wanted}
    for digest, address_id in session.execute(
        select(Address.email_hash, Address.id).where(Address.email_hash.in_(wanted))
    ):
        found[digest].address_id = address_id
    for digest, reason in session.execute(
        select(Suppression.address_hash, Suppression.reason).where(
            Suppression.address_hash.in_(wanted), Suppression.lifted_at.is_(None), Suppression.scope == "all"
        )
    ):
        found[digest].reasons.add(reason)
    contacts = (
        select(Address.email_hash, Contact.do_not_mail, Consent.permission)
        .join(Contact, Contact.address_id == Address.id)
        .outerjoin(Consent, Consent.contact_id == Contact.id)
        .where(Address.email_hash.in_(wanted), Contact.archived_at.is_(None))
    )
    for digest, is_marked, permission in session.execute(contacts):
        found[digest].is_marked |= is_marked
        found[digest].has_left |= permission == Permission.WITHDRAWN
    left = (
        select(Address.email_hash)
        .join(Contact, Contact.address_id == Address.id)
        .join(Subscription, Subscription.contact_id == Contact.id)
        .where(Address.email_hash.in_(wanted), Subscription.status == SubscriptionStatus.UNSUBSCRIBED.value)
    )
    for digest in session.scalars(left):
        found[digest].has_left = True
    complained = (
        select(SignUp.address_hash)
        .join(Event, Event.message_id == SignUp.message_id)
        .where(SignUp.address_hash.in_(wanted), Event.kind == EventKind.COMPLAINT.value)
    )
    for digest in session.scalars(complained):
        found[digest].has_complained = True
    return found


def why_not_taken(known: Known) -> SignUpRefusal | None:
    """Return why an address gets no mail and makes no contact, however often it is typed; None where it may."""
    if known.is_marked or not all(may_lift(reason, LiftAct.DOUBLE_OPT_IN) for reason in known.reasons):
        return SignUpRefusal.SUPPRESSED
    return SignUpRefusal.COMPLAINED if known.has_complained else None


def claim_mail(session: Session, address_hash: bytes, now: datetime) -> bool:
    """Count a confirmation mail to an address and return True, or False where it had its share.

    One statement looks and counts, so that two workers never both send the last one.
    """
    first = {"address_hash": address_hash, "mails": 0, "last_mail_at": now - MAIL_GAP}
    session.execute(insert_into(session, SignUpAddress).values(first).on_conflict_do_nothing())
    claimed = session.execute(
        update(SignUpAddress)
        .where(
            SignUpAddress.address_hash == address_hash,
            SignUpAddress.mails < MAILS_IN_ALL,
            SignUpAddress.last_mail_at <= now - MAIL_GAP,
        )
        .values(mails=SignUpAddress.mails + 1, last_mail_at=now)
        .execution_options(synchronize_session=False)
    )
    return bool(claimed.rowcount)  # type: ignore[attr-defined]


def lock_unhandled(session: Session, ids: Sequence[int]) -> list[SignUp]:
    """Return those of the sign-ups that nobody has handled yet, locked; another worker's are passed over."""
    query = select(SignUp).where(SignUp.id.in_(ids), SignUp.handled_at.is_(None)).order_by(SignUp.id)
    return list(session.scalars(query.with_for_update(skip_locked=True)))
