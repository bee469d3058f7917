"""Reads of persons, requests, erasures and nights of retention. Never commits."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from mailer.addresses import AddressError, check_address, hash_address
from mailer.context import Context
from mailer.errors import InputError, NotFoundError
from mailer.privacy.person import Person
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message
from mailer.schema.privacy import Erasure, KeptFigure, RetentionRun, SubjectRequest
from mailer.statuses import ErasureStatus, RequestStatus

# ------------------------------------------------------------------ persons


def find_person(session: Session, ctx: Context, email: str) -> Person:
    """Return whoever has an address, in any table; somebody without contact too. InputError where it is none."""
    try:
        normal = check_address(email).email
    except AddressError as error:
        raise InputError(str(error), where="email", mend="give one e-mail address") from error
    digest = hash_address(normal, ctx.keys.suppression)
    row = session.scalars(select(Address).where(or_(Address.email == normal, Address.email_hash == digest))).first()
    return _gather(session, ctx, [row.id] if row else [], [], extra=[normal])


def find_person_of_contact(session: Session, ctx: Context, contact: Contact) -> Person:
    """Return the person that a contact is: everybody who shares its address is taken for the same."""
    return _gather(session, ctx, [contact.address_id] if contact.address_id else [], [contact.id])


def _gather(
    session: Session, ctx: Context, address_ids: Iterable[int], contact_ids: Iterable[int], *, extra: Sequence[str] = ()
) -> Person:
    addresses = set(address_ids)
    contacts = set(contact_ids)
    if addresses:
        contacts |= set(session.scalars(select(Contact.id).where(Contact.address_id.in_(addresses))))
    addresses |= _earlier_addresses(session, contacts)
    rows = session.execute(select(Address.email, Address.email_hash).where(Address.id.in_(addresses))).all()
    emails = dict.fromkeys([*extra, *(row.email for row in rows if row.email)])
    hashes = [hash_address(email, ctx.keys.suppression) for email in emails]
    hashes += [bytes(row.email_hash) for row in rows]
    return Person(
        contact_ids=tuple(sorted(contacts)),
        address_ids=tuple(sorted(addresses)),
        hashes=tuple(dict.fromkeys(hashes)),
        emails=tuple(emails),
        names=tuple(_own_names(session, contacts)),
    )


def _earlier_addresses(session: Session, contact_ids: set[int]) -> set[int]:
    """Return the addresses that these contacts were mailed at and that nobody else has now."""
    if not contact_ids:
        return set()
    mailed = select(Message.address_id).where(Message.contact_id.in_(contact_ids), Message.address_id.is_not(None))
    foreign = select(Contact.address_id).where(
        Contact.address_id.in_(mailed), Contact.id.not_in(contact_ids), Contact.address_id.is_not(None)
    )
    found = select(Address.id).where(Address.id.in_(mailed.distinct()), Address.id.not_in(foreign))
    return set(session.scalars(found))


def _own_names(session: Session, contact_ids: set[int]) -> list[tuple[str, str]]:
    """Return the full names that these contacts have and no other contact has."""
    names = session.execute(
        select(Contact.first_name, Contact.last_name)
        .where(Contact.id.in_(contact_ids), Contact.first_name != "", Contact.last_name != "")
        .distinct()
    ).all()
    own = []
    for first, last in names:
        other = select(Contact.id).where(
            Contact.last_name == last, Contact.first_name == first, Contact.id.not_in(contact_ids)
        )
        if session.scalar(other.limit(1)) is None:
            own.append((first, last))
    return own


@dataclass(frozen=True)
class ContactName:
    """A contact of a person as a preview names it."""

    public_id: uuid.UUID
    name: str
    email: str | None


def list_names(session: Session, person: Person) -> list[ContactName]:
    """Return the contacts of a person by id."""
    rows = session.execute(
        select(Contact.public_id, Contact.first_name, Contact.last_name, Address.email)
        .outerjoin(Address, Address.id == Contact.address_id)
        .where(Contact.id.in_(person.contact_ids))
        .order_by(Contact.id)
    )
    return [ContactName(public_id, f"{first} {last}".strip(), email) for public_id, first, last, email in rows]


# ------------------------------------------------------------------ requests


def list_requests(
    session: Session, *, status: str = "", contact_id: int | None = None, after: tuple[int, date, int] | None = None,
    limit: int = 50,
) -> Sequence[SubjectRequest]:  # fmt: skip
    """Return requests, open ones first and the most urgent of them on top, in keyset pages (`order_of` the last)."""
    rank = _rank()
    query = select(SubjectRequest).order_by(rank, SubjectRequest.due_on, SubjectRequest.id).limit(limit)
    if status:
        query = query.where(SubjectRequest.status == status)
    if contact_id is not None:
        query = query.where(SubjectRequest.contact_id == contact_id)
    if after is not None:
        at, due, number = after
        same_day = and_(rank == at, SubjectRequest.due_on == due, SubjectRequest.id > number)
        query = query.where(or_(rank > at, and_(rank == at, SubjectRequest.due_on > due), same_day))
    return session.scalars(query).all()


def _rank() -> ColumnElement[int]:
    return case((SubjectRequest.status == RequestStatus.OPEN.value, 0), else_=1)


def order_of(row: SubjectRequest) -> tuple[int, date, int]:
    """Return where a request stands in the list."""
    return (0 if row.status == RequestStatus.OPEN else 1, row.due_on, row.id)


def count_open(session: Session, today: date) -> tuple[int, int]:
    """Return how many requests are open, and how many of them are overdue on `today`."""
    is_open = SubjectRequest.status == RequestStatus.OPEN.value
    row = session.execute(
        select(func.count().filter(is_open), func.count().filter(and_(is_open, SubjectRequest.due_on < today)))
    ).one()
    return row[0], row[1]


def get_request(session: Session, public_id: uuid.UUID) -> SubjectRequest:
    """Return a request by its public id or raise NotFoundError."""
    row = session.scalars(select(SubjectRequest).where(SubjectRequest.public_id == public_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such request")
    return row


def get_request_by_number(session: Session, number: int) -> SubjectRequest:
    """Return a request by its number or raise NotFoundError."""
    row = session.get(SubjectRequest, number)
    if row is None:
        raise NotFoundError(f"there is no request {number}", mend="mailer privacy requests list")
    return row


# ------------------------------------------------------------------ erasures and nights


def find_erasure(session: Session, public_id: uuid.UUID) -> Erasure:
    """Return an erasure by its public id or raise NotFoundError."""
    row = session.scalars(select(Erasure).where(Erasure.public_id == public_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such erasure")
    return row


def list_restored(session: Session, hashes: Sequence[bytes]) -> list[str]:
    """Return the addresses that have one of these hashes and are not erased: a backup brought them back."""
    return list(
        session.scalars(
            select(Address.email).where(Address.email_hash.in_(hashes), Address.email.is_not(None)).order_by(Address.id)
        )
    )


def find_running(session: Session, hashes: Sequence[bytes]) -> Erasure | None:
    """Return the erasure that is under way for one of these addresses."""
    wanted = {value.hex() for value in hashes}
    rows = session.scalars(select(Erasure).where(Erasure.status == ErasureStatus.RUNNING.value).order_by(Erasure.id))
    return next((row for row in rows if wanted & set(row.address_hashes)), None)


def list_erasures(session: Session, *, limit: int = 20) -> Sequence[Erasure]:
    """Return the newest erasures, newest first."""
    return session.scalars(select(Erasure).order_by(Erasure.id.desc()).limit(limit)).all()


def find_last_night(session: Session) -> RetentionRun | None:
    """Return the newest run of retention."""
    return session.scalars(select(RetentionRun).order_by(RetentionRun.day.desc()).limit(1)).one_or_none()


def get_kept_figures(session: Session, sending_id: int) -> dict[tuple[str, str], int]:
    """Return the figures of a sending that are kept without rows, by name and word (docs/reference/retention.md)."""
    rows = session.execute(
        select(KeptFigure.name, KeptFigure.word, KeptFigure.count).where(KeptFigure.sending_id == sending_id)
    )
    return {(name, word): count for name, word, count in rows}
