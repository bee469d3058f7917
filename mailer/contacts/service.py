"""Changes of contacts, companies and own fields by hand; files come in through imports/."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import Session

from mailer.addresses import Address as CheckedAddress
from mailer.addresses import AddressError, check_address, hash_address
from mailer.clock import utc_now
from mailer.contacts import queries
from mailer.context import Context
from mailer.errors import ConflictError, InputError, Problem
from mailer.ids import new_ledger_id
from mailer.schema.contacts import Address, Company, Contact, ContactField, ContactTag, Tag
from mailer.statuses import FieldType

PLAIN_FIELDS = (
    "external_id", "first_name", "last_name", "title", "phone", "language", "timezone", "country", "city", "category",
)  # fmt: skip
_KEY = re.compile(r"[a-z][a-z0-9_]{0,49}")
_RESERVED_KEYS = frozenset({*PLAIN_FIELDS, "email", "owner", "tags", "company", "id"})


def create_contact(
    ctx: Context, email: str | None, values: Mapping[str, Any], *, company: str = "", tags: Sequence[str] = ()
) -> Contact:
    """Create a contact by hand; `values` are plain fields and own fields by key. It has no permission yet.

    Raises:
        InputError: the address is none, or a value has no field; lists everything.
        ConflictError: the external id is taken.
    """
    plain, own = _sort_values(values)
    checked = _checked_email(email) if email else None
    with ctx.write() as session:
        _refuse_taken(session, plain.get("external_id"))
        now = utc_now()
        contact = Contact(
            **plain,
            ledger_id=new_ledger_id(),
            address_id=ensure_address(session, ctx, checked).id if checked else None,
            company_id=ensure_company(session, company).id if company else None,
            data=own,
            created_at=now,
            updated_at=now,
        )
        session.add(contact)
        session.flush()
        _set_tags(session, contact.id, tags)
    return contact


def update_contact(
    ctx: Context, contact_id: int, values: Mapping[str, Any], *, tags: Sequence[str] | None = None
) -> Contact:
    """Change the given fields of a contact; others stay. Raises as `create_contact` does."""
    plain, own = _sort_values(values)
    with ctx.write() as session:
        contact = session.get_one(Contact, contact_id, with_for_update=True)
        if plain.get("external_id") != contact.external_id:
            _refuse_taken(session, plain.get("external_id"))
        for key, value in plain.items():
            setattr(contact, key, value)
        contact.data = contact.data | own
        contact.updated_at = utc_now()
        if tags is not None:
            _set_tags(session, contact.id, tags)
    return contact


def mark_do_not_mail(ctx: Context, contact_id: int, *, is_marked: bool) -> None:
    """Set or clear the mark "do not mail" of a contact (FEATURES K4); the address row is locked as for a withdrawal."""
    with ctx.write() as session:
        contact = session.get_one(Contact, contact_id)
        if contact.address_id:
            session.execute(select(Address.id).where(Address.id == contact.address_id).with_for_update(key_share=True))
        contact.do_not_mail, contact.updated_at = is_marked, utc_now()


def create_field(ctx: Context, key: str, label: str, kind: FieldType, choices: Sequence[str] = ()) -> ContactField:
    """Create an own field. InputError for a key that is taken or not like `customer_number`."""
    problems = []
    if not _KEY.fullmatch(key) or key in _RESERVED_KEYS:
        problems.append(Problem("key", f"{key!r} cannot be a key", "use lower-case letters, digits and underscores"))
    if kind is FieldType.CHOICE and not choices:
        problems.append(Problem("choices", "a choice field needs its choices"))
    if problems:
        raise InputError(problems)
    with ctx.write() as session:
        if session.scalar(select(ContactField.id).where(ContactField.key == key)):
            raise ConflictError(f"a field with the key {key!r} exists")
        field = ContactField(key=key, label=label or key, type=kind.value, choices=list(choices), created_at=utc_now())
        session.add(field)
        session.flush()
    return field


def ensure_address(session: Session, ctx: Context, checked: CheckedAddress, *, by_person: bool = False) -> Address:
    """Return the row of an address, made where there is none.

    `by_person`: a fresh sign-up, confirmed from the mailbox; only that brings an erased address back.

    Raises:
        ConflictError: the address was erased at its owner's wish.
    """
    digest = hash_address(checked.email, ctx.keys.suppression)
    found = session.scalars(
        select(Address).where(or_(Address.email == checked.email, Address.email_hash == digest))
    ).first()
    if found is not None:
        if found.email is None:
            _bring_back(found, checked, by_person=by_person)
        return found
    row = Address(
        email=checked.email,
        email_hash=digest,
        domain=checked.domain,
        provider=checked.provider,
        created_at=utc_now(),
    )
    session.add(row)
    session.flush()
    return row


def _bring_back(address: Address, checked: CheckedAddress, *, by_person: bool) -> None:
    if not by_person:
        raise ConflictError(
            "this address was erased at its owner's wish", mend="only the person can come back, by signing up"
        )
    address.email, address.domain, address.provider = checked.email, checked.domain, checked.provider


def ensure_company(session: Session, name: str) -> Company:
    """Return the company called `name`, made where there is none."""
    found = queries.find_company(session, name.strip())
    if found is None:
        found = Company(name=name.strip(), created_at=utc_now())
        session.add(found)
        session.flush()
    return found


def _set_tags(session: Session, contact_id: int, names: Sequence[str]) -> None:
    wanted = {name.strip() for name in names if name.strip()}
    there = {tag.name: tag.id for tag in session.scalars(select(Tag).where(Tag.name.in_(wanted)))}
    for name in sorted(wanted - there.keys()):
        tag = Tag(name=name)
        session.add(tag)
        session.flush()
        there[name] = tag.id
    session.execute(delete(ContactTag).where(ContactTag.contact_id == contact_id))
    if there:
        rows = [{"contact_id": contact_id, "tag_id": tag_id} for tag_id in there.values()]
        session.execute(insert(ContactTag), rows)


def _sort_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    plain = {key: value for key, value in values.items() if key in PLAIN_FIELDS}
    own = {key: value for key, value in values.items() if key not in PLAIN_FIELDS}
    wrong = [key for key in own if not _KEY.fullmatch(key) or key in _RESERVED_KEYS]
    if wrong:
        raise InputError([Problem(key, "no field has this name") for key in wrong])
    if "external_id" in plain:
        plain["external_id"] = plain["external_id"] or None
    return plain, own


def _checked_email(email: str) -> CheckedAddress:
    try:
        return check_address(email)
    except AddressError as error:
        raise InputError(str(error), where="email") from error


def _refuse_taken(session: Session, external_id: str | None) -> None:
    if external_id and session.scalar(select(Contact.id).where(Contact.external_id == external_id)):
        raise ConflictError(f"a contact with the external id {external_id!r} exists")
