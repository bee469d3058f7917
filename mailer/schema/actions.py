"""Link actions that wait out their quarantine, and the webhooks they may call. Owned by actions/."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text, UniqueConstraint

from mailer.schema.base import Base, Big, Id, Mapped, PublicId, Word, mapped_column, one_of, refers

ACTION_RUN_STATES = ("pending", "done", "void", "refused", "failed")


class ActionRun(Base):
    """One action for one contact and its outcome.

    Once per contact and link (`occurrence` 0), or each time: then `occurrence` is the number of the hit. `refused`: it
    cannot be done; `failed`: it was tried `attempts` times.
    """

    __tablename__ = "action_run"
    __table_args__ = (
        UniqueConstraint("link_action_id", "contact_id", "occurrence"),
        one_of("state", ACTION_RUN_STATES),
        Index("ix_action_run_due", "state", "due_at"),
        Index("ix_action_run_message_id", "message_id"),
        Index("ix_action_run_contact_id", "contact_id", "id"),
    )

    id: Mapped[Id]
    link_action_id: Mapped[Big] = mapped_column(refers("link_action.id"))
    contact_id: Mapped[Big] = mapped_column(refers("contact.id", ondelete="CASCADE"))
    message_id: Mapped[Big] = mapped_column(refers("message.id"))
    occurrence: Mapped[int] = mapped_column(BigInteger, default=0)
    state: Mapped[Word] = mapped_column(default="pending")
    note: Mapped[str] = mapped_column(String(200), default="")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    hit_at: Mapped[datetime]
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class Webhook(Base):
    """An address that actions may call; `secret` is sealed and signs each call."""

    __tablename__ = "webhook"

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(100), unique=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
