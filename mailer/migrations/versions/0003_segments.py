"""history of watched segments, bulk tasks on members, groups of staff"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulk_task",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", BigInt, nullable=True),
        sa.Column("segment_name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("cursor", BigInt, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("changed_count", sa.Integer(), nullable=False),
        sa.Column("unchanged_count", sa.Integer(), nullable=False),
        sa.Column("skipped_count", sa.Integer(), nullable=False),
        sa.Column("undone_count", sa.Integer(), nullable=False),
        sa.Column("kept_count", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("undone_by", BigInt, nullable=True),
        sa.Column("forgotten_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "kind = 'follow_ups' OR kind = 'set_field' OR kind = 'add_tag' OR kind = 'remove_tag' OR kind = 'add_to_segment' OR kind = 'remove_from_segment' OR kind = 'archive'",
            name=op.f("ck_bulk_task_kind"),
        ),
        sa.CheckConstraint(
            "status = 'gathering' OR status = 'running' OR status = 'finished' OR status = 'cancelled' OR status = 'failed' OR status = 'undoing' OR status = 'undone'",
            name=op.f("ck_bulk_task_status"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_bulk_task_created_by")),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_bulk_task_segment_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["undone_by"], ["staff.id"], name=op.f("fk_bulk_task_undone_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_task")),
        sa.UniqueConstraint("public_id", name=op.f("uq_bulk_task_public_id")),
    )
    with op.batch_alter_table("bulk_task", schema=None) as batch_op:
        batch_op.create_index("ix_bulk_task_segment_id", ["segment_id", "id"], unique=False)
        batch_op.create_index("ix_bulk_task_status", ["status", "id"], unique=False)

    op.create_table(
        "segment_event",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("cause", sa.String(length=100), nullable=False),
        sa.Column("staff_id", BigInt, nullable=True),
        sa.CheckConstraint("kind = 'entered' OR kind = 'left'", name=op.f("ck_segment_event_kind")),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_segment_event_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_event_segment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_segment_event_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment_event")),
    )
    with op.batch_alter_table("segment_event", schema=None) as batch_op:
        batch_op.create_index("ix_segment_event_contact_id", ["contact_id", "id"], unique=False)
        batch_op.create_index("ix_segment_event_segment_id", ["segment_id", "id"], unique=False)

    op.create_table(
        "segment_size",
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_size_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", "at", name=op.f("pk_segment_size")),
    )
    op.create_table(
        "segment_watch",
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("is_ready", sa.Boolean(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("looked_at", UtcDateTime(), nullable=True),
        sa.Column("rule_changed_at", UtcDateTime(), nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_watch_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_segment_watch")),
    )
    with op.batch_alter_table("segment_watch", schema=None) as batch_op:
        batch_op.create_index("ix_segment_watch_due_at", ["due_at"], unique=False)

    op.create_table(
        "segment_watch_member",
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_segment_watch_member_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_watch_member_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", "contact_id", name=op.f("pk_segment_watch_member")),
    )
    with op.batch_alter_table("segment_watch_member", schema=None) as batch_op:
        batch_op.create_index("ix_segment_watch_member_contact_id", ["contact_id"], unique=False)

    op.create_table(
        "bulk_member",
        sa.Column("bulk_task_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome = 'waiting' OR outcome = 'changed' OR outcome = 'unchanged' OR outcome = 'skipped' OR outcome = 'undone' OR outcome = 'kept'",
            name=op.f("ck_bulk_member_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["bulk_task_id"], ["bulk_task.id"], name=op.f("fk_bulk_member_bulk_task_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_bulk_member_contact_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bulk_task_id", "contact_id", name=op.f("pk_bulk_member")),
    )
    with op.batch_alter_table("bulk_member", schema=None) as batch_op:
        batch_op.create_index("ix_bulk_member_contact_id", ["contact_id"], unique=False)
    for table in ("segment", "staff"):
        op.add_column(table, sa.Column("group_name", sa.String(length=100), server_default="", nullable=False))


def downgrade() -> None:
    for table in ("staff", "segment"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN group_name")  # no copy of the table: rows that refer to it stay
    with op.batch_alter_table("bulk_member", schema=None) as batch_op:
        batch_op.drop_index("ix_bulk_member_contact_id")

    op.drop_table("bulk_member")
    with op.batch_alter_table("segment_watch_member", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_watch_member_contact_id")

    op.drop_table("segment_watch_member")
    with op.batch_alter_table("segment_watch", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_watch_due_at")

    op.drop_table("segment_watch")
    op.drop_table("segment_size")
    with op.batch_alter_table("segment_event", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_event_segment_id")
        batch_op.drop_index("ix_segment_event_contact_id")

    op.drop_table("segment_event")
    with op.batch_alter_table("bulk_task", schema=None) as batch_op:
        batch_op.drop_index("ix_bulk_task_status")
        batch_op.drop_index("ix_bulk_task_segment_id")

    op.drop_table("bulk_task")
