"""Activities in thousands: found, added, changed, inside the caller's transaction. Nothing here decides or commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.contacts.lists import in_list, list_value
from mailer.database import insert_rows, stored_instant


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
      WHERE a.email {in_list(session, "emails")} ORDER BY c.id
    """  # noqa: S608 - no value is in it
    found: dict[str, list[int]] = {}
    for email, number in session.execute(text(query), {"emails": list_value(session, emails)}):
        found.setdefault(email, []).append(number)
    return found


def find_activities(session: Session, contact_ids: Sequence[int], external_ids: Sequence[str]) -> list[KnownActivity]:
    """Return the activities of these contacts without external id, and those with one of `external_ids`."""
    columns = "id, contact_id, kind, at, amount, currency, coalesce(external_id, '')"
    query = f"""
      SELECT {columns} FROM activity WHERE contact_id {in_list(session, "ids")} AND external_id IS NULL
      UNION ALL SELECT {columns} FROM activity WHERE external_id {in_list(session, "external_ids")}
    """  # noqa: S608 - no value is in it
    values = {"ids": list_value(session, contact_ids), "external_ids": list_value(session, external_ids)}
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
