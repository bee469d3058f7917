"""Many rows at once: a bound list that a statement reads like a table, and the rows of a statement as one value.

SQLite reads JSON (`json_each`), PostgreSQL arrays (`unnest`). A statement over a rowset is built once and kept.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    JSON,
    Connection,
    CursorResult,
    Dialect,
    Executable,
    FromClause,
    Select,
    bindparam,
    func,
    select,
    type_coerce,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import column
from sqlalchemy.sql.compiler import SQLCompiler

Types = Mapping[str, Any]
"""Names of the columns and their SQLAlchemy types."""
AnySelect = Select[*tuple[Any, ...]]


def rowset(dialect: str, name: str, types: Types) -> FromClause:
    """Return the rows bound as `name`, with columns of `types`, for the engine `dialect`."""
    if dialect == "sqlite":
        listed = func.json_each(bindparam(name)).table_valued("value")
        picked = [
            type_coerce(func.json_extract(listed.c.value, f"$[{place}]"), kind).label(key)
            for place, (key, kind) in enumerate(types.items())
        ]
        return select(*picked).subquery(name)
    arrays = [as_type(bindparam(f"{name}_{key}"), ARRAY(kind)) for key, kind in types.items()]
    columns = [column(key, kind) for key, kind in types.items()]
    return func.unnest(*arrays).table_valued(*columns, name=name).render_derived(name=name)


def bind_rows(dialect: str, name: str, types: Types, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the parameters of a `rowset`: `rows` are tuples in the order of `types`, instants by `stored_instant`."""
    if dialect == "sqlite":
        return {name: json.dumps(rows)}
    return {f"{name}_{key}": [row[place] for row in rows] for place, key in enumerate(types)}


def run_kept(connection: Connection, statement: Executable, given: Mapping[str, Any]) -> CursorResult[*tuple[Any, ...]]:
    """Execute a kept statement over rowsets, bound with `bind_rows`, as text that is made once for an engine.

    The gate's fifty constants bound anew for each group cost twice of what SQLite takes to judge it. Rows come as the
    driver has them: numbers and texts, no instants.
    """
    kept = _render(statement, connection.dialect, tuple(given))
    values = {**kept.constants, **given}
    if kept.order is None:
        return connection.exec_driver_sql(kept.sql, values)
    return connection.exec_driver_sql(kept.sql, tuple([values[name] for name in kept.order]))


class _Kept(NamedTuple):
    sql: str
    constants: Mapping[str, Any]
    order: Sequence[str] | None


@lru_cache(64)
def _render(statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> _Kept:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect))  # type: ignore[attr-defined]
    state = compiled.construct_expanded_state(dict.fromkeys(names))
    constants = {
        name: state.processors[name](value) if name in state.processors else value
        for name, value in state.parameters.items()
        if name not in names
    }
    return _Kept(state.statement, constants, state.positiontup)


def read_rows(connection: Connection, statement: AnySelect, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """Return the rows of a kept statement whose columns are numbers, texts and JSON (no instants), in its order.

    SQLite hands rows out one by one, and for each of them this thread would wait for the interpreter's lock.
    """
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, parameters).all()
    found: list[list[Any]] = json.loads(connection.execute(_as_value(statement), parameters).scalar_one())
    return found


@lru_cache(64)
def _as_value(statement: AnySelect) -> Select[str]:
    """Return what says the same as one JSON array of arrays."""
    rows = statement.subquery("listed")
    cells = [func.json(cell) if isinstance(cell.type, JSON) else cell for cell in rows.c]
    return select(func.json_group_array(func.json_array(*cells)))
