"""transports, sending domains and their keys, refusals by policy, repeats"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_attachments()
    op.create_table(
        "sending_domain",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("warm_up_from", UtcDateTime(), nullable=True),
        sa.Column("warm_up_step", sa.Integer(), nullable=False),
        sa.Column("warm_up_day", sa.Date(), nullable=True),
        sa.Column("checks", Json, nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_domain")),
        sa.UniqueConstraint("domain", name=op.f("uq_sending_domain_domain")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sending_domain_public_id")),
    )
    op.create_table(
        "transport",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("label", sa.String(length=300), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("rate_per_second", sa.Integer(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("weight >= 0 AND connections > 0 AND rate_per_second > 0", name=op.f("ck_transport_limits")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transport")),
        sa.UniqueConstraint("public_id", name=op.f("uq_transport_public_id")),
    )
    with op.batch_alter_table("transport", schema=None) as batch_op:
        batch_op.create_index(
            "uq_transport_name",
            ["name"],
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )

    op.create_table(
        "relay_state",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("down_since", UtcDateTime(), nullable=True),
        sa.Column("resting_until", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("last_error_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_relay_state")),
    )
    op.create_table(
        "dkim_key",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("domain_id", BigInt, nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.Column("algorithm", sa.String(length=20), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("algorithm = 'rsa' OR algorithm = 'ed25519'", name=op.f("ck_dkim_key_algorithm")),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["sending_domain.id"], name=op.f("fk_dkim_key_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dkim_key")),
        sa.UniqueConstraint("domain_id", "selector", name=op.f("uq_dkim_key_domain_id_selector")),
    )
    op.create_table(
        "policy_refusal",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_policy_refusal_sending_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_refusal")),
    )
    with op.batch_alter_table("policy_refusal", schema=None) as batch_op:
        batch_op.create_index("ix_policy_refusal_provider_at", ["provider", "at"], unique=False)
        batch_op.create_index("ix_policy_refusal_sending_at", ["sending_id", "at"], unique=False)

    op.create_table(
        "provider_hold",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("held_at", UtcDateTime(), nullable=False),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "reason = 'user' OR reason = 'breaker' OR reason = 'policy' OR reason = 'relay_down' OR reason = 'audience_changed' OR reason = 'quota' OR reason = 'stop_all'",
            name=op.f("ck_provider_hold_reason"),
        ),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_provider_hold_sending_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_hold")),
    )
    with op.batch_alter_table("provider_hold", schema=None) as batch_op:
        batch_op.create_index(
            "uq_provider_hold_sending_id_provider",
            ["sending_id", "provider"],
            unique=True,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("repeats", sa.Integer(), server_default="0", nullable=False))

    with op.batch_alter_table("sending", schema=None) as batch_op:
        batch_op.add_column(sa.Column("keeps_quiet_hours", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("held_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("held_by", BigInt, nullable=True))
        batch_op.create_foreign_key(op.f("fk_sending_held_by"), "staff", ["held_by"], ["id"])

    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.add_column(sa.Column("keeps_quiet_hours", sa.Boolean(), server_default=sa.false(), nullable=False))


def _create_attachments() -> None:
    op.create_table(
        "attachment",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_attachment_content_hash")),
    )
    op.create_table(
        "version_attachment",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("content_version_id", BigInt, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("attachment_id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_version_id"], ["content_version.id"], name=op.f("fk_version_attachment_content_version_id")
        ),
        sa.ForeignKeyConstraint(["attachment_id"], ["attachment.id"], name=op.f("fk_version_attachment_attachment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_attachment")),
        sa.UniqueConstraint(
            "content_version_id", "ordinal", name=op.f("uq_version_attachment_content_version_id_ordinal")
        ),
    )
    op.create_table(
        "campaign_attachment",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("campaign_id", BigInt, nullable=False),
        sa.Column("attachment_id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_attachment_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["attachment_id"], ["attachment.id"], name=op.f("fk_campaign_attachment_attachment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_attachment")),
    )
    with op.batch_alter_table("campaign_attachment", schema=None) as batch_op:
        batch_op.create_index("ix_campaign_attachment_campaign_id", ["campaign_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("campaign_attachment")
    op.drop_table("version_attachment")
    op.drop_table("attachment")
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.drop_column("keeps_quiet_hours")

    with op.batch_alter_table("sending", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_sending_held_by"), type_="foreignkey")
        batch_op.drop_column("held_by")
        batch_op.drop_column("held_at")
        batch_op.drop_column("keeps_quiet_hours")

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_column("repeats")

    with op.batch_alter_table("provider_hold", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_provider_hold_sending_id_provider",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.drop_table("provider_hold")
    with op.batch_alter_table("policy_refusal", schema=None) as batch_op:
        batch_op.drop_index("ix_policy_refusal_sending_at")
        batch_op.drop_index("ix_policy_refusal_provider_at")

    op.drop_table("policy_refusal")
    op.drop_table("dkim_key")
    op.drop_table("relay_state")
    with op.batch_alter_table("transport", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_transport_name",
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )

    op.drop_table("transport")
    op.drop_table("sending_domain")
