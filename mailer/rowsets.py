"""Many rows as one parameter: a bound list that a statement reads like a table, the same statement for any number.

SQLite reads JSON (`json_each`), PostgreSQL arrays (`unnest`). A statement over a rowset is built once and kept.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import FromClause, bindparam, cast, func, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import column

Types = Mapping[str, Any]
"""Names of the columns and their SQLAlchemy types."""


def rowset(dialect: str, name: str, types: Types) -> FromClause:
    """Return the rows bound as `name`, with columns of `types`, for the engine `dialect`."""
    if dialect == "sqlite":
        listed = func.json_each(bindparam(name)).table_valued("value")
        picked = [
            type_coerce(func.json_extract(listed.c.value, f"$[{place}]"), kind).label(key)
            for place, (key, kind) in enumerate(types.items())
        ]
        return select(*picked).subquery(name)
    arrays = [cast(bindparam(f"{name}_{key}"), ARRAY(kind)) for key, kind in types.items()]
    columns = [column(key, kind) for key, kind in types.items()]
    return func.unnest(*arrays).table_valued(*columns, name=name).render_derived(name=name)


def bind_rows(dialect: str, name: str, types: Types, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the parameters of a `rowset`: `rows` are tuples in the order of `types`, instants by `stored_instant`."""
    if dialect == "sqlite":
        return {name: json.dumps(rows)}
    return {f"{name}_{key}": [row[place] for row in rows] for place, key in enumerate(types)}
