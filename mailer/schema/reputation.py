"""The breaker's state; the rates themselves are computed from events. Owned by reputation/."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text, UniqueConstraint

from mailer.schema.base import Base, Big, Id, Mapped, Word, mapped_column, one_of
from mailer.statuses import BreakerState

BREAKER_SCOPES = ("workspace", "sending", "domain", "provider")


class Breaker(Base):
    """State of the breaker for a scope; survives restarts. `figures` are those it was decided on."""

    __tablename__ = "breaker"
    __table_args__ = (
        UniqueConstraint("scope", "scope_key"),
        one_of("scope", BREAKER_SCOPES),
        one_of("state", BreakerState),
    )

    id: Mapped[Id]
    scope: Mapped[Word]
    scope_key: Mapped[str] = mapped_column(String(255), default="")
    state: Mapped[Word] = mapped_column(default=BreakerState.OK)
    note: Mapped[str] = mapped_column(Text, default="")
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by_staff_id: Mapped[Big | None]
    changed_at: Mapped[datetime]
