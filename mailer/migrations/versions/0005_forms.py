"""sign-up forms"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "form",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("is_double", sa.Boolean(), nullable=False),
        sa.Column("sender_id", BigInt, nullable=True),
        sa.Column("fields", Json, nullable=False),
        sa.Column("topic_ids", Json, nullable=False),
        sa.Column("look", Json, nullable=False),
        sa.Column("sites", Json, nullable=False),
        sa.Column("actions", Json, nullable=False),
        sa.Column("closes_at", UtcDateTime(), nullable=True),
        sa.Column("closes_after", sa.Integer(), nullable=True),
        sa.Column("confirmed_count", sa.Integer(), nullable=False),
        sa.Column("version_id", BigInt, nullable=True),
        sa.Column("version_key", sa.String(length=64), nullable=False),
        sa.Column("tripped_at", UtcDateTime(), nullable=True),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state = 'draft' OR state = 'open' OR state = 'closed'", name=op.f("ck_form_state")),
        sa.CheckConstraint("closes_after IS NULL OR confirmed_count <= closes_after", name=op.f("ck_form_places")),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_form_created_by")),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name=op.f("fk_form_sender_id")),
        sa.ForeignKeyConstraint(["version_id"], ["content_version.id"], name=op.f("fk_form_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form")),
        sa.UniqueConstraint("public_id", name=op.f("uq_form_public_id")),
    )
    op.create_table(
        "form_refusal",
        sa.Column("form_id", BigInt, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "reason = 'honeypot' OR reason = 'too_quick' OR reason = 'too_old' OR reason = 'replayed' OR reason = 'foreign_site' OR reason = 'address_limit' OR reason = 'ip_limit' OR reason = 'network_limit' OR reason = 'domain_limit' OR reason = 'breaker' OR reason = 'mail_limit' OR reason = 'suppressed' OR reason = 'complained' OR reason = 'repeated' OR reason = 'unconfirmed' OR reason = 'full' OR reason = 'closed'",
            name=op.f("ck_form_refusal_reason"),
        ),
        sa.ForeignKeyConstraint(["form_id"], ["form.id"], name=op.f("fk_form_refusal_form_id")),
        sa.PrimaryKeyConstraint("form_id", "day", "reason", name=op.f("pk_form_refusal")),
    )
    op.create_table(
        "form_wording",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("form_id", BigInt, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_form_wording_created_by")),
        sa.ForeignKeyConstraint(["form_id"], ["form.id"], name=op.f("fk_form_wording_form_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form_wording")),
        sa.UniqueConstraint("form_id", "version", name=op.f("uq_form_wording_form_id_version")),
    )
    op.create_table(
        "sign_up",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("form_id", BigInt, nullable=False),
        sa.Column("wording_id", BigInt, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("data", Json, nullable=False),
        sa.Column("topic_ids", Json, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=True),
        sa.Column("message_id", BigInt, nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("contact_id", BigInt, nullable=True),
        sa.CheckConstraint(
            "reason = 'honeypot' OR reason = 'too_quick' OR reason = 'too_old' OR reason = 'replayed' OR reason = 'foreign_site' OR reason = 'address_limit' OR reason = 'ip_limit' OR reason = 'network_limit' OR reason = 'domain_limit' OR reason = 'breaker' OR reason = 'mail_limit' OR reason = 'suppressed' OR reason = 'complained' OR reason = 'repeated' OR reason = 'unconfirmed' OR reason = 'full' OR reason = 'closed' OR reason = ''",
            name=op.f("ck_sign_up_reason"),
        ),
        sa.CheckConstraint(
            "status = 'pending' OR status = 'confirmed' OR status = 'expired' OR status = 'refused'",
            name=op.f("ck_sign_up_status"),
        ),
        sa.ForeignKeyConstraint(["form_id"], ["form.id"], name=op.f("fk_sign_up_form_id")),
        sa.ForeignKeyConstraint(["wording_id"], ["form_wording.id"], name=op.f("fk_sign_up_wording_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_up")),
        sa.UniqueConstraint("message_id", name=op.f("uq_sign_up_message_id")),
    )
    with op.batch_alter_table("sign_up", schema=None) as batch_op:
        batch_op.create_index("ix_sign_up_address_hash", ["address_hash", "id"], unique=False)
        batch_op.create_index("ix_sign_up_form_status", ["form_id", "status", "id"], unique=False)
        batch_op.create_index("ix_sign_up_submitted_at", ["status", "submitted_at"], unique=False)
        batch_op.create_index(
            "ix_sign_up_unhandled",
            ["id"],
            unique=False,
            sqlite_where=sa.text("handled_at IS NULL"),
            postgresql_where=sa.text("handled_at IS NULL"),
        )
    op.create_table(
        "sign_up_address",
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.Column("last_mail_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("address_hash", name=op.f("pk_sign_up_address")),
    )


def downgrade() -> None:
    with op.batch_alter_table("sign_up", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_sign_up_unhandled",
            sqlite_where=sa.text("handled_at IS NULL"),
            postgresql_where=sa.text("handled_at IS NULL"),
        )
        batch_op.drop_index("ix_sign_up_submitted_at")
        batch_op.drop_index("ix_sign_up_form_status")
        batch_op.drop_index("ix_sign_up_address_hash")

    op.drop_table("sign_up")
    op.drop_table("form_wording")
    op.drop_table("form_refusal")
    op.drop_table("form")
    op.drop_table("sign_up_address")
