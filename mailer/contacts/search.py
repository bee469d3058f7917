"""What people type to find people: each word is a part of the address, a name or the company, whatever its case.

Conditions for a select that joins `address`, and `company` where that is looked at.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, SQLColumnExpression, func, or_, select
from sqlalchemy.orm import Session

from mailer.schema.contacts import Address, Company, Contact

_MOST_WORDS = 5
_NAMES = (Contact.first_name, Contact.last_name)


def match_people(session: Session, search: str, *, with_company: bool = True) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of a search.

    A whole address that is there is all that is looked for: its index says so at once.
    """
    if "@" in search:
        whole = session.scalar(select(Address.id).where(Address.email == search.strip().lower()))
        if whole is not None:
            return [Contact.address_id == whole]
    columns = (*_NAMES, Company.name) if with_company else _NAMES
    return [
        or_(
            Address.email.contains(word.lower(), autoescape=True),
            *(_holds(session, column, word) for column in columns),
        )
        for word in search.split()[:_MOST_WORDS]
    ]


def _holds(session: Session, column: SQLColumnExpression[str], word: str) -> ColumnElement[bool]:
    """On SQLite LIKE knows the case of ASCII letters only."""
    if session.get_bind().dialect.name != "sqlite":
        return column.icontains(word, autoescape=True)
    if word.isascii():
        return column.contains(word, autoescape=True)
    return func.fold(column).contains(word.casefold(), autoescape=True)
