"""Take back what a person has just done by a link, exactly: each permission and topic becomes what it was before.

What was before is read from the ledger, so nothing has to be remembered, and a token can only name a change that was
made. What somebody changed again since stays as it is; a complaint or an erasure that came since forbids it all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent import queries
from mailer.consent.service import Cause, list_sharing, lock_addresses, set_permission, set_subscription
from mailer.context import Context
from mailer.errors import ConflictError, UntrustedRequestError
from mailer.schema.consent import ConsentEvent
from mailer.schema.contacts import Address, Contact
from mailer.statuses import Basis, ConsentVerdict, Permission, Purpose, SubscriptionStatus, SuppressionReason
from mailer.tokens import read_undo_token, undo_token

SPAN = timedelta(days=1)
_FINAL = (SuppressionReason.COMPLAINT.value, SuppressionReason.ERASURE.value)
_ASIDE = (ConsentVerdict.PAUSED.value, ConsentVerdict.RESUMED.value)


@dataclass(frozen=True)
class _Change:
    """What a permission or topic was before, and the newest line that the change wrote about it."""

    contact: Contact
    purpose: Purpose
    topic_id: int | None
    before: ConsentEvent | None
    newest: ConsentEvent


def make_undo(ctx: Context, contact: Contact, lines: Sequence[int]) -> str:
    """Return a token that takes back the change that wrote these lines; empty where nothing was written."""
    if not lines:
        return ""
    expires = int((utc_now() + SPAN).timestamp())
    return undo_token(ctx.keys, contact.id, min(lines), max(lines), expires)


def undo_change(session: Session, ctx: Context, contact: Contact, token: str) -> int:
    """Take back the change that `token` names and return how many lines that wrote. Safe to repeat.

    Raises:
        UntrustedRequestError: the token is none of ours, or another person's.
        ConflictError: it is too late, or the address has complained or was erased since.
    """
    read = read_undo_token(ctx.keys, token)
    if read.contact_id != contact.id:
        raise UntrustedRequestError("this link belongs to somebody else")
    if read.expires < utc_now().timestamp():
        raise ConflictError("it is too late to undo this", mend="choose what you want to get instead")
    lock_addresses(session, [contact.address_id])
    _refuse_final(session, contact)
    written = 0
    for change in list(_iter_changes(session, contact, read.first_line, read.last_line)):
        if _is_newest(session, change):
            written += _restore(session, change) is not None
    return written


def find_line(session: Session, ctx: Context, contact: Contact, token: str) -> ConsentEvent:
    """Return the last line of the change that an undo token names, also when it is too late to undo it.

    Raises:
        UntrustedRequestError: the token is none of ours, or another person's.
    """
    read = read_undo_token(ctx.keys, token)
    line = session.get(ConsentEvent, read.last_line)
    if read.contact_id != contact.id or line is None:
        raise UntrustedRequestError("this link belongs to somebody else")
    return line


def _refuse_final(session: Session, contact: Contact) -> None:
    address = session.get(Address, contact.address_id) if contact.address_id else None
    active = queries.list_active_suppressions(session, address.email_hash) if address else []
    if any(row.reason in _FINAL for row in active):
        raise ConflictError("this cannot be undone any more", mend="sign up again if you want to come back")


def _iter_changes(session: Session, contact: Contact, first: int, last: int) -> Iterator[_Change]:
    for each in list_sharing(session, contact):
        mine = (ConsentEvent.ledger_id == each.ledger_id, ConsentEvent.verdict.not_in(_ASIDE))
        written = session.scalars(
            select(ConsentEvent).where(*mine, ConsentEvent.id.between(first, last)).order_by(ConsentEvent.id)
        )
        about: dict[tuple[str, int | None], list[ConsentEvent]] = {}
        for line in written:
            about.setdefault((line.purpose, line.topic_id), []).append(line)
        for (purpose, topic_id), lines in about.items():
            before = _find_last(session, each, purpose, topic_id, before=lines[0].id)
            yield _Change(each, Purpose(purpose), topic_id, before, lines[-1])


def _find_last(
    session: Session, contact: Contact, purpose: str, topic_id: int | None, *, before: int | None = None
) -> ConsentEvent | None:
    query = select(ConsentEvent).where(
        ConsentEvent.ledger_id == contact.ledger_id,
        ConsentEvent.purpose == purpose,
        ConsentEvent.topic_id.is_(None) if topic_id is None else ConsentEvent.topic_id == topic_id,
        ConsentEvent.verdict.not_in(_ASIDE),
    )
    if before is not None:
        query = query.where(ConsentEvent.id < before)
    return session.scalars(query.order_by(ConsentEvent.id.desc()).limit(1)).one_or_none()


def _is_newest(session: Session, change: _Change) -> bool:
    newest = _find_last(session, change.contact, change.purpose.value, change.topic_id)
    return newest is not None and newest.id == change.newest.id


def _restore(session: Session, change: _Change) -> int | None:
    before = change.before
    cause = Cause(
        source=before.source if before else change.newest.source,
        channel="undo",
        message_id=change.newest.message_id,
        wording_version=before.wording_version if before else "",
    )
    if change.topic_id is not None:
        was_subscribed = before is not None and before.verdict == ConsentVerdict.SUBSCRIBED
        status = SubscriptionStatus.SUBSCRIBED if was_subscribed else SubscriptionStatus.UNSUBSCRIBED
        return set_subscription(session, change.contact, change.topic_id, status, cause)
    permission = Permission(before.permission) if before and before.permission else Permission.NONE
    ends_at: datetime | None = before.ends_at if before else None
    basis = Basis(before.basis) if before and before.basis else None
    return set_permission(
        session, change.contact, permission, cause, basis=basis, expires_at=ends_at, purpose=change.purpose
    )
