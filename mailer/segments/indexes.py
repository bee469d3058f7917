"""Indexes that rules want: of a field of the contact or an own field, made and dropped by a click or a command.

The indexed expression is the one that the compiler writes, and leaves archived contacts out as every segment does. On
PostgreSQL an index is made without stopping writers; on SQLite they wait, about a second for a million contacts.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Index, text
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex, DropIndex
from sqlalchemy.sql.elements import Grouping

from mailer.context import Context
from mailer.database import Database
from mailer.errors import InputError
from mailer.schema.contacts import Contact
from mailer.segments.compile.conditions import own_number, own_text
from mailer.segments.compile.texts import PLAIN_TEXTS, fold_column
from mailer.segments.fields import Kind, kind_of, own_key_of
from mailer.segments.queries import own_field_types
from mailer.statuses import FieldType

_PREFIX = "ix_contact_rule_"
_OWN_KINDS = (Kind.TEXT, Kind.CHOICE, Kind.NUMBER, Kind.DATE)


def can_index(field: str, own_fields: Mapping[str, FieldType]) -> bool:
    """Return whether an index would help rules about a field; those of other tables have theirs."""
    if own_key_of(field) is None:
        return field in PLAIN_TEXTS
    return kind_of(field, own_fields) in _OWN_KINDS


def list_indexed(session: Session) -> set[str]:
    """Return the fields that have an index of their own, own fields by key."""
    if session.get_bind().dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE :like"
    else:
        query = """
          SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
          WHERE i.indrelid = 'contact'::regclass AND i.indisvalid AND c.relname LIKE :like
        """
    names = session.scalars(text(query), {"like": _PREFIX + "%"})
    return {name.removeprefix(_PREFIX).removeprefix("own_") for name in names}


def create_index(ctx: Context, field: str) -> None:
    """Make the index of a field, and let the planner know of it. Safe to repeat.

    Raises:
        InputError: there is no such field, or no index helps rules about it.
    """
    index = _index_of(ctx, field)
    _change(ctx.database, index, is_there=True)


def drop_index(ctx: Context, field: str) -> None:
    """Drop the index of a field. Safe to repeat; InputError as in `create_index`."""
    index = _index_of(ctx, field)
    _change(ctx.database, index, is_there=False)


def _index_of(ctx: Context, field: str) -> Index:
    with ctx.read() as session:
        own_fields = own_field_types(session)
    if not can_index(field, own_fields):
        known = sorted([*PLAIN_TEXTS, *(key for key in own_fields if can_index(key, own_fields))])
        raise InputError(f"no index helps rules about {field!r}", where="field", mend=f"fields: {', '.join(known)}")
    is_live = Contact.archived_at.is_(None)
    key = own_key_of(field)
    name = _PREFIX + (field if key is None else f"own_{key}")
    expression = _expression(field, key, kind_of(field, own_fields), is_sqlite=ctx.database.is_sqlite)
    index = Index(
        name,
        Grouping(expression),
        sqlite_where=is_live,
        postgresql_where=is_live,
        postgresql_include=[field] if key is None else None,  # so that the rows themselves need not be read
    )
    Contact.__table__.indexes.discard(index)  # type: ignore[attr-defined]  # it is this database's, not the schema's
    return index


def _expression(field: str, key: str | None, kind: Kind | None, *, is_sqlite: bool) -> Any:
    if key is None:
        return fold_column(getattr(Contact, field), is_sqlite=is_sqlite)
    if kind is Kind.NUMBER:
        return own_number(key, is_sqlite=is_sqlite)
    return own_text(key) if kind is Kind.DATE else fold_column(own_text(key), is_sqlite=is_sqlite)


def _change(database: Database, index: Index, *, is_there: bool) -> None:
    if database.is_sqlite:
        with database.write() as session:
            _apply(session.connection(), index, is_there=is_there)
        return
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        _apply(connection, index, is_there=is_there)


def _apply(connection: Connection, index: Index, *, is_there: bool) -> None:
    if connection.dialect.name != "sqlite":
        index.dialect_options["postgresql"]["concurrently"] = True
        if is_there and _is_broken(connection, index):
            connection.execute(DropIndex(index))
    if not is_there:
        connection.execute(DropIndex(index, if_exists=True))
        return
    connection.execute(CreateIndex(index, if_not_exists=True))
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA analysis_limit=400"))
    connection.execute(text("ANALYZE contact"))


def _is_broken(connection: Connection, index: Index) -> bool:
    """Return whether an attempt that died left an index that nobody uses."""
    query = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")
    return connection.scalar(query, {"name": index.name}) is not None
