"""tasks in full: how they are shared out, who was told"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UNTOLD = "told_at IS NULL AND status = 'open'"
_LINKED = "tracked_link_id IS NOT NULL"


def upgrade() -> None:
    op.add_column("follow_up", sa.Column("told_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE follow_up SET told_at = created_at")
    for name, columns, where in (
        ("ix_follow_up_untold", ["owner_id", "id"], _UNTOLD),
        ("ix_follow_up_tracked_link_id", ["tracked_link_id"], _LINKED),
    ):
        op.create_index(name, "follow_up", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "follow_up_rules",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.Column("owner_id", BigInt, nullable=True),
        sa.Column("holidays", Json, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_follow_up_rules_single")),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name=op.f("fk_follow_up_rules_owner_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_up_rules")),
    )
    op.create_table(
        "follow_up_turn",
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.Column("staff_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_follow_up_turn_staff_id_staff")),
        sa.PrimaryKeyConstraint("group_name", name=op.f("pk_follow_up_turn")),
    )
    op.create_table(
        "follow_up_mail",
        sa.Column("staff_id", BigInt, nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("morning", sa.Date(), nullable=True),
        sa.CheckConstraint("mode IN ('each', 'daily', 'none')", name=op.f("ck_follow_up_mail_mode")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_follow_up_mail_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_follow_up_mail")),
    )


def downgrade() -> None:
    for table in ("follow_up_mail", "follow_up_turn", "follow_up_rules"):
        op.drop_table(table)
    op.drop_index("ix_follow_up_tracked_link_id", "follow_up")
    op.drop_index("ix_follow_up_untold", "follow_up")
    op.drop_column("follow_up", "told_at")
