"""ways in, lessons of staff"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bounce_mailbox",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.String(length=20), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("folder", sa.String(length=200), nullable=False),
        sa.Column("move_to", sa.String(length=200), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("archived_at", UtcDateTime, nullable=True),
        sa.Column("uid_validity", BigInt, nullable=True),
        sa.Column("last_uid", BigInt, nullable=False),
        sa.Column("fetched", BigInt, nullable=False),
        sa.Column("polled_at", UtcDateTime, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("leased_until", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "security = 'tls' OR security = 'starttls' OR security = 'none'", name=op.f("ck_bounce_mailbox_security")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_mailbox")),
        sa.UniqueConstraint("public_id", name=op.f("uq_bounce_mailbox_public_id")),
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("path_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("archived_at", UtcDateTime, nullable=True),
        sa.Column("last_call_at", UtcDateTime, nullable=True),
        sa.Column("last_good_at", UtcDateTime, nullable=True),
        sa.Column("last_outcome", sa.String(length=20), nullable=False),
        sa.Column("last_note", sa.Text(), nullable=False),
        sa.Column("calls", BigInt, nullable=False),
        sa.Column("refused", BigInt, nullable=False),
        sa.CheckConstraint(
            "provider = 'ses' OR provider = 'sendgrid' OR provider = 'mailgun' OR provider = 'postmark' OR provider = 'sparkpost' OR provider = 'brevo' OR provider = 'mailjet' OR provider = 'mandrill' OR provider = 'mailersend' OR provider = 'resend'",
            name=op.f("ck_webhook_endpoint_provider"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
        sa.UniqueConstraint("path_hash", name=op.f("uq_webhook_endpoint_path_hash")),
        sa.UniqueConstraint("public_id", name=op.f("uq_webhook_endpoint_public_id")),
    )
    op.create_table(
        "bounce_lesson",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("wording", sa.LargeBinary(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint(
            "verdict = 'hard' OR verdict = 'soft' OR verdict = 'delayed' OR verdict = 'complaint' OR verdict = 'unsubscribe' OR verdict = 'not_bounce' OR verdict = 'undetermined'",
            name=op.f("ck_bounce_lesson_verdict"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_bounce_lesson_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_lesson")),
        sa.UniqueConstraint("wording", name=op.f("uq_bounce_lesson_wording")),
    )
    op.create_table(
        "provider_incident",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("hard_rate", sa.Float(), nullable=False),
        sa.Column("mean_rate", sa.Float(), nullable=False),
        sa.Column("lifted", sa.Integer(), nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.Column("closed_by", BigInt, nullable=True),
        sa.CheckConstraint(
            "state = 'open' OR state = 'released' OR state = 'dismissed'", name=op.f("ck_provider_incident_state")
        ),
        sa.ForeignKeyConstraint(["closed_by"], ["staff.id"], name=op.f("fk_provider_incident_closed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_incident")),
    )
    op.create_index(
        "uq_provider_incident_open",
        "provider_incident",
        ["provider"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "webhook_call",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("endpoint_id", BigInt, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_type", sa.String(length=200), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", UtcDateTime, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state = 'received' OR state = 'done' OR state = 'failed'", name=op.f("ck_webhook_call_state")
        ),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoint.id"], name=op.f("fk_webhook_call_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_call")),
        sa.UniqueConstraint("digest", name=op.f("uq_webhook_call_digest")),
    )
    op.create_index("ix_webhook_call_received_at", "webhook_call", ["received_at"], unique=False)
    op.create_index("ix_webhook_call_state", "webhook_call", ["state", "id"], unique=False)
    op.add_column("bounce_report", sa.Column("wording", sa.LargeBinary(length=32), nullable=True))
    op.add_column("bounce_report", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("bounce_report", sa.Column("retry_at", UtcDateTime, nullable=True))
    op.create_index("ix_bounce_report_reason", "bounce_report", ["reason", "id"], unique=False)
    op.create_index("ix_bounce_report_wording", "bounce_report", ["wording", "id"], unique=False)
    op.create_index(
        "ix_event_trouble",
        "event",
        ["id"],
        unique=False,
        sqlite_where=sa.text("kind IN ('hard_bounce', 'soft_bounce', 'delayed', 'complaint')"),
        postgresql_where=sa.text("kind IN ('hard_bounce', 'soft_bounce', 'delayed', 'complaint')"),
    )
    op.create_index(
        "ix_event_trouble_sending",
        "event",
        ["sending_id", "id"],
        unique=False,
        sqlite_where=sa.text("kind IN ('hard_bounce', 'soft_bounce', 'delayed', 'complaint')"),
        postgresql_where=sa.text("kind IN ('hard_bounce', 'soft_bounce', 'delayed', 'complaint')"),
    )
    op.create_index("ix_suppression_address_hash", "suppression", ["address_hash", "reason"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_suppression_address_hash", "suppression")
    op.drop_index("ix_event_trouble_sending", "event")
    op.drop_index("ix_event_trouble", "event")
    with op.batch_alter_table("bounce_report") as batch:
        batch.drop_index("ix_bounce_report_wording")
        batch.drop_index("ix_bounce_report_reason")
        for column in ("wording", "attempts", "retry_at"):
            batch.drop_column(column)
    for table in ("webhook_call", "provider_incident", "bounce_lesson", "webhook_endpoint", "bounce_mailbox"):
        op.drop_table(table)
