"""Text operators (FEATURES S5): on the contact, its address, its company, own fields.

Text compares without regard to case: on PostgreSQL by `lower()` (the database's locale must know its letters; the
built-in C.UTF-8 does, plain C knows ASCII only), on SQLite by LIKE and NOCASE for ASCII and by `fold()` for the rest.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, false, func, not_, or_

from mailer.schema.consent import Consent
from mailer.schema.contacts import Address, Company, Contact
from mailer.segments.compile.conditions import Condition, RuleContext, exists_one, known, own_text, signed
from mailer.segments.fields import FIELDS, Kind
from mailer.segments.tree import Line
from mailer.statuses import Purpose

_COMPANY: dict[str, Any] = {
    "company": Company.name,
    "company.domain": Company.domain,
    "company.industry": Company.industry,
    "company.category": Company.category,
    "company.country": Company.country,
}
_ADDRESS: dict[str, Any] = {"email": Address.email, "email.domain": Address.domain}


PLAIN_TEXTS = tuple(name for name, kind in FIELDS.items() if kind is Kind.TEXT and name in Contact.__table__.columns)
"""Text fields that are columns of the contact itself."""


def compile_text(line: Line, context: RuleContext) -> Condition:
    """Return the condition of a text line."""
    if line.own_key is not None:
        column = own_text(line.own_key)
    elif line.field in _COMPANY:
        return _related(line, context, _COMPANY[line.field], Company.id == Contact.company_id)
    elif line.field in _ADDRESS:
        return _related(line, context, _ADDRESS[line.field], _has_address())
    elif line.field == "consent_source":
        own = and_(Consent.contact_id == Contact.id, Consent.purpose == Purpose.E_MARKETING.value)
        return _related(line, context, Consent.source, own)
    else:
        column = getattr(Contact, line.field)
    return signed(line.op, lambda op: match_text(column, op, line.value, context))


def _has_address() -> Condition:
    return and_(Address.id == Contact.address_id, Address.email.is_not(None))  # an erased address is none


def _related(line: Line, context: RuleContext, column: Any, join: Condition) -> Condition:
    def positive(op: str) -> Condition:
        if op == "is_empty":
            return not_(exists_one(column, join, func.coalesce(column, "") != ""))
        return exists_one(column, join, match_text(column, op, line.value, context))

    return signed(line.op, positive)


def match_text(column: Any, op: str, value: Any, context: RuleContext) -> Condition:
    """Return a positive text condition on a column; NULL counts as empty."""
    match op:
        case "is_empty":
            return func.coalesce(column, "") == ""
        case "is_exactly":
            return known(column, column == value)
        case "is_one_of":
            return known(column, or_(false(), *is_among(column, value, context)))
        case "equals":
            return known(column, or_(*is_among(column, (value,), context)))
        case _:
            pass
    side, text = _folded(column, value, context)
    matchers: dict[str, Any] = {"contains": side.contains, "starts_with": side.startswith, "ends_with": side.endswith}
    return known(column, matchers[op](text, autoescape=True))


def is_among(column: Any, values: Sequence[str], context: RuleContext) -> list[Condition]:
    """Return conditions, any of which says that a text is one of `values`, whatever its case."""
    folded = fold_column(column, is_sqlite=context.is_sqlite)
    if not context.is_sqlite:
        return [folded.in_([value.lower() for value in values])]
    plain = [value for value in values if value.isascii()]
    other = [value.casefold() for value in values if not value.isascii()]
    found = [folded.in_(plain)] if plain else []
    return found + ([func.fold(column).in_(other)] if other else [])


def fold_column(column: Any, *, is_sqlite: bool) -> Any:
    """Return a column as it is compared and indexed."""
    return column.collate("NOCASE") if is_sqlite else func.lower(column)


def _folded(column: Any, text: str, context: RuleContext) -> tuple[Any, str]:
    if not context.is_sqlite:
        return func.lower(column), text.lower()
    return (column, text) if text.isascii() else (func.fold(column), text.casefold())
