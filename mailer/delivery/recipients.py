"""What a template may know about a contact, as plain dictionaries.

Empty values are left out, so that a template must say what to print instead (FEATURES M4: never "Hello ,").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from mailer.rowsets import AnySelect, read_rows
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Company, Contact, ContactTag, Tag

_CONTACT = (
    "external_id", "first_name", "last_name", "title", "phone", "language", "timezone", "country", "city", "category",
)  # fmt: skip
_COMPANY = ("name", "domain", "industry", "category", "country")

Values = Mapping[str, Mapping[str, Any]]


class ValueStatements(NamedTuple):
    """What reads the values of chosen contacts; made once where the choice is a kept select with parameters."""

    values: AnySelect
    tags: AnySelect


def load_values(session: Session, contact_ids: Sequence[int]) -> dict[int, Values]:
    """Return `contact`, `company` and `owner` of each contact, by id; two statements for any number."""
    return read_values(session, build_statements(select(Contact.id).where(Contact.id.in_(contact_ids))), {})


def read_values(session: Session, statements: ValueStatements, parameters: Mapping[str, Any]) -> dict[int, Values]:
    """Do the same for the contacts that statements made before choose."""
    rows = read_rows(session.connection(), statements.values, parameters)
    tags = _tags(read_rows(session.connection(), statements.tags, parameters))
    found: dict[int, Values] = {}
    for contact_id, data, email, owner, owner_email, *rest in rows:
        company = _named(_COMPANY, rest[len(_CONTACT) :])
        contact = {key: value for key, value in data.items() if value or not (value is None or value in ("", []))}
        contact |= _named(_CONTACT, rest)
        contact |= _named(("email", "company", "tags"), (email, company.get("name"), tags.get(contact_id)))
        found[contact_id] = {
            "contact": contact,
            "company": company,
            "owner": _named(("name", "email"), (owner, owner_email)),
        }
    return found


def build_statements(chosen: Select[Any]) -> ValueStatements:
    """Return the statements for the contacts whose ids `chosen` selects."""
    owner_name = func.coalesce(func.nullif(Staff.name, ""), Staff.email)
    columns = [getattr(Contact, name) for name in _CONTACT]
    company = [getattr(Company, name) for name in _COMPANY]
    values = (
        select(Contact.id, Contact.data, Address.email, owner_name, Staff.email, *columns, *company)
        .outerjoin(Address, Address.id == Contact.address_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .outerjoin(Staff, Staff.id == func.coalesce(Contact.owner_id, Company.owner_id))
        .where(Contact.id.in_(chosen))
    )
    tags = (
        select(ContactTag.contact_id, Tag.name)
        .join(Tag, Tag.id == ContactTag.tag_id)
        .where(ContactTag.contact_id.in_(chosen))
        .order_by(ContactTag.contact_id, Tag.name)
    )
    return ValueStatements(values, tags)


def _tags(rows: Iterable[Any]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for contact_id, name in rows:
        found.setdefault(contact_id, []).append(name)
    return found


def _named(names: Sequence[str], texts: Sequence[Any]) -> dict[str, Any]:
    """Return what is there by its name; further texts are somebody else's."""
    return {name: text for name, text in zip(names, texts, strict=False) if text}
