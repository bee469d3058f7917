"""What every table shares: naming of constraints, id and JSON types, checked words."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Integer, MetaData, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mailer.database import UtcDateTime
from mailer.ids import new_public_id

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

BigInt = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: Json, list[Any]: Json, uuid.UUID: Uuid}  # noqa: RUF012 - SQLAlchemy's hook


Id = Annotated[int, mapped_column(BigInt, primary_key=True)]
Big = Annotated[int, mapped_column(BigInt)]
Word = Annotated[str, mapped_column(String(20))]
PublicId = Annotated[uuid.UUID, mapped_column(Uuid, unique=True, default=new_public_id)]


def one_of(column: str, words: type[StrEnum] | Iterable[str]) -> CheckConstraint:
    """Return the named check that `column` holds one of `words`, or NULL where the column allows it.

    Written with OR: SQLite builds a table for an IN list at each row, which took three quarters of an insert's time.
    """
    return CheckConstraint(" OR ".join(f"{column} = '{word}'" for word in words), name=column)


def refers(target: str, *, ondelete: str | None = None) -> ForeignKey:
    """Return a foreign key; its name comes from the convention."""
    return ForeignKey(target, ondelete=ondelete)


__all__ = ["Base", "Big", "BigInt", "Id", "Json", "Mapped", "PublicId", "Word", "mapped_column", "one_of", "refers"]
