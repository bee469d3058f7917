"""A person who names themselves: the contact of an address, made or brought up to date by their own confirmed act."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import Address as CheckedAddress
from mailer.clock import utc_now
from mailer.contacts.columns import PLAIN_COLUMNS
from mailer.contacts.service import ensure_address, ensure_company
from mailer.context import Context
from mailer.ids import new_ledger_id
from mailer.schema.contacts import Address, Contact


def take_in_person(
    session: Session,
    ctx: Context,
    checked: CheckedAddress,
    values: Mapping[str, Any],
    *,
    language: str = "",
    contact_id: int | None = None,
) -> Contact:
    """Return the contact of an address with `values` written over what was there; made where nobody has it.

    `values` are plain fields, own fields by key, and `company` by name, which is set only where none is. The address
    row is locked, so nobody is made twice. An archived contact comes back; of several the one with `contact_id` is
    meant where it still has this address and is in use, else the oldest in use.
    An address that was erased is written again: only the person's own act does that.
    """
    address = ensure_address(session, ctx, checked, by_person=True)
    session.execute(select(Address.id).where(Address.id == address.id).with_for_update(key_share=True))
    now = utc_now()
    contact = _find(session, address.id, contact_id)
    if contact is None:
        contact = Contact(
            ledger_id=new_ledger_id(), address_id=address.id, data={}, language=language, created_at=now, updated_at=now
        )
        session.add(contact)
    contact.archived_at, contact.updated_at = None, now
    for key, value in values.items():
        if key in PLAIN_COLUMNS:
            setattr(contact, key, value)
    own = {key: value for key, value in values.items() if key not in (*PLAIN_COLUMNS, "company")}
    contact.data = {**(contact.data or {}), **own}
    if values.get("company") and contact.company_id is None:
        contact.company_id = ensure_company(session, str(values["company"])).id
    session.flush()
    return contact


def _find(session: Session, address_id: int, wanted: int | None) -> Contact | None:
    everybody = session.scalars(
        select(Contact).where(Contact.address_id == address_id).order_by(Contact.id).with_for_update()
    ).all()
    in_use = [contact for contact in everybody if contact.archived_at is None]
    return next((contact for contact in in_use if contact.id == wanted), next(iter(in_use or everybody), None))
