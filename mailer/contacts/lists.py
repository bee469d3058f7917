"""A list of values as one bound parameter of written SQL, however many they are."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session


def in_list(session: Session, name: str) -> str:
    """Return the SQL that follows a column which must be among the values of the bound list `name`."""
    if session.get_bind().dialect.name == "sqlite":
        return f"IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 - the name is ours
    return f"= ANY(:{name})"


def list_value(session: Session, values: Iterable[Any]) -> Any:
    """Return what is bound for a list."""
    listed = list(values)
    return json.dumps(listed) if session.get_bind().dialect.name == "sqlite" else listed
