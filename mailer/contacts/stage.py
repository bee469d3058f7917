"""New contacts straight from a staging table, by SQL alone: PostgreSQL only. Nothing here decides, nothing commits."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.contacts.bulk import ensure_companies
from mailer.contacts.columns import PLAIN_COLUMNS, STAGE_COLUMNS
from mailer.contacts.tagging import ensure_tags
from mailer.database import insert_rows, stored_instant

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
