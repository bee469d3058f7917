"""The log of what persons asked for about their own data: recorded, extended once, answered or refused; all audited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.addresses import AddressError, check_address, hash_address
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError, Problem
from mailer.privacy.due import due_on
from mailer.schema.contacts import Address, Contact
from mailer.schema.privacy import CHANNELS, SubjectRequest
from mailer.statuses import RequestKind, RequestStatus
from mailer.workspace.queries import get_workspace


@dataclass(frozen=True, kw_only=True)
class RequestValues:
    """What is known of a request. `email` or `contact_id` says whose it is; `received_on` None is today."""

    kind: RequestKind | str
    channel: str = "mail"
    who: str = ""
    note: str = ""
    email: str = ""
    contact_id: int | None = None
    received_on: date | None = None


def record_request(ctx: Context, values: RequestValues, *, by: int | None = None) -> SubjectRequest:
    """Write a request down; it is due one month after it came.

    Raises:
        InputError: lists everything that is wrong.
        NotFoundError: no such contact.
    """
    with ctx.write() as session:
        today = ctx.clock.today(get_workspace(session).timezone)
        received = values.received_on or today
        digest, name = _whose(session, ctx, values)
        _check(values, digest, received, today)
        row = SubjectRequest(
            kind=RequestKind(values.kind).value, channel=values.channel, who=(values.who.strip() or name)[:320],
            note=values.note.strip(), contact_id=values.contact_id or _only_contact(session, digest),
            address_hash=digest, received_on=received, due_on=due_on(received), created_by=by, created_at=utc_now(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        record_audit(session, "privacy.request", by=by, subject=("request", row.id), detail={"kind": row.kind})
    return row


def _whose(session: Session, ctx: Context, values: RequestValues) -> tuple[bytes | None, str]:
    """Return the hash of the address and the name of who asks, as far as they are known."""
    if values.contact_id is not None:
        contact = session.get(Contact, values.contact_id)
        if contact is None:
            raise NotFoundError("no such contact")
        address = session.get(Address, contact.address_id) if contact.address_id else None
        name = f"{contact.first_name} {contact.last_name}".strip()
        return (bytes(address.email_hash) if address else None), name or (address.email or "" if address else "")
    try:
        email = check_address(values.email).email
    except AddressError:
        return None, ""
    return hash_address(email, ctx.keys.suppression), email


def _only_contact(session: Session, digest: bytes | None) -> int | None:
    found = session.scalars(
        select(Contact.id).join(Address, Address.id == Contact.address_id).where(Address.email_hash == digest).limit(2)
    ).all()
    return found[0] if len(found) == 1 else None


def _check(values: RequestValues, digest: bytes | None, received: date, today: date) -> None:
    problems = []
    if values.kind not in set(RequestKind):
        problems.append(Problem("kind", f"there is no request {values.kind!r}", "one of " + ", ".join(RequestKind)))
    if values.channel not in CHANNELS:
        problems.append(Problem("channel", f"there is no channel {values.channel!r}", "one of " + ", ".join(CHANNELS)))
    if values.contact_id is None and digest is None:
        problems.append(Problem("email", "not an e-mail address", "say whose data it is about"))
    if received > today:
        problems.append(Problem("received_on", "a request comes today or came before"))
    if problems:
        raise InputError(problems)


def extend_request(ctx: Context, number: int, note: str, *, by: int | None = None) -> SubjectRequest:
    """Give a request two more months; the note says why, and the person must be told within the first month.

    Raises:
        ConflictError: it is closed or has been extended, or its first month is over.
        InputError: there is no note.
    """
    if not note.strip():
        raise InputError("say why it takes longer", where="note", mend="the person must be told the reason")
    with ctx.write() as session:
        row = _open(session, number)
        if row.extended_at is not None:
            raise ConflictError("this request was extended before", mend="answer it by its day")
        if ctx.clock.today(get_workspace(session).timezone) > row.due_on:
            raise ConflictError("its month is over; only within it more time may be taken", mend="answer it at once")
        row.extended_at, row.extension_note = utc_now(), note.strip()
        row.due_on = due_on(row.received_on, is_extended=True)
        record_audit(session, "privacy.extend_request", by=by, subject=("request", row.id))
    return row


def close_request(
    ctx: Context, number: int, answer: str, *, is_refused: bool = False, by: int | None = None
) -> SubjectRequest:
    """Note that a request was answered, or refused for a reason.

    Raises:
        ConflictError: it is closed.
        InputError: it is refused without a reason.
    """
    if is_refused and not answer.strip():
        raise InputError("say why it is refused", where="answer", mend="the person must be told, with their remedies")
    with ctx.write() as session:
        row = _open(session, number)
        close_row(row, answer.strip(), by=by, is_refused=is_refused)
        record_audit(session, "privacy.close_request", by=by, subject=("request", row.id), detail={"as": row.status})
    return row


def close_row(row: SubjectRequest, answer: str, *, by: int | None, is_refused: bool = False) -> None:
    """Close an open request; the caller audits what answered it."""
    row.status = (RequestStatus.REFUSED if is_refused else RequestStatus.ANSWERED).value
    row.answer, row.closed_at, row.closed_by = answer, utc_now(), by


def close_answered(session: Session, kinds: Sequence[RequestKind], digests: Sequence[bytes], by: int | None) -> int:
    """Close what an export answers: open requests of `kinds` for an address; return how many."""
    rows = session.scalars(
        select(SubjectRequest).where(
            SubjectRequest.status == RequestStatus.OPEN.value,
            SubjectRequest.kind.in_([kind.value for kind in kinds]),
            SubjectRequest.address_hash.in_(digests),
        )
    ).all()
    for row in rows:
        close_row(row, "export", by=by)
    return len(rows)


def _open(session: Session, number: int) -> SubjectRequest:
    row = session.get(SubjectRequest, number, with_for_update=True)
    if row is None:
        raise NotFoundError(f"there is no request {number}", mend="mailer privacy requests list")
    if row.status != RequestStatus.OPEN:
        raise ConflictError(f"request {number} is {row.status} already")
    return row
