"""judged hits, outcomes of actions"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KINDS = ("add_to_segment", "remove_from_segment", "follow_up")
NEW_KINDS = (*KINDS, "set_field", "add_tag", "remove_tag", "subscribe", "webhook")
STATES = ("pending", "done", "void", "refused")
NEW_STATES = (*STATES, "failed")


def upgrade() -> None:
    for column in (
        sa.Column("rules", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("flags", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("seconds_after", sa.Float(), nullable=True),
        sa.Column("program", sa.String(length=60), server_default="", nullable=False),
        sa.Column("device", sa.String(length=20), server_default="", nullable=False),
        sa.Column("network", sa.String(length=20), server_default="", nullable=False),
    ):
        op.add_column("hit", column)
    op.add_column("topic", sa.Column("is_tracked", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("action_run", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    with op.batch_alter_table("hit") as table:
        table.alter_column(
            "reason", type_=sa.String(length=200), existing_type=sa.String(length=60), existing_nullable=False
        )
    with op.batch_alter_table("action_run") as table:
        table.alter_column("occurrence", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
        _replace_check(table, "action_run", "state", NEW_STATES)
    with op.batch_alter_table("link_action") as table:
        _replace_check(table, "link_action", "kind", NEW_KINDS)
    op.create_index("ix_action_run_contact_id", "action_run", ["contact_id", "id"])
    op.create_table(
        "verdict_run",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("rules", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("after_message_id", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict_run")),
    )
    op.create_table(
        "webhook",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("name", name=op.f("uq_webhook_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_webhook_public_id")),
    )


def downgrade() -> None:
    op.drop_table("webhook")
    op.drop_table("verdict_run")
    op.drop_index("ix_action_run_contact_id", "action_run")
    with op.batch_alter_table("link_action") as table:
        _replace_check(table, "link_action", "kind", KINDS)
    with op.batch_alter_table("action_run") as table:
        _replace_check(table, "action_run", "state", STATES)
        table.alter_column("occurrence", type_=sa.Integer(), existing_type=sa.BigInteger(), existing_nullable=False)
    with op.batch_alter_table("hit") as table:
        table.alter_column(
            "reason", type_=sa.String(length=60), existing_type=sa.String(length=200), existing_nullable=False
        )
    op.drop_column("action_run", "attempts")
    op.drop_column("topic", "is_tracked")
    for name in ("network", "device", "program", "seconds_after", "flags", "rules"):
        op.drop_column("hit", name)


def _replace_check(table: object, name: str, column: str, words: tuple[str, ...]) -> None:
    """Put another list of words into the check of a column."""
    check = f"ck_{name}_{column}"
    table.drop_constraint(op.f(check), type_="check")  # type: ignore[attr-defined]
    table.create_check_constraint(op.f(check), " OR ".join(f"{column} = '{word}'" for word in words))  # type: ignore[attr-defined]
