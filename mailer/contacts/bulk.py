"""Contacts in thousands: look up, add and change set-based, inside the caller's transaction. Imports are built on it.

Nothing here decides anything and nothing commits. Rows are plain tuples; ids of new rows are handed out beforehand.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from mailer.contacts.columns import PLAIN_COLUMNS, STAGE_COLUMNS
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


def _listed(session: Session, name: str) -> str:
    """Return SQL for the values of a bound list: one parameter, however many values."""
    if session.get_bind().dialect.name == "sqlite":
        return f"IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 - the name is ours
    return f"= ANY(:{name})"


def _list_value(session: Session, values: Iterable[Any]) -> Any:
    listed = list(values)
    return json.dumps(listed) if session.get_bind().dialect.name == "sqlite" else listed


_CONTACT = f"""
  c.id, c.ledger_id, coalesce(c.address_id, 0), coalesce(a.email, ''), coalesce(c.external_id, ''),
  coalesce(c.owner_id, 0), coalesce(co.name, ''), c.data, {_PLAIN_LIST}
"""


def find_by_emails(session: Session, emails: Sequence[str]) -> dict[str, KnownAddress]:
    """Return the addresses among `emails` that are there, with their contacts by id."""
    query = f"""
      SELECT a.email, a.id, {_CONTACT}
      FROM address a LEFT JOIN contact c ON c.address_id = a.id LEFT JOIN company co ON co.id = c.company_id
      WHERE a.email {_listed(session, "emails")} ORDER BY c.id
    """  # noqa: S608 - no value is in it
    found: dict[str, KnownAddress] = {}
    for row in session.execute(text(query), {"emails": _list_value(session, emails)}):
        address = found.setdefault(row[0], KnownAddress(row[1], []))
        if row[2] is not None:
            address.contacts.append(_known(row[2:]))
    return found


def find_by_external_ids(session: Session, external_ids: Sequence[str]) -> dict[str, Known]:
    """Return the contacts among `external_ids` that are there."""
    query = f"""
      SELECT {_CONTACT}
      FROM contact c LEFT JOIN address a ON a.id = c.address_id LEFT JOIN company co ON co.id = c.company_id
      WHERE c.external_id {_listed(session, "ids")}
    """  # noqa: S608 - no value is in it
    rows = session.execute(text(query), {"ids": _list_value(session, external_ids)})
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
    query = f"SELECT name, min(id) FROM company WHERE name {_listed(session, 'names')} GROUP BY name"  # noqa: S608
    there: dict[str, int] = {
        name: number for name, number in session.execute(text(query), {"names": _list_value(session, wanted)})
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


def ensure_tags(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Return the id of each tag by name, made where there is none."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    query = f"SELECT name, id FROM tag WHERE name {_listed(session, 'names')}"  # noqa: S608 - no value is in it
    there: dict[str, int] = {
        name: number for name, number in session.execute(text(query), {"names": _list_value(session, wanted)})
    }
    missing = [name for name in wanted if name not in there]
    ids = allocate_ids(session, "tag", len(missing))
    insert_rows(session, "tag", ("id", "name"), list(zip(ids, missing, strict=True)))
    return there | dict(zip(missing, ids, strict=True))


def find_tags(session: Session, contact_ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the tags of contacts by contact id."""
    query = f"""
      SELECT ct.contact_id, t.name FROM contact_tag ct JOIN tag t ON t.id = ct.tag_id
      WHERE ct.contact_id {_listed(session, "ids")}
    """  # noqa: S608 - no value is in it
    found: dict[int, set[str]] = {}
    for contact_id, name in session.execute(text(query), {"ids": _list_value(session, contact_ids)}):
        found.setdefault(contact_id, set()).add(name)
    return found


def add_tags(session: Session, pairs: Sequence[tuple[int, int]]) -> None:
    """Give contacts tags they do not have yet, as (contact id, tag id)."""
    insert_rows(session, "contact_tag", ("contact_id", "tag_id"), pairs)


# ------------------------------------------------------------------ from a staging table

_COMPANIES_KEPT = 50_000
_STAGE_TYPES = {"n": "integer", "ledger_id": "bigint", "public_id": "uuid", "email_hash": "bytea"}
_STAGE_TYPES |= {"owner_id": "bigint", "data": "jsonb"}


