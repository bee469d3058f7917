"""erasure, retention and requests of persons"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_run",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("counts", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_run")),
        sa.UniqueConstraint("day", name=op.f("uq_retention_run_day")),
    )
    op.create_table(
        "erasure",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("waits_for", sa.String(length=200), nullable=False),
        sa.Column("address_hashes", Json, nullable=False),
        sa.Column("contact_ids", Json, nullable=False),
        sa.Column("address_ids", Json, nullable=False),
        sa.Column("person", sa.LargeBinary(), nullable=True),
        sa.Column("counts", Json, nullable=False),
        sa.Column("by_staff_id", BigInt, nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("status = 'running' OR status = 'finished'", name=op.f("ck_erasure_status")),
        sa.ForeignKeyConstraint(["by_staff_id"], ["staff.id"], name=op.f("fk_erasure_by_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("public_id", name=op.f("uq_erasure_public_id")),
    )
    op.create_index("ix_erasure_status", "erasure", ["status", "id"], unique=False)
    op.create_table(
        "subject_request",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("who", sa.String(length=320), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("contact_id", BigInt, nullable=True),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("extended_at", UtcDateTime(), nullable=True),
        sa.Column("extension_note", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by", BigInt, nullable=True),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "channel = 'mail' OR channel = 'phone' OR channel = 'letter' OR channel = 'meeting' OR channel = 'page'",
            name=op.f("ck_subject_request_channel"),
        ),
        sa.CheckConstraint(
            "kind = 'access' OR kind = 'erasure' OR kind = 'rectification' OR kind = 'objection' OR kind = 'portability' OR kind = 'restriction'",
            name=op.f("ck_subject_request_kind"),
        ),
        sa.CheckConstraint(
            "status = 'open' OR status = 'answered' OR status = 'refused'", name=op.f("ck_subject_request_status")
        ),
        sa.ForeignKeyConstraint(["closed_by"], ["staff.id"], name=op.f("fk_subject_request_closed_by")),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_subject_request_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subject_request")),
        sa.UniqueConstraint("public_id", name=op.f("uq_subject_request_public_id")),
    )
    op.create_index("ix_subject_request_address_hash", "subject_request", ["address_hash"], unique=False)
    op.create_index("ix_subject_request_contact_id", "subject_request", ["contact_id"], unique=False)
    op.create_index("ix_subject_request_status", "subject_request", ["status", "due_on", "id"], unique=False)
    op.create_table(
        "kept_figure",
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("word", sa.String(length=60), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_kept_figure_sending_id")),
        sa.PrimaryKeyConstraint("sending_id", "name", "word", name=op.f("pk_kept_figure")),
    )


def downgrade() -> None:
    for table in ("kept_figure", "subject_request", "erasure", "retention_run"):
        op.drop_table(table)
