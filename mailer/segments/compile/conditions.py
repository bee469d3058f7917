"""What every room of the compiler shares: what a rule's meaning depends on, and the building blocks of conditions.

Every condition is true or false, never NULL, so negations mean what they say: "does not contain" includes the empty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Float, String, and_, case, cast, exists, func, literal, not_, or_, select

from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Contact

Condition = ColumnElement[bool]
_NEGATIONS = {
    "not_equals": "equals", "is_not_exactly": "is_exactly", "not_contains": "contains",
    "not_starts_with": "starts_with", "not_ends_with": "ends_with", "is_not_empty": "is_empty",
    "is_none_of": "is_one_of", "has_not_all_of": "has_all_of", "<>": "=",
}  # fmt: skip


@dataclass(frozen=True)
class RuleContext:
    """What a rule means depends on: the day, the zone, the engine, other segments.

    `membership(name, is_negated)` is the condition of being in a segment, by id or name, or its opposite.
    With `makes_sets` related contacts are a set that is made once (SQLite asks an EXISTS for each contact); without,
    each is looked up, as is best where only one is asked about. `newest_hit` is when the newest open or click of all
    was.
    """

    today: date
    zone: str
    is_sqlite: bool
    makes_sets: bool
    newest_hit: datetime | None
    membership: Callable[[int | str, bool], Condition]


def signed(op: str, positive: Callable[[str], Condition]) -> Condition:
    """Return the condition of an operator or, for a negation, the opposite of what it negates."""
    return not_(positive(_NEGATIONS[op])) if op in _NEGATIONS else positive(op)


def known(column: Any, condition: Condition) -> Condition:
    """Return `condition`, false where the column is NULL."""
    return and_(column.is_not(None), condition)


def exists_one(column: Any, *where: Condition) -> Condition:
    """Return whether a related row of a contact exists; the tables are those that `where` names."""
    return exists(select(column).where(*where).correlate(Contact))


def is_in(contact_ids: Any) -> Condition:
    """Return whether a contact is among the ids of a select that depends on no other table and yields no NULL."""
    return Contact.id.in_(contact_ids)


def own_text(key: str) -> Any:
    """Return an own field as text."""
    return _own_value(key).as_string()


def own_number(key: str, *, is_sqlite: bool) -> Any:
    """Return an own field as a number, NULL where it is none."""
    kind = func.json_type(Contact.data, _written(f'$."{key}"')) if is_sqlite else func.jsonb_typeof(_own_value(key))
    is_number = kind.in_([_written(word) for word in _NUMBERS])
    return case((is_number, cast(_own_value(key).as_string(), Float)), else_=None)


def _own_value(key: str) -> Any:
    return Contact.data[literal(key, JSON.JSONIndexType(), literal_execute=True)]


def _written(word: str) -> Any:
    """Return a word of ours that stands in the SQL itself: an index on the expression is found only so."""
    return literal(word, literal_execute=True)


def json_number(data: Any, key: str, context: RuleContext) -> Any:
    """Return a value of a JSON column as a number, NULL where it is none."""
    return case((_json_type(data, key, context).in_(_NUMBERS), cast(data[key].as_string(), Float)), else_=None)


def json_text(data: Any, key: str, context: RuleContext) -> Any:
    """Return a value of a JSON column as text, alike on both engines; NULL where it is a list or an object."""
    kind = _json_type(data, key, context)
    words = [(kind == word, word) for word in ("true", "false")]
    if not context.is_sqlite:
        return case((kind.in_(("string", "number", "boolean")), data[key].as_string()), else_=None)
    return case(*words, (kind.in_(("text", "integer", "real")), cast(data[key].as_string(), String)), else_=None)


_NUMBERS = ("number", "integer", "real")


def _json_type(data: Any, key: str, context: RuleContext) -> Any:
    return func.json_type(data, f'$."{key}"') if context.is_sqlite else func.jsonb_typeof(data[key])


def sendings_of(campaigns: tuple[int | str, ...]) -> Any:
    """Return the sendings of campaigns, by id and by name; campaigns of the same name count together."""
    ids = [one for one in campaigns if isinstance(one, int)]
    names = [one for one in campaigns if isinstance(one, str)]
    wanted = ([Campaign.id.in_(ids)] if ids else []) + ([Campaign.name.in_(names)] if names else [])
    return select(Campaign.sending_id).where(or_(*wanted), Campaign.sending_id.is_not(None))
