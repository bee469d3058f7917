"""consent that runs out, pauses, overrides"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

VERDICTS = ("given", "withdrawn", "subscribed", "unsubscribed")
NEW_VERDICTS = (*VERDICTS, "expired", "paused", "resumed")
PURPOSES = ("e_marketing",)
NEW_PURPOSES = (*PURPOSES, "tracking")
RUNS_OUT = "expires_at IS NOT NULL AND permission <> 'none'"
LEFT = "verdict = 'withdrawn' OR verdict = 'unsubscribed'"


def upgrade() -> None:
    _widen("consent", "purpose", PURPOSES, NEW_PURPOSES)
    _widen("consent_event", "purpose", PURPOSES, NEW_PURPOSES)
    _widen("consent_event", "verdict", VERDICTS, NEW_VERDICTS)
    op.add_column("consent", sa.Column("paused_until", UtcDateTime(), nullable=True))
    op.add_column("consent_event", sa.Column("ends_at", UtcDateTime(), nullable=True))
    op.add_column("workspace", sa.Column("brand_color", sa.String(length=7), server_default="", nullable=False))
    op.create_index(
        "ix_consent_expires_at", "consent", ["expires_at", "contact_id"],
        sqlite_where=sa.text(RUNS_OUT), postgresql_where=sa.text(RUNS_OUT),
    )  # fmt: skip
    op.create_index(
        "ix_consent_event_left", "consent_event", ["at", "id"],
        sqlite_where=sa.text(LEFT), postgresql_where=sa.text(LEFT),
    )  # fmt: skip
    op.create_index("ix_consent_block_last_id", "consent_block", ["last_id"])
    op.create_table(
        "wording",
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_wording")),
    )
    op.create_table(
        "leave_answer",
        sa.Column("consent_event_id", BigInt, nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "reason = 'too_many' OR reason = 'not_relevant' OR reason = 'never_signed_up' OR "
            "reason = 'other_channel' OR reason = 'other'",
            name=op.f("ck_leave_answer_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["consent_event_id"], ["consent_event.id"], name=op.f("fk_leave_answer_consent_event_id_consent_event")
        ),
        sa.PrimaryKeyConstraint("consent_event_id", name=op.f("pk_leave_answer")),
    )
    op.create_index("ix_leave_answer_at", "leave_answer", ["at", "reason"])
    _add_overrides()


def _add_overrides() -> None:
    op.create_table(
        "consent_override",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", BigInt, nullable=False),
        sa.Column("sending_id", BigInt, nullable=True),
        sa.Column("topic_id", BigInt, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("headcount", sa.Integer(), nullable=False),
        sa.Column("requested_by", BigInt, nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", BigInt, nullable=True),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", BigInt, nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        *(
            sa.ForeignKeyConstraint([name], ["staff.id"], name=op.f(f"fk_consent_override_{name}_staff"))
            for name in ("requested_by", "approved_by", "ended_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_override")),
        sa.UniqueConstraint("public_id", name=op.f("uq_consent_override_public_id")),
        sa.UniqueConstraint("sending_id", name=op.f("uq_consent_override_sending_id")),
    )
    op.create_index("ix_consent_override_campaign_id", "consent_override", ["campaign_id"])
    op.create_table(
        "consent_override_person",
        sa.Column("override_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["override_id"], ["consent_override.id"],
            name=op.f("fk_consent_override_person_override_id_consent_override"),
        ),
        sa.PrimaryKeyConstraint("override_id", "contact_id", name=op.f("pk_consent_override_person")),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_consent_override_person_contact_id", "consent_override_person", ["contact_id"])


def downgrade() -> None:
    op.drop_table("consent_override_person")
    op.drop_table("consent_override")
    op.drop_table("leave_answer")
    op.drop_table("wording")
    op.drop_index("ix_consent_block_last_id", "consent_block")
    op.drop_index("ix_consent_event_left", "consent_event")
    op.drop_index("ix_consent_expires_at", "consent")
    op.drop_column("workspace", "brand_color")
    op.drop_column("consent_event", "ends_at")
    op.drop_column("consent", "paused_until")
    _widen("consent_event", "verdict", NEW_VERDICTS, VERDICTS)
    _widen("consent_event", "purpose", NEW_PURPOSES, PURPOSES)
    _widen("consent", "purpose", NEW_PURPOSES, PURPOSES)


def _widen(table: str, column: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Put another list of words into the check of a column.

    SQLite: the check's words are changed where they stand (sqlite.org/lang_altertable.html, section 7), because copying
    the ledger into a new table would copy what nobody may touch, and lose its triggers.
    """
    old, new = (" OR ".join(f"{column} = '{word}'" for word in words) for words in (before, after))
    if op.get_bind().dialect.name != "sqlite":
        name = f"ck_{table}_{column}"
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} CHECK ({new})")
        return
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ? AND sql LIKE ?",
        (f"CHECK ({old})", f"CHECK ({new})", table, f"%CHECK ({old})%"),
    )
    if changed.rowcount != 1:
        raise RuntimeError(f"the check of {table}.{column} is not the one that this migration knows")
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
