"""Contacts in thousands: look up, add and change set-based, inside the caller's transaction. Imports are built on it.

Nothing here decides anything and nothing commits. Rows are plain tuples; ids of new rows are handed out beforehand.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from mailer.contacts.columns import PLAIN_COLUMNS
from mailer.contacts.lists import in_list, list_value
from mailer.database import allocate_ids, insert_rows, stored_instant
from mailer.ids import new_ledger_ids, new_public_id, new_public_ids

_PLAIN_LIST = ", ".join(f"c.{name}" for name in PLAIN_COLUMNS)


class Known(NamedTuple):
    """A contact that is there; 0 and "" stand for none, `data` is what own fields hold."""

    id: int
    ledger_id: int
    address_id: int
    email: str
    external_id: str
    plain: tuple[str, ...]
    owner_id: int
    company: str
    data: Mapping[str, Any]


class KnownAddress(NamedTuple):
    """An address that is there and the contacts that have it."""

    id: int
    contacts: list[Known]


NEW_COLUMNS = ("external_id", "address_id", *PLAIN_COLUMNS, "owner_id", "company_id", "data")
"""Columns of a contact to add, in this order; None stands for none, `data` is JSON text."""


class ChangedContact(NamedTuple):
    """A contact with all its values after a change."""

    id: int
    address_id: int
    external_id: str
    plain: tuple[str, ...]
    owner_id: int
    company_id: int | None
    data: str


_CONTACT = f"""
  c.id, c.ledger_id, coalesce(c.address_id, 0), coalesce(a.email, ''), coalesce(c.external_id, ''),
  coalesce(c.owner_id, 0), coalesce(co.name, ''), c.data, {_PLAIN_LIST}
"""


def find_by_emails(session: Session, emails: Sequence[str]) -> dict[str, KnownAddress]:
    """Return the addresses among `emails` that are there, with their contacts by id."""
    query = f"""
      SELECT a.email, a.id, {_CONTACT}
      FROM address a LEFT JOIN contact c ON c.address_id = a.id LEFT JOIN company co ON co.id = c.company_id
      WHERE a.email {in_list(session, "emails")} ORDER BY c.id
    """  # noqa: S608 - no value is in it
    found: dict[str, KnownAddress] = {}
    for row in session.execute(text(query), {"emails": list_value(session, emails)}):
        address = found.setdefault(row[0], KnownAddress(row[1], []))
        if row[2] is not None:
            address.contacts.append(_known(row[2:]))
    return found


def find_by_external_ids(session: Session, external_ids: Sequence[str]) -> dict[str, Known]:
    """Return the contacts among `external_ids` that are there."""
    query = f"""
      SELECT {_CONTACT}
      FROM contact c LEFT JOIN address a ON a.id = c.address_id LEFT JOIN company co ON co.id = c.company_id
      WHERE c.external_id {in_list(session, "ids")}
    """  # noqa: S608 - no value is in it
    rows = session.execute(text(query), {"ids": list_value(session, external_ids)})
    return {known.external_id: known for known in map(_known, rows)}


def _known(row: Any) -> Known:
    identity, ledger_id, address_id, email, external_id, owner_id, company, data, *plain = row
    values = json.loads(data) if isinstance(data, str) else data or {}
    return Known(identity, ledger_id, address_id, email, external_id, tuple(plain), owner_id, company, values)


def find_erased(session: Session, hashes: Sequence[bytes]) -> set[bytes]:
    """Return the hashes of addresses that were erased at their owner's wish."""
    if not hashes or session.scalar(text("SELECT 1 FROM address WHERE email IS NULL LIMIT 1")) is None:
        return set()
    query = text("SELECT email_hash FROM address WHERE email IS NULL AND email_hash IN :hashes")
    rows = session.scalars(query.bindparams(bindparam("hashes", expanding=True)), {"hashes": list(hashes)})
    return {bytes(value) for value in rows}


def add_addresses(session: Session, rows: Sequence[tuple[str, bytes, str, str]], at: datetime) -> Sequence[int]:
    """Add addresses as (email, hash, domain, provider) and return their ids in order."""
    ids = allocate_ids(session, "address", len(rows))
    values = [(number, *row) for number, row in zip(ids, rows, strict=True)]
    constants = {"is_valid": True, "bounce_state": "ok", "created_at": stored_instant(session, at)}
    insert_rows(session, "address", ("id", "email", "email_hash", "domain", "provider"), values, constants)
    return ids


def add_contacts(
    session: Session, rows: Sequence[tuple[Any, ...]], at: datetime, *, import_id: int | None = None
) -> list[tuple[int, int]]:
    """Add contacts, tuples in the order of NEW_COLUMNS, and return (id, ledger id) of each in order."""
    ids = list(zip(allocate_ids(session, "contact", len(rows)), new_ledger_ids(len(rows)), strict=True))
    stamp = stored_instant(session, at)
    publics = new_public_ids(len(rows))
    values = [(*identity, public, *row) for identity, public, row in zip(ids, publics, rows, strict=True)]
    constants = {"do_not_mail": False, "import_id": import_id, "created_at": stamp, "updated_at": stamp}
    insert_rows(session, "contact", ("id", "ledger_id", "public_id", *NEW_COLUMNS), values, constants)
    return ids


def change_contacts(session: Session, rows: Sequence[ChangedContact], at: datetime) -> None:
    """Write all values of contacts; a `company_id` of None leaves the company as it is."""
    if not rows:
        return
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    data = ":data" if is_sqlite else "CAST(:data AS jsonb)"
    assigned = ", ".join(f"{name} = :{name}" for name in PLAIN_COLUMNS)
    statement = f"""
      UPDATE contact SET {assigned}, address_id = :address_id, external_id = :external_id, owner_id = :owner_id,
        company_id = coalesce(:company_id, company_id), data = {data}, updated_at = :at WHERE id = :id
    """  # noqa: S608 - no value is in it
    stamp = stored_instant(session, at)
    session.execute(
        text(statement),
        [
            dict(zip(PLAIN_COLUMNS, row.plain, strict=True))
            | {"address_id": row.address_id or None, "external_id": row.external_id or None, "at": stamp, "id": row.id}
            | {"owner_id": row.owner_id or None, "company_id": row.company_id, "data": row.data}
            for row in rows
        ],
    )


def ensure_companies(session: Session, names: Iterable[str], at: datetime) -> dict[str, int]:
    """Return the id of each company by name, made where there is none; the oldest where several are."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    query = f"SELECT name, min(id) FROM company WHERE name {in_list(session, 'names')} GROUP BY name"  # noqa: S608
    there: dict[str, int] = {
        name: number for name, number in session.execute(text(query), {"names": list_value(session, wanted)})
    }
    missing = [name for name in wanted if name not in there]
    ids = allocate_ids(session, "company", len(missing))
    stamp = stored_instant(session, at)
    columns = ("id", "public_id", "name", "domain", "industry", "category", "country", "do_not_mail", "created_at")
    rows = [
        (number, new_public_id().hex, name, "", "", "", "", False, stamp)
        for number, name in zip(ids, missing, strict=True)
    ]
    insert_rows(session, "company", columns, rows)
    return there | dict(zip(missing, ids, strict=True))
