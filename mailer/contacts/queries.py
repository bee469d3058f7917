"""Reads of contacts, companies, own fields and activities. Never commits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.contacts.search import match_people
from mailer.errors import NotFoundError
from mailer.schema.contacts import Address, Company, Contact, ContactField, ContactTag, Tag


@dataclass(frozen=True)
class ContactLine:
    """A contact as lists show it."""

    id: int
    public_id: uuid.UUID
    email: str | None
    first_name: str
    last_name: str
    company: str
    country: str
    category: str
    created_at: datetime


def list_contacts(
    session: Session, *, search: str = "", before_id: int | None = None, limit: int = 50
) -> list[ContactLine]:
    """Return contacts, newest first, in keyset pages; `search` as in search.py."""
    query = (
        select(Contact, Address.email, Company.name)
        .outerjoin(Address, Address.id == Contact.address_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .where(Contact.archived_at.is_(None), *match_people(session, search))
        .order_by(Contact.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(Contact.id < before_id)
    return [
        ContactLine(
            contact.id,
            contact.public_id,
            email,
            contact.first_name,
            contact.last_name,
            company or "",
            contact.country,
            contact.category,
            contact.created_at,
        )
        for contact, email, company in session.execute(query)
    ]


def count_contacts(session: Session) -> int:
    """Return the number of contacts in use."""
    return session.scalar(select(func.count()).select_from(Contact).where(Contact.archived_at.is_(None))) or 0


def get_contact(session: Session, public_id: uuid.UUID) -> Contact:
    """Return a contact by its public id or raise NotFoundError."""
    contact = session.scalars(select(Contact).where(Contact.public_id == public_id)).one_or_none()
    if contact is None:
        raise NotFoundError("no such contact")
    return contact


def list_by_email(session: Session, email: str) -> Sequence[Contact]:
    """Return every contact with this address in its normal form, by id."""
    return session.scalars(
        select(Contact)
        .join(Address, Address.id == Contact.address_id)
        .where(Address.email == email.strip().lower())
        .order_by(Contact.id)
    ).all()


def find_address(session: Session, contact: Contact) -> Address | None:
    """Return the address of a contact."""
    return session.get(Address, contact.address_id) if contact.address_id else None


def list_tags(session: Session, contact_id: int) -> list[str]:
    """Return the tags of a contact, by name."""
    query = (
        select(Tag.name)
        .join(ContactTag, ContactTag.tag_id == Tag.id)
        .where(ContactTag.contact_id == contact_id)
        .order_by(Tag.name)
    )
    return list(session.scalars(query))


def list_fields(session: Session) -> Sequence[ContactField]:
    """Return the own fields in use, by label."""
    return session.scalars(
        select(ContactField).where(ContactField.archived_at.is_(None)).order_by(ContactField.label)
    ).all()


def find_company(session: Session, name: str) -> Company | None:
    """Return the company called `name`; the oldest where several are."""
    return session.scalars(select(Company).where(Company.name == name).order_by(Company.id).limit(1)).one_or_none()