def load_stage(session: Session, rows: bytes, tags: bytes) -> None:
    """Fill `stage_row` and `stage_tag` for this transaction with the text of two copies; PostgreSQL only."""
    listed = ", ".join(f"{name} {_STAGE_TYPES.get(name, 'text')}" for name in STAGE_COLUMNS)
    session.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS stage_row ({listed}) ON COMMIT DELETE ROWS"))
    session.execute(text("CREATE TEMP TABLE IF NOT EXISTS stage_tag (n integer, name text) ON COMMIT DELETE ROWS"))
    driver: Any = session.connection().connection.driver_connection
    for table, lines in (("stage_row", rows), ("stage_tag", tags)):
        if lines:
            with driver.cursor() as cursor, cursor.copy(f"COPY pg_temp.{table} FROM STDIN") as copy:
                copy.write(lines)


def mark_fresh(session: Session) -> int:
    """Note in `fresh` the staged rows whose address nobody has, with ids for all that is added; return how many.

    An address that is erased or suppressed is not fresh. The subqueries yield one value each, so that PostgreSQL goes
    through the index once a row and never reads the whole table for a chunk.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    kept = "" if is_sqlite else "ON COMMIT DELETE ROWS"
    columns = "n INTEGER PRIMARY KEY, ledger_id BIGINT, address_id BIGINT, contact_id BIGINT"
    session.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS fresh ({columns}) {kept}"))
    if is_sqlite:
        session.execute(text("DELETE FROM fresh"))
    conditions = ["(SELECT a.id FROM address a WHERE a.email = r.email) IS NULL"]
    if session.scalar(text("SELECT 1 FROM address WHERE email IS NULL LIMIT 1")):
        conditions.append("(SELECT a.id FROM address a WHERE a.email_hash = r.email_hash) IS NULL")
    if session.scalar(text("SELECT 1 FROM suppression WHERE lifted_at IS NULL LIMIT 1")):
        active = "SELECT min(s.id) FROM suppression s WHERE s.address_hash = r.email_hash AND s.lifted_at IS NULL"
        conditions.append(f"({active}) IS NULL")
    ids = [_last_id("address"), _last_id("contact")] if is_sqlite else [_next_id("address"), _next_id("contact")]
    chosen = f"SELECT n, ledger_id, {', '.join(ids)} FROM stage_row r WHERE {' AND '.join(conditions)}"  # noqa: S608
    session.execute(text(f"INSERT INTO fresh (n, ledger_id, address_id, contact_id) {chosen} ORDER BY n"))
    return session.scalar(text("SELECT count(*) FROM fresh")) or 0


def _last_id(table: str) -> str:
    return f"n + (SELECT coalesce(max(id), 0) FROM {table})"  # noqa: S608 - the name is ours


def _next_id(table: str) -> str:
    return f"nextval((SELECT pg_get_serial_sequence('{table}', 'id')::regclass))"  # the name is looked up once


def prefer_indexes(session: Session) -> None:
    """Have PostgreSQL look up keys by index for the rest of this transaction.

    Its statistics lag behind while a file comes in: it takes the tables for small and reads them whole for each chunk.
    """
    if session.get_bind().dialect.name != "sqlite":
        for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            session.execute(text(f"SET LOCAL {name} = off"))


def list_not_fresh(session: Session) -> list[int]:
    """Return the places of the staged rows that are not fresh, in file order."""
    query = "SELECT n FROM stage_row WHERE n NOT IN (SELECT n FROM fresh) ORDER BY n"
    return list(session.scalars(text(query)))


def add_fresh(session: Session, companies: dict[str, int], at: datetime, *, import_id: int | None) -> None:
    """Add the fresh rows with address, company and tags.

    `companies` are ids by name, remembered between chunks; missing ones are added to it.
    """
    values = {"at": stored_instant(session, at), "import_id": import_id, "yes": True, "no": False}
    _name_companies(session, companies, at)
    session.execute(
        text("""
          INSERT INTO address (id, email, email_hash, domain, provider, is_valid, bounce_state, created_at)
          SELECT address_id, email, email_hash, domain, provider, :yes, 'ok', :at FROM fresh JOIN stage_row USING (n)
        """),
        values,
    )
    plain = ", ".join(PLAIN_COLUMNS)
    statement = f"""
      INSERT INTO contact (id, ledger_id, public_id, address_id, {plain}, owner_id, company_id, data, do_not_mail,
        import_id, created_at, updated_at)
      SELECT contact_id, r.ledger_id, public_id, address_id, {plain}, owner_id, co.id, data, :no, :import_id, :at, :at
      FROM fresh JOIN stage_row r USING (n) LEFT JOIN company_of co ON co.name = company
    """  # noqa: S608 - no value is in it
    session.execute(text(statement), values)
    names = session.scalars(text("SELECT DISTINCT name FROM stage_tag JOIN fresh USING (n)")).all()
    if names:
        ensure_tags(session, names)
        tagged = """
          INSERT INTO contact_tag (contact_id, tag_id)
          SELECT contact_id, t.id FROM stage_tag s JOIN fresh USING (n) JOIN tag t ON t.name = s.name
        """
        session.execute(text(tagged))


def _name_companies(session: Session, companies: dict[str, int], at: datetime) -> None:
    session.execute(text("CREATE TEMP TABLE IF NOT EXISTS company_of (name TEXT PRIMARY KEY, id BIGINT)"))
    if len(companies) > _COMPANIES_KEPT:
        companies.clear()
        session.execute(text("DELETE FROM company_of"))
    query = """
      SELECT DISTINCT company FROM fresh JOIN stage_row USING (n)
      WHERE company <> '' AND company NOT IN (SELECT name FROM company_of)
    """
    missing = list(session.scalars(text(query)))
    if missing:
        companies.update(ensure_companies(session, [name for name in missing if name not in companies], at))
        insert_rows(session, "company_of", ("name", "id"), [(name, companies[name]) for name in missing])


# ------------------------------------------------------------------ activities


class NewActivity(NamedTuple):
    """An activity to add; `at` is an aware time, `data` JSON text."""

    contact_id: int
    kind: str
    at: datetime
    amount: int | None
    currency: str
    external_id: str
    note: str
    data: str


class KnownActivity(NamedTuple):
    """An activity that is there."""

    id: int
    contact_id: int
    kind: str
    at: datetime
    amount: int | None
    currency: str
    external_id: str


def find_contact_ids(session: Session, emails: Sequence[str]) -> dict[str, list[int]]:
    """Return the contacts of each address by address, by id."""
    query = f"""
      SELECT a.email, c.id FROM address a JOIN contact c ON c.address_id = a.id
      WHERE a.email {_listed(session, "emails")} ORDER BY c.id
    """  # noqa: S608 - no value is in it
    found: dict[str, list[int]] = {}
    for email, number in session.execute(text(query), {"emails": _list_value(session, emails)}):
        found.setdefault(email, []).append(number)
    return found


def find_activities(session: Session, contact_ids: Sequence[int], external_ids: Sequence[str]) -> list[KnownActivity]:
    """Return the activities of these contacts without external id, and those with one of `external_ids`."""
    columns = "id, contact_id, kind, at, amount, currency, coalesce(external_id, '')"
    query = f"""
      SELECT {columns} FROM activity WHERE contact_id {_listed(session, "ids")} AND external_id IS NULL
      UNION ALL SELECT {columns} FROM activity WHERE external_id {_listed(session, "external_ids")}
    """  # noqa: S608 - no value is in it
    values = {"ids": _list_value(session, contact_ids), "external_ids": _list_value(session, external_ids)}
    return [
        KnownActivity(number, contact_id, kind, _instant(at), amount, currency, external_id)
        for number, contact_id, kind, at, amount, currency, external_id in session.execute(text(query), values)
    ]


def _instant(value: Any) -> datetime:
    return datetime.fromisoformat(f"{value}+00:00") if isinstance(value, str) else value


def add_activities(session: Session, rows: Sequence[NewActivity], at: datetime, *, import_id: int | None) -> None:
    """Add activities."""
    columns = (
        "contact_id", "kind", "at", "amount", "currency", "external_id", "note", "data", "import_id", "created_at",
    )  # fmt: skip
    stamp = stored_instant(session, at)
    values = [
        (row.contact_id, row.kind, stored_instant(session, row.at), row.amount, row.currency, row.external_id or None,
         row.note, row.data, import_id, stamp)
        for row in rows
    ]  # fmt: skip
    insert_rows(session, "activity", columns, values)


def change_activities(session: Session, rows: Sequence[tuple[int, NewActivity]]) -> None:
    """Write all values of activities, as (id, values)."""
    if not rows:
        return
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    data = ":data" if is_sqlite else "CAST(:data AS jsonb)"
    statement = f"""
      UPDATE activity SET contact_id = :contact_id, at = :at, amount = :amount, currency = :currency, note = :note,
        data = {data} WHERE id = :id
    """  # noqa: S608 - no value is in it
    session.execute(
        text(statement),
        [
            {"id": number, "contact_id": row.contact_id, "at": stored_instant(session, row.at), "amount": row.amount,
             "currency": row.currency, "note": row.note, "data": row.data}
            for number, row in rows
        ],
    )  # fmt: skip
