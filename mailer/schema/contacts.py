"""People, companies, addresses, own fields and activities. Owned by contacts/; bounce state by delivery's events."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Index, LargeBinary, String, Text, text

from mailer.schema.base import Base, Big, BigInt, Id, Mapped, PublicId, Word, mapped_column, one_of, refers
from mailer.statuses import FieldType

BOUNCE_STATES = ("ok", "hard", "asleep")


class Address(Base):
    """One mailbox. Its row is the lock for everything that decides whether this mailbox may be mailed.

    `email` is the normal form (addresses.py) and NULL after erasure; `email_hash` stays.
    """

    __tablename__ = "address"
    __table_args__ = (
        one_of("bounce_state", BOUNCE_STATES),
        CheckConstraint("length(provider) > 0", name="provider"),
    )

    id: Mapped[Id]
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_hash: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    domain: Mapped[str] = mapped_column(String(255), default="")
    provider: Mapped[Word] = mapped_column(default="other")
    is_valid: Mapped[bool] = mapped_column(Boolean, default=True)
    bounce_state: Mapped[Word] = mapped_column(default="ok")
    created_at: Mapped[datetime]


class Company(Base):
    """An organization that contacts belong to."""

    __tablename__ = "company"
    __table_args__ = (Index("ix_company_name", "name"),)

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(200))
    domain: Mapped[str] = mapped_column(String(255), default="")
    industry: Mapped[str] = mapped_column(String(100), default="")
    category: Mapped[str] = mapped_column(String(100), default="")
    country: Mapped[str] = mapped_column(String(100), default="")
    owner_id: Mapped[Big | None] = mapped_column(refers("staff.id"))
    do_not_mail: Mapped[bool] = mapped_column(default=False)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Contact(Base):
    """A person we may write to. `ledger_id` names them in the consent ledger; `data` holds own fields by key.

    Address and company are no foreign keys: nobody deletes those rows (docs/decisions/0008-keys-without-checks.md).
    """

    __tablename__ = "contact"
    __table_args__ = (
        Index("ix_contact_address_id", "address_id"),
        Index("ix_contact_company_id", "company_id"),
        Index(
            "ix_contact_owner_id",
            "owner_id",
            sqlite_where=text("owner_id IS NOT NULL"),
            postgresql_where=text("owner_id IS NOT NULL"),
        ),
        Index(
            "uq_contact_external_id",
            "external_id",
            unique=True,
            sqlite_where=text("external_id IS NOT NULL"),
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_contact_created_at", "created_at", "id"),
        Index(  # what every segment begins with, without a look at the wide rows
            "ix_contact_live",
            "id",
            "archived_at",
            sqlite_where=text("archived_at IS NULL"),
            postgresql_where=text("archived_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    public_id: Mapped[PublicId]
    ledger_id: Mapped[Big] = mapped_column(unique=True)
    external_id: Mapped[str | None] = mapped_column(String(100))
    address_id: Mapped[Big | None]
    first_name: Mapped[str] = mapped_column(String(200), default="")
    last_name: Mapped[str] = mapped_column(String(200), default="")
    title: Mapped[str] = mapped_column(String(200), default="")
    phone: Mapped[str] = mapped_column(String(50), default="")
    language: Mapped[str] = mapped_column(String(20), default="")
    timezone: Mapped[str] = mapped_column(String(64), default="")
    country: Mapped[str] = mapped_column(String(100), default="")
    city: Mapped[str] = mapped_column(String(100), default="")
    category: Mapped[str] = mapped_column(String(100), default="")
    owner_id: Mapped[Big | None] = mapped_column(refers("staff.id"))
    company_id: Mapped[Big | None]
    do_not_mail: Mapped[bool] = mapped_column(default=False)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    import_id: Mapped[Big | None]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Tag(Base):
    """A word that contacts carry; tags are their interests."""

    __tablename__ = "tag"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(100), unique=True)


class ContactTag(Base):
    """A contact carries a tag."""

    __tablename__ = "contact_tag"
    __table_args__ = (Index("ix_contact_tag_tag_id", "tag_id", "contact_id"),)

    contact_id: Mapped[int] = mapped_column(BigInt, refers("contact.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(BigInt, refers("tag.id", ondelete="CASCADE"), primary_key=True)


class ContactField(Base):
    """An own, typed field; its values stand in `contact.data` under `key`."""

    __tablename__ = "contact_field"
    __table_args__ = (one_of("type", FieldType),)

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(50), unique=True)
    label: Mapped[str] = mapped_column(String(100))
    type: Mapped[Word]
    choices: Mapped[list[Any]] = mapped_column(default=list)
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Activity(Base):
    """Something a contact did outside our mails: a purchase, a seminar visit, an NPS answer.

    `amount` is in minor units of `currency` (øre, cents); `data` holds own values.
    """

    __tablename__ = "activity"
    __table_args__ = (
        Index("ix_activity_contact_kind_at", "contact_id", "kind", "at"),
        Index("ix_activity_kind_at", "kind", "at", "contact_id", "amount", "currency"),  # sums need no rows
        Index(
            "uq_activity_kind_external_id",
            "kind",
            "external_id",
            unique=True,
            sqlite_where=text("external_id IS NOT NULL"),
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    contact_id: Mapped[Big] = mapped_column(refers("contact.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    amount: Mapped[Big | None]
    currency: Mapped[str] = mapped_column(String(3), default="")
    external_id: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    import_id: Mapped[Big | None]
    created_at: Mapped[datetime]
