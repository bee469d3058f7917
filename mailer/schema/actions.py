"""Link actions that wait out their quarantine. Owned by actions/."""

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint

from mailer.schema.base import Base, Big, Id, Mapped, Word, mapped_column, one_of, refers

ACTION_RUN_STATES = ("pending", "done", "void", "refused")


class ActionRun(Base):
    """One action for one contact: once per contact and link unless the action repeats (`occurrence` counts then)."""

    __tablename__ = "action_run"
    __table_args__ = (
        UniqueConstraint("link_action_id", "contact_id", "occurrence"),
        one_of("state", ACTION_RUN_STATES),
        Index("ix_action_run_due", "state", "due_at"),
        Index("ix_action_run_message_id", "message_id"),
    )

    id: Mapped[Id]
    link_action_id: Mapped[Big] = mapped_column(refers("link_action.id"))
    contact_id: Mapped[Big] = mapped_column(refers("contact.id", ondelete="CASCADE"))
    message_id: Mapped[Big] = mapped_column(refers("message.id"))
    occurrence: Mapped[int] = mapped_column(default=0)
    state: Mapped[Word] = mapped_column(default="pending")
    note: Mapped[str] = mapped_column(String(200), default="")
    hit_at: Mapped[datetime]
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
