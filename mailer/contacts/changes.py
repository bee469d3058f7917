"""One change to many contacts, set-based, inside the caller's transaction: tags, a field, archiving; and its undoing.

Each function takes contact ids and returns those that it changed; the others were so already. Bulk tasks build on it.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailer.contacts.columns import PLAIN_COLUMNS
from mailer.database import stored_instant

SETTABLE = PLAIN_COLUMNS
"""Plain fields that many contacts may share a value of."""


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _ids(session: Session, column: str) -> str:
    if _is_sqlite(session):
        return f"{column} IN (SELECT value FROM json_each(:ids))"  # noqa: S608 - the column is ours
    return f"{column} = ANY(CAST(:ids AS bigint[]))"


def _ids_value(session: Session, ids: Sequence[int]) -> Any:
    return json.dumps(list(ids)) if _is_sqlite(session) else list(ids)


def tag_contacts(session: Session, ids: Sequence[int], tag_id: int) -> list[int]:
    """Give contacts a tag; return those who did not have it."""
    statement = f"""
      INSERT INTO contact_tag (contact_id, tag_id) SELECT id, :tag_id FROM contact WHERE {_ids(session, "id")}
      ON CONFLICT DO NOTHING RETURNING contact_id
    """  # noqa: S608 - no value is in it
    return list(session.scalars(text(statement), {"ids": _ids_value(session, ids), "tag_id": tag_id}))


def untag_contacts(session: Session, ids: Sequence[int], tag_id: int) -> list[int]:
    """Take a tag away; return those who had it."""
    listed = _ids(session, "contact_id")
    statement = f"DELETE FROM contact_tag WHERE tag_id = :tag_id AND {listed} RETURNING contact_id"  # noqa: S608
    return list(session.scalars(text(statement), {"ids": _ids_value(session, ids), "tag_id": tag_id}))


def archive_contacts(session: Session, ids: Sequence[int], at: datetime) -> list[int]:
    """Archive contacts; return those who were not archived."""
    statement = f"""
      UPDATE contact SET archived_at = :at, updated_at = :at WHERE {_ids(session, "id")} AND archived_at IS NULL
      RETURNING id
    """  # noqa: S608 - no value is in it
    return _changed(session, statement, ids, {"at": stored_instant(session, at)})


def unarchive_contacts(session: Session, ids: Sequence[int], at: datetime) -> list[int]:
    """Bring contacts back; return those who were archived."""
    statement = f"""
      UPDATE contact SET archived_at = NULL, updated_at = :at
      WHERE {_ids(session, "id")} AND archived_at IS NOT NULL RETURNING id
    """  # noqa: S608 - no value is in it
    return _changed(session, statement, ids, {"at": stored_instant(session, at)})


def read_field(session: Session, ids: Sequence[int], field: str) -> dict[int, str | None]:
    """Return what contacts have in a field: a plain one's text, an owner's id, an own one's JSON; None for nothing."""
    statement = f"SELECT id, {_stored(session, field)} FROM contact WHERE {_ids(session, 'id')}"  # noqa: S608
    values = {"ids": _ids_value(session, ids), **_key(session, field)}
    return {number: _none_for_empty(value) for number, value in session.execute(text(statement), values)}


def list_equal(session: Session, ids: Sequence[int], field: str, value: Any) -> set[int]:
    """Return the contacts that have just this value in a field; None is nothing."""
    statement = f"SELECT id FROM contact WHERE {_ids(session, 'id')} AND {_is_equal(session, field)}"  # noqa: S608
    values = {"ids": _ids_value(session, ids), "value": _bound(field, value), **_key(session, field)}
    return set(session.scalars(text(statement), values))


def set_field(session: Session, ids: Sequence[int], field: str, value: Any, at: datetime) -> list[int]:
    """Set a field of contacts, None clears it; return those who had another value.

    `field`: one of SETTABLE, `owner` (value: a staff id), or the key of an own field (value: as JSON has it).
    """
    statement = f"""
      UPDATE contact SET {_assignment(session, field, is_cleared=value is None)}, updated_at = :at
      WHERE {_ids(session, "id")} AND NOT {_is_equal(session, field)} RETURNING id
    """  # noqa: S608 - no value is in it
    values = {"value": _bound(field, value), "at": stored_instant(session, at), **_key(session, field)}
    return _changed(session, statement, ids, values)


def restore_field(session: Session, before: Sequence[tuple[int, str | None]], field: str, at: datetime) -> None:
    """Write back what `read_field` had returned, as (contact id, value)."""
    stamp = stored_instant(session, at)
    for is_cleared in (True, False):
        assigned = _assignment(session, field, is_cleared=is_cleared)
        statement = f"UPDATE contact SET {assigned}, updated_at = :at WHERE id = :id"  # noqa: S608 - no value is in it
        rows = [
            {"id": number, "at": stamp, **_key(session, field)}
            | ({} if value is None else {"value": int(value) if field == "owner" else value})
            for number, value in before
            if (value is None) == is_cleared
        ]
        if rows:
            session.execute(text(statement), rows)


def _changed(session: Session, statement: str, ids: Sequence[int], values: dict[str, Any]) -> list[int]:
    return list(session.scalars(text(statement), {"ids": _ids_value(session, ids), **values}))


def _is_own(field: str) -> bool:
    return field != "owner" and field not in SETTABLE


def _key(session: Session, field: str) -> dict[str, str]:
    if not _is_own(field):
        return {}
    return {"key": f'$."{field}"' if _is_sqlite(session) else field}


def _column(field: str) -> str:
    return "owner_id" if field == "owner" else field  # one of SETTABLE: `_is_own` has said so


def _stored(session: Session, field: str) -> str:
    if not _is_own(field):
        return f"CAST({_column(field)} AS text)"
    return "data -> :key" if _is_sqlite(session) else "CAST(data -> CAST(:key AS text) AS text)"


def _bound(field: str, value: Any) -> Any:
    if _is_own(field):
        return None if value is None else json.dumps(value, separators=(",", ":"))
    return ("" if value is None else value) if field != "owner" else value


def _is_equal(session: Session, field: str) -> str:
    """Return SQL that is true or false, never NULL."""
    if not _is_own(field):
        same = "IS" if _is_sqlite(session) else "IS NOT DISTINCT FROM"
        kind = "bigint" if field == "owner" else "text"
        return f"({_column(field)} {same} CAST(:value AS {kind}))"
    if _is_sqlite(session):
        alike = "json_type(data, :key) IS json_type(:value)"
        return f"({alike} AND json_extract(data, :key) IS json_extract(:value, '$'))"
    return "((data -> CAST(:key AS text)) IS NOT DISTINCT FROM CAST(:value AS jsonb))"


def _assignment(session: Session, field: str, *, is_cleared: bool) -> str:
    if not _is_own(field):
        empty = "NULL" if field == "owner" else "''"
        return f"{_column(field)} = {empty if is_cleared else ':value'}"
    if _is_sqlite(session):
        return "data = " + ("json_remove(data, :key)" if is_cleared else "json_set(data, :key, json(:value))")
    if is_cleared:
        return "data = data - CAST(:key AS text)"
    return "data = data || jsonb_build_object(CAST(:key AS text), CAST(:value AS jsonb))"


def _none_for_empty(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
