"""the first schema"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("email_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("is_valid", sa.Boolean(), nullable=False),
        sa.Column("bounce_state", sa.String(length=20), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "bounce_state = 'ok' OR bounce_state = 'hard' OR bounce_state = 'asleep'",
            name=op.f("ck_address_bounce_state"),
        ),
        sa.CheckConstraint("length(provider) > 0", name=op.f("ck_address_provider")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address")),
        sa.UniqueConstraint("email", name=op.f("uq_address_email")),
        sa.UniqueConstraint("email_hash", name=op.f("uq_address_email_hash")),
    )
    op.create_table(
        "breaker",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("scope_key", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("by_staff_id", BigInt, nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "scope = 'workspace' OR scope = 'sending' OR scope = 'domain' OR scope = 'provider'",
            name=op.f("ck_breaker_scope"),
        ),
        sa.CheckConstraint(
            "state = 'ok' OR state = 'review' OR state = 'throttled' OR state = 'paused' OR state = 'disabled'",
            name=op.f("ck_breaker_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaker")),
        sa.UniqueConstraint("scope", "scope_key", name=op.f("uq_breaker_scope_scope_key")),
    )
    op.create_table(
        "contact_field",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("key", sa.String(length=50), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("choices", Json, nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "type = 'text' OR type = 'number' OR type = 'date' OR type = 'yes_no' OR type = 'choice' OR type = 'tags'",
            name=op.f("ck_contact_field_type"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_field")),
        sa.UniqueConstraint("key", name=op.f("uq_contact_field_key")),
    )
    op.create_table(
        "content_version",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("preheader", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_version")),
        sa.UniqueConstraint("public_id", name=op.f("uq_content_version_public_id")),
    )
    with op.batch_alter_table("content_version", schema=None) as batch_op:
        batch_op.create_index("ix_content_version_content_hash", ["content_hash"], unique=False)

    op.create_table(
        "design",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("mjml", sa.Text(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_design")),
        sa.UniqueConstraint("name", name=op.f("uq_design_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_design_public_id")),
    )
    op.create_table(
        "sender",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("from_name", sa.String(length=200), nullable=False),
        sa.Column("from_email", sa.String(length=254), nullable=False),
        sa.Column("reply_to", sa.String(length=254), nullable=False),
        sa.Column("postal_address", sa.Text(), nullable=False),
        sa.Column("organisation_number", sa.String(length=50), nullable=False),
        sa.Column("privacy_url", sa.Text(), nullable=False),
        sa.Column("footer", sa.Text(), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender")),
        sa.UniqueConstraint("name", name=op.f("uq_sender_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sender_public_id")),
    )
    op.create_table(
        "spool_position",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("host", sa.String(length=100), nullable=False),
        sa.Column("file", sa.String(length=100), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spool_position")),
        sa.UniqueConstraint("host", "file", name=op.f("uq_spool_position_host_file")),
    )
    op.create_table(
        "staff",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("session_version", sa.Integer(), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", UtcDateTime(), nullable=True),
        sa.Column("last_login_at", UtcDateTime(), nullable=True),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "role = 'marketer' OR role = 'approver' OR role = 'sales' OR role = 'ops' OR role = 'admin'",
            name=op.f("ck_staff_role"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
        sa.UniqueConstraint("public_id", name=op.f("uq_staff_public_id")),
    )
    op.create_table(
        "tag",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("name", name=op.f("uq_tag_name")),
    )
    op.create_table(
        "topic",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_own_products", sa.Boolean(), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic")),
        sa.UniqueConstraint("name", name=op.f("uq_topic_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_topic_public_id")),
    )
    op.create_table(
        "workspace",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("clock_offset_seconds", sa.Integer(), nullable=False),
        sa.Column("limits", Json, nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.Column("stop_note", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_workspace_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace")),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("staff_id", BigInt, nullable=True),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", BigInt, nullable=True),
        sa.Column("detail", Json, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_audit_event_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index("ix_audit_event_subject", ["subject_kind", "subject_id", "id"], unique=False)

    op.create_table(
        "company",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("industry", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=100), nullable=False),
        sa.Column("country", sa.String(length=100), nullable=False),
        sa.Column("owner_id", BigInt, nullable=True),
        sa.Column("do_not_mail", sa.Boolean(), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name=op.f("fk_company_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company")),
        sa.UniqueConstraint("public_id", name=op.f("uq_company_public_id")),
    )
    with op.batch_alter_table("company", schema=None) as batch_op:
        batch_op.create_index("ix_company_name", ["name"], unique=False)

    op.create_table(
        "consent_event",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("ledger_id", BigInt, nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("topic_id", BigInt, nullable=True),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("permission", sa.String(length=20), nullable=True),
        sa.Column("basis", sa.String(length=20), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("wording_version", sa.String(length=40), nullable=False),
        sa.Column("evidence_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("message_id", BigInt, nullable=True),
        sa.Column("by_staff_id", BigInt, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "basis = 'consent' OR basis = 'customer' OR basis = 'business' OR basis = 'contract' OR basis = 'legal_duty' OR basis = 'vital' OR basis = 'public'",
            name=op.f("ck_consent_event_basis"),
        ),
        sa.CheckConstraint(
            "permission = 'consent' OR permission = 'customer' OR permission = 'business' OR permission = 'none' OR permission = 'withdrawn'",
            name=op.f("ck_consent_event_permission"),
        ),
        sa.CheckConstraint("purpose = 'e_marketing'", name=op.f("ck_consent_event_purpose")),
        sa.CheckConstraint(
            "verdict = 'given' OR verdict = 'withdrawn' OR verdict = 'subscribed' OR verdict = 'unsubscribed'",
            name=op.f("ck_consent_event_verdict"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
    )
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.create_index("ix_consent_event_ledger_id", ["ledger_id", "id"], unique=False)

    op.create_table(
        "import_run",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("mapping", Json, nullable=False),
        sa.Column("basis", sa.String(length=20), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("topic_ids", Json, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("new_count", sa.Integer(), nullable=False),
        sa.Column("updated_count", sa.Integer(), nullable=False),
        sa.Column("unchanged_count", sa.Integer(), nullable=False),
        sa.Column("refused_count", sa.Integer(), nullable=False),
        sa.Column("refused_path", sa.Text(), nullable=False),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "basis = 'consent' OR basis = 'customer' OR basis = 'business' OR basis = 'contract' OR basis = 'legal_duty' OR basis = 'vital' OR basis = 'public'",
            name=op.f("ck_import_run_basis"),
        ),
        sa.CheckConstraint("kind = 'contacts' OR kind = 'activities'", name=op.f("ck_import_run_kind")),
        sa.CheckConstraint(
            "status = 'running' OR status = 'done' OR status = 'failed'", name=op.f("ck_import_run_status")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_import_run_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
        sa.UniqueConstraint("public_id", name=op.f("uq_import_run_public_id")),
    )
    with op.batch_alter_table("import_run", schema=None) as batch_op:
        batch_op.create_index("ix_import_run_created_at", ["created_at", "id"], unique=False)
        batch_op.create_index("ix_import_run_digest", ["digest"], unique=False)

    op.create_table(
        "segment",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("rule", Json, nullable=True),
        sa.Column("operation", sa.String(length=20), nullable=True),
        sa.Column("visibility", sa.String(length=20), nullable=False),
        sa.Column("is_watched", sa.Boolean(), nullable=False),
        sa.Column("owner_id", BigInt, nullable=True),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("(kind = 'combined') = (operation IS NOT NULL)", name=op.f("ck_segment_combined")),
        sa.CheckConstraint("(kind = 'dynamic') = (rule IS NOT NULL)", name=op.f("ck_segment_rule")),
        sa.CheckConstraint("kind = 'static' OR kind = 'dynamic' OR kind = 'combined'", name=op.f("ck_segment_kind")),
        sa.CheckConstraint(
            "operation = 'union' OR operation = 'intersection' OR operation = 'only_first' OR operation = 'only_second' OR operation = 'exactly_one'",
            name=op.f("ck_segment_operation"),
        ),
        sa.CheckConstraint("visibility = 'all' OR visibility = 'private'", name=op.f("ck_segment_visibility")),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name=op.f("fk_segment_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_segment_public_id")),
    )
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.create_index("ix_segment_name", ["name"], unique=False)

    op.create_table(
        "sending",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("class", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("topic_id", BigInt, nullable=True),
        sa.Column("sender_id", BigInt, nullable=False),
        sa.Column("content_version_id", BigInt, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("hold_reason", sa.String(length=20), nullable=True),
        sa.Column("hold_note", sa.Text(), nullable=False),
        sa.Column("release_limit", sa.Integer(), nullable=True),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("rate_per_second", sa.Integer(), nullable=True),
        sa.Column("track_opens", sa.Boolean(), nullable=False),
        sa.Column("track_clicks", sa.Boolean(), nullable=False),
        sa.Column("send_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "class = 'marketing' OR class = 'transactional' OR class = 'confirmation' OR class = 'test' OR class = 'staff'",
            name=op.f("ck_sending_class"),
        ),
        sa.CheckConstraint(
            "hold_reason = 'user' OR hold_reason = 'breaker' OR hold_reason = 'policy' OR hold_reason = 'relay_down' OR hold_reason = 'audience_changed' OR hold_reason = 'quota' OR hold_reason = 'stop_all'",
            name=op.f("ck_sending_hold_reason"),
        ),
        sa.CheckConstraint("purpose = 'e_marketing'", name=op.f("ck_sending_purpose")),
        sa.CheckConstraint(
            "state = 'preparing' OR state = 'sending' OR state = 'paused' OR state = 'finished' OR state = 'cancelled'",
            name=op.f("ck_sending_state"),
        ),
        sa.ForeignKeyConstraint(
            ["content_version_id"], ["content_version.id"], name=op.f("fk_sending_content_version_id")
        ),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name=op.f("fk_sending_sender_id")),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_sending_topic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sending_public_id")),
    )
    with op.batch_alter_table("sending", schema=None) as batch_op:
        batch_op.create_index("ix_sending_state", ["state", "id"], unique=False)

    op.create_table(
        "suppression",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("topic_id", BigInt, nullable=True),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_id", BigInt, nullable=True),
        sa.Column("is_suspect", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("lifted_at", UtcDateTime(), nullable=True),
        sa.Column("lifted_by", BigInt, nullable=True),
        sa.CheckConstraint(
            "reason = 'hard_bounce' OR reason = 'soft_bounces' OR reason = 'complaint' OR reason = 'unsubscribe' OR reason = 'manual' OR reason = 'erasure' OR reason = 'provider'",
            name=op.f("ck_suppression_reason"),
        ),
        sa.CheckConstraint("scope = 'all' OR scope = 'topic'", name=op.f("ck_suppression_scope")),
        sa.ForeignKeyConstraint(["lifted_by"], ["staff.id"], name=op.f("fk_suppression_lifted_by")),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_suppression_topic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
    )
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.create_index("ix_suppression_created_at", ["created_at", "id"], unique=False)

    op.create_table(
        "tracked_link",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("content_version_id", BigInt, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("response", sa.String(length=20), nullable=False),
        sa.CheckConstraint("response = 'redirect' OR response = 'confirm'", name=op.f("ck_tracked_link_response")),
        sa.ForeignKeyConstraint(
            ["content_version_id"], ["content_version.id"], name=op.f("fk_tracked_link_content_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracked_link")),
        sa.UniqueConstraint("content_version_id", "ordinal", name=op.f("uq_tracked_link_content_version_id_ordinal")),
    )
    op.create_table(
        "campaign",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("preheader", sa.Text(), nullable=False),
        sa.Column("sender_id", BigInt, nullable=True),
        sa.Column("topic_id", BigInt, nullable=True),
        sa.Column("is_transactional", sa.Boolean(), nullable=False),
        sa.Column("transactional_reason", sa.Text(), nullable=False),
        sa.Column("design", sa.String(length=200), nullable=False),
        sa.Column("mjml", sa.Text(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("links", Json, nullable=False),
        sa.Column("track_opens", sa.Boolean(), nullable=False),
        sa.Column("track_clicks", sa.Boolean(), nullable=False),
        sa.Column("rate_per_second", sa.Integer(), nullable=True),
        sa.Column("send_at", UtcDateTime(), nullable=True),
        sa.Column("send_until", UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("approved_count", sa.Integer(), nullable=True),
        sa.Column("audience_on", UtcDateTime(), nullable=True),
        sa.Column("audience_cursor", BigInt, nullable=True),
        sa.Column("sending_id", BigInt, nullable=True),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("launched_by", BigInt, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status = 'draft' OR status = 'scheduled' OR status = 'preparing' OR status = 'sending' OR status = 'paused' OR status = 'finished' OR status = 'cancelled' OR status = 'missed'",
            name=op.f("ck_campaign_status"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name=op.f("fk_campaign_created_by")),
        sa.ForeignKeyConstraint(["launched_by"], ["staff.id"], name=op.f("fk_campaign_launched_by")),
        sa.ForeignKeyConstraint(["sender_id"], ["sender.id"], name=op.f("fk_campaign_sender_id")),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_campaign_sending_id")),
        sa.ForeignKeyConstraint(["topic_id"], ["topic.id"], name=op.f("fk_campaign_topic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("public_id", name=op.f("uq_campaign_public_id")),
        sa.UniqueConstraint("sending_id", name=op.f("uq_campaign_sending_id")),
    )
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.create_index("ix_campaign_created_at", ["created_at", "id"], unique=False)
        batch_op.create_index("ix_campaign_status", ["status", "send_at"], unique=False)

    op.create_table(
        "consent_evidence",
        sa.Column("consent_event_id", BigInt, nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_event_id"], ["consent_event.id"], name=op.f("fk_consent_evidence_consent_event_id")
        ),
        sa.PrimaryKeyConstraint("consent_event_id", name=op.f("pk_consent_evidence")),
    )
    op.create_table(
        "contact",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("ledger_id", BigInt, nullable=False),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("address_id", BigInt, nullable=True),
        sa.Column("first_name", sa.String(length=200), nullable=False),
        sa.Column("last_name", sa.String(length=200), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=50), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("country", sa.String(length=100), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=100), nullable=False),
        sa.Column("owner_id", BigInt, nullable=True),
        sa.Column("company_id", BigInt, nullable=True),
        sa.Column("do_not_mail", sa.Boolean(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("import_id", BigInt, nullable=True),
        sa.Column("archived_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name=op.f("fk_contact_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("ledger_id", name=op.f("uq_contact_ledger_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_contact_public_id")),
    )
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.create_index("ix_contact_address_id", ["address_id"], unique=False)
        batch_op.create_index("ix_contact_company_id", ["company_id"], unique=False)
        batch_op.create_index("ix_contact_created_at", ["created_at", "id"], unique=False)
        batch_op.create_index(
            "ix_contact_live",
            ["id", "archived_at"],
            unique=False,
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )
        batch_op.create_index(
            "ix_contact_owner_id",
            ["owner_id"],
            unique=False,
            sqlite_where=sa.text("owner_id IS NOT NULL"),
            postgresql_where=sa.text("owner_id IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_contact_external_id",
            ["external_id"],
            unique=True,
            sqlite_where=sa.text("external_id IS NOT NULL"),
            postgresql_where=sa.text("external_id IS NOT NULL"),
        )

    op.create_table(
        "link_action",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tracked_link_id", BigInt, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("is_repeated", sa.Boolean(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "kind = 'add_to_segment' OR kind = 'remove_from_segment' OR kind = 'follow_up'",
            name=op.f("ck_link_action_kind"),
        ),
        sa.ForeignKeyConstraint(["tracked_link_id"], ["tracked_link.id"], name=op.f("fk_link_action_tracked_link_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_action")),
        sa.UniqueConstraint("tracked_link_id", "ordinal", name=op.f("uq_link_action_tracked_link_id_ordinal")),
    )
    op.create_table(
        "segment_input",
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("input_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(["input_id"], ["segment.id"], name=op.f("fk_segment_input_input_id")),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_input_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", "ordinal", name=op.f("pk_segment_input")),
    )
    with op.batch_alter_table("segment_input", schema=None) as batch_op:
        batch_op.create_index("ix_segment_input_input_id", ["input_id"], unique=False)

    op.create_table(
        "segment_use",
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("user_kind", sa.String(length=40), nullable=False),
        sa.Column("user_id", BigInt, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_segment_use_segment_id")),
        sa.PrimaryKeyConstraint("segment_id", "user_kind", "user_id", name=op.f("pk_segment_use")),
    )
    op.create_table(
        "send_batch",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("token", BigInt, nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.CheckConstraint("state = 'ready' OR state = 'leased' OR state = 'done'", name=op.f("ck_send_batch_state")),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_send_batch_sending_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_batch")),
        sa.UniqueConstraint("sending_id", "ordinal", "id", name=op.f("uq_send_batch_sending_id_ordinal_id")),
    )
    with op.batch_alter_table("send_batch", schema=None) as batch_op:
        batch_op.create_index("ix_send_batch_due", ["sending_id", "state", "not_before", "ordinal"], unique=False)
        batch_op.create_index("ix_send_batch_lease", ["state", "lease_until"], unique=False)

    op.create_table(
        "activity",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("amount", BigInt, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("import_id", BigInt, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_activity_contact_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity")),
    )
    with op.batch_alter_table("activity", schema=None) as batch_op:
        batch_op.create_index("ix_activity_contact_kind_at", ["contact_id", "kind", "at"], unique=False)
        batch_op.create_index("ix_activity_kind_at", ["kind", "at", "contact_id", "amount", "currency"], unique=False)
        batch_op.create_index(
            "uq_activity_kind_external_id",
            ["kind", "external_id"],
            unique=True,
            sqlite_where=sa.text("external_id IS NOT NULL"),
            postgresql_where=sa.text("external_id IS NOT NULL"),
        )

    op.create_table(
        "campaign_segment",
        sa.Column("campaign_id", BigInt, nullable=False),
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.CheckConstraint("mode = 'include' OR mode = 'exclude'", name=op.f("ck_campaign_segment_mode")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_segment_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_campaign_segment_segment_id")),
        sa.PrimaryKeyConstraint("campaign_id", "segment_id", "mode", name=op.f("pk_campaign_segment")),
    )
    op.create_table(
        "consent",
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("permission", sa.String(length=20), nullable=False),
        sa.Column("basis", sa.String(length=20), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "basis = 'consent' OR basis = 'customer' OR basis = 'business' OR basis = 'contract' OR basis = 'legal_duty' OR basis = 'vital' OR basis = 'public'",
            name=op.f("ck_consent_basis"),
        ),
        sa.CheckConstraint(
            "permission = 'consent' OR permission = 'customer' OR permission = 'business' OR permission = 'none' OR permission = 'withdrawn'",
            name=op.f("ck_consent_permission"),
        ),
        sa.CheckConstraint("purpose = 'e_marketing'", name=op.f("ck_consent_purpose")),
        sa.PrimaryKeyConstraint("contact_id", "purpose", name=op.f("pk_consent")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contact_tag",
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("tag_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_contact_tag_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_contact_tag_tag_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contact_id", "tag_id", name=op.f("pk_contact_tag")),
    )
    with op.batch_alter_table("contact_tag", schema=None) as batch_op:
        batch_op.create_index("ix_contact_tag_tag_id", ["tag_id", "contact_id"], unique=False)

    op.create_table(
        "engagement",
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("last_open_at", UtcDateTime(), nullable=True),
        sa.Column("last_human_open_at", UtcDateTime(), nullable=True),
        sa.Column("last_click_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_engagement_contact_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_engagement")),
    )
    op.create_table(
        "follow_up",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("owner_id", BigInt, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("tracked_link_id", BigInt, nullable=True),
        sa.Column("segment_id", BigInt, nullable=True),
        sa.Column("dedupe_key", sa.String(length=100), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind = 'to_do' OR kind = 'call' OR kind = 'meeting'", name=op.f("ck_follow_up_kind")),
        sa.CheckConstraint(
            "outcome = 'reached' OR outcome = 'not_interested' OR outcome = 'meeting' OR outcome = 'sale' OR outcome = ''",
            name=op.f("ck_follow_up_outcome"),
        ),
        sa.CheckConstraint(
            "status = 'open' OR status = 'done' OR status = 'cancelled'", name=op.f("ck_follow_up_status")
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_follow_up_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name=op.f("fk_follow_up_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_follow_up_segment_id")),
        sa.ForeignKeyConstraint(["tracked_link_id"], ["tracked_link.id"], name=op.f("fk_follow_up_tracked_link_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_up")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_follow_up_dedupe_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_follow_up_public_id")),
    )
    with op.batch_alter_table("follow_up", schema=None) as batch_op:
        batch_op.create_index("ix_follow_up_contact_id", ["contact_id"], unique=False)
        batch_op.create_index("ix_follow_up_due", ["status", "due_on", "id"], unique=False)
        batch_op.create_index("ix_follow_up_owner", ["owner_id", "status", "due_on", "id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=True),
        sa.Column("address_id", BigInt, nullable=True),
        sa.Column("to_address", sa.String(length=254), nullable=True),
        sa.Column("recipient_key", BigInt, nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("batch_id", BigInt, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("gate_token", BigInt, nullable=True),
        sa.Column("gate_at", UtcDateTime(), nullable=True),
        sa.Column("accepted_at", UtcDateTime(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("relay_message_id", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "state = 'queued' OR state = 'transmitting' OR state = 'accepted' OR state = 'failed' OR state = 'skipped' OR state = 'unknown' OR state = 'expired' OR state = 'cancelled' OR state = 'quarantined'",
            name=op.f("ck_message_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "sending_id", "recipient_key", "occurrence", name=op.f("uq_message_sending_id_recipient_key_occurrence")
        ),
        postgresql_with={"fillfactor": 70},
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index("ix_message_batch_id", ["batch_id", "id"], unique=False)
        batch_op.create_index("ix_message_contact_id", ["contact_id", "id"], unique=False)
        batch_op.create_index(
            "ix_message_relay_message_id",
            ["relay_message_id"],
            unique=False,
            sqlite_where=sa.text("relay_message_id IS NOT NULL"),
            postgresql_where=sa.text("relay_message_id IS NOT NULL"),
        )
        batch_op.create_index("ix_message_sending_id", ["sending_id", "id"], unique=False)

    op.create_table(
        "segment_member",
        sa.Column("segment_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", BigInt, nullable=True),
        sa.Column("cause", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["added_by"], ["staff.id"], name=op.f("fk_segment_member_added_by")),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_segment_member_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_member_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", "contact_id", name=op.f("pk_segment_member")),
    )
    with op.batch_alter_table("segment_member", schema=None) as batch_op:
        batch_op.create_index("ix_segment_member_contact_id", ["contact_id"], unique=False)

    op.create_table(
        "subscription",
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("topic_id", BigInt, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status = 'pending' OR status = 'subscribed' OR status = 'unsubscribed'",
            name=op.f("ck_subscription_status"),
        ),
        sa.PrimaryKeyConstraint("contact_id", "topic_id", name=op.f("pk_subscription")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.create_index("ix_subscription_topic_id", ["topic_id", "status", "contact_id"], unique=False)

    op.create_table(
        "test_sending",
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("campaign_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_test_sending_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_test_sending_sending_id")),
        sa.PrimaryKeyConstraint("sending_id", name=op.f("pk_test_sending")),
    )
    op.create_table(
        "action_run",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("link_action_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=False),
        sa.Column("message_id", BigInt, nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("hit_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state = 'pending' OR state = 'done' OR state = 'void' OR state = 'refused'",
            name=op.f("ck_action_run_state"),
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_action_run_contact_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["link_action_id"], ["link_action.id"], name=op.f("fk_action_run_link_action_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_action_run_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action_run")),
        sa.UniqueConstraint(
            "link_action_id",
            "contact_id",
            "occurrence",
            name=op.f("uq_action_run_link_action_id_contact_id_occurrence"),
        ),
    )
    with op.batch_alter_table("action_run", schema=None) as batch_op:
        batch_op.create_index("ix_action_run_due", ["state", "due_at"], unique=False)
        batch_op.create_index("ix_action_run_message_id", ["message_id"], unique=False)

    op.create_table(
        "bounce_report",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("mail_from", sa.String(length=320), nullable=False),
        sa.Column("rcpt_to", sa.String(length=320), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.Column("blame", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("recipients", Json, nullable=False),
        sa.Column("diagnostic", sa.Text(), nullable=False),
        sa.Column("matched_by", sa.String(length=40), nullable=False),
        sa.Column("message_id", BigInt, nullable=True),
        sa.CheckConstraint(
            "blame = 'address' OR blame = 'mailbox' OR blame = 'content' OR blame = 'policy' OR blame = 'sender' OR blame = 'throttle' OR blame = 'network' OR blame = 'unknown'",
            name=op.f("ck_bounce_report_blame"),
        ),
        sa.CheckConstraint(
            "state = 'received' OR state = 'matched' OR state = 'unmatched' OR state = 'ignored'",
            name=op.f("ck_bounce_report_state"),
        ),
        sa.CheckConstraint(
            "verdict = 'hard' OR verdict = 'soft' OR verdict = 'delayed' OR verdict = 'complaint' OR verdict = 'unsubscribe' OR verdict = 'not_bounce' OR verdict = 'undetermined'",
            name=op.f("ck_bounce_report_verdict"),
        ),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_bounce_report_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_report")),
        sa.UniqueConstraint("digest", name=op.f("uq_bounce_report_digest")),
    )
    with op.batch_alter_table("bounce_report", schema=None) as batch_op:
        batch_op.create_index("ix_bounce_report_message_id", ["message_id"], unique=False)
        batch_op.create_index("ix_bounce_report_received_at", ["received_at", "id"], unique=False)
        batch_op.create_index("ix_bounce_report_state", ["state", "id"], unique=False)

    op.create_table(
        "event",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("message_id", BigInt, nullable=False),
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("contact_id", BigInt, nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("class", sa.String(length=20), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("tracked_link_id", BigInt, nullable=True),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("dedupe_key", sa.String(length=100), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.CheckConstraint("class = 'human' OR class = 'proxy' OR class = 'machine'", name=op.f("ck_event_class")),
        sa.CheckConstraint(
            "kind = 'delivered' OR kind = 'hard_bounce' OR kind = 'soft_bounce' OR kind = 'delayed' OR kind = 'complaint' OR kind = 'open' OR kind = 'click' OR kind = 'unsubscribe'",
            name=op.f("ck_event_kind"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_event_contact_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_event_message_id")),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_event_sending_id")),
        sa.ForeignKeyConstraint(["tracked_link_id"], ["tracked_link.id"], name=op.f("fk_event_tracked_link_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_event_dedupe_key")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_contact_kind_at", ["contact_id", "kind", "at", "class", "sending_id"], unique=False
        )
        batch_op.create_index("ix_event_kind_at", ["kind", "at", "class", "contact_id"], unique=False)
        batch_op.create_index("ix_event_message_id", ["message_id", "id"], unique=False)
        batch_op.create_index(
            "ix_event_sending_kind_at", ["sending_id", "kind", "at", "class", "contact_id"], unique=False
        )

    op.create_table(
        "hit",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("message_id", BigInt, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("link", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("class", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.CheckConstraint("class = 'human' OR class = 'proxy' OR class = 'machine'", name=op.f("ck_hit_class")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_hit_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hit")),
    )
    with op.batch_alter_table("hit", schema=None) as batch_op:
        batch_op.create_index("ix_hit_at", ["at"], unique=False)
        batch_op.create_index("ix_hit_message_id", ["message_id", "at"], unique=False)

    op.create_index(
        "uq_suppression_active",
        "suppression",
        ["address_hash", "reason", sa.text("coalesce(topic_id, 0)")],
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )


def downgrade() -> None:
    with op.batch_alter_table("hit", schema=None) as batch_op:
        batch_op.drop_index("ix_hit_message_id")
        batch_op.drop_index("ix_hit_at")

    op.drop_table("hit")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_sending_kind_at")
        batch_op.drop_index("ix_event_message_id")
        batch_op.drop_index("ix_event_kind_at")
        batch_op.drop_index("ix_event_contact_kind_at")

    op.drop_table("event")
    with op.batch_alter_table("bounce_report", schema=None) as batch_op:
        batch_op.drop_index("ix_bounce_report_state")
        batch_op.drop_index("ix_bounce_report_received_at")
        batch_op.drop_index("ix_bounce_report_message_id")

    op.drop_table("bounce_report")
    with op.batch_alter_table("action_run", schema=None) as batch_op:
        batch_op.drop_index("ix_action_run_message_id")
        batch_op.drop_index("ix_action_run_due")

    op.drop_table("action_run")
    op.drop_table("test_sending")
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.drop_index("ix_subscription_topic_id")

    op.drop_table("subscription")
    with op.batch_alter_table("segment_member", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_member_contact_id")

    op.drop_table("segment_member")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index("ix_message_sending_id")
        batch_op.drop_index(
            "ix_message_relay_message_id",
            sqlite_where=sa.text("relay_message_id IS NOT NULL"),
            postgresql_where=sa.text("relay_message_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_message_contact_id")
        batch_op.drop_index("ix_message_batch_id")

    op.drop_table("message")
    with op.batch_alter_table("follow_up", schema=None) as batch_op:
        batch_op.drop_index("ix_follow_up_owner")
        batch_op.drop_index("ix_follow_up_due")
        batch_op.drop_index("ix_follow_up_contact_id")

    op.drop_table("follow_up")
    op.drop_table("engagement")
    with op.batch_alter_table("contact_tag", schema=None) as batch_op:
        batch_op.drop_index("ix_contact_tag_tag_id")

    op.drop_table("contact_tag")
    op.drop_table("consent")
    op.drop_table("campaign_segment")
    with op.batch_alter_table("activity", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_activity_kind_external_id",
            sqlite_where=sa.text("external_id IS NOT NULL"),
            postgresql_where=sa.text("external_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_activity_kind_at")
        batch_op.drop_index("ix_activity_contact_kind_at")

    op.drop_table("activity")
    with op.batch_alter_table("send_batch", schema=None) as batch_op:
        batch_op.drop_index("ix_send_batch_lease")
        batch_op.drop_index("ix_send_batch_due")

    op.drop_table("send_batch")
    op.drop_table("segment_use")
    with op.batch_alter_table("segment_input", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_input_input_id")

    op.drop_table("segment_input")
    op.drop_table("link_action")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_contact_external_id",
            sqlite_where=sa.text("external_id IS NOT NULL"),
            postgresql_where=sa.text("external_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_contact_owner_id",
            sqlite_where=sa.text("owner_id IS NOT NULL"),
            postgresql_where=sa.text("owner_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_contact_live",
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )
        batch_op.drop_index("ix_contact_created_at")
        batch_op.drop_index("ix_contact_company_id")
        batch_op.drop_index("ix_contact_address_id")

    op.drop_table("contact")
    op.drop_table("consent_evidence")
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.drop_index("ix_campaign_status")
        batch_op.drop_index("ix_campaign_created_at")

    op.drop_table("campaign")
    op.drop_table("tracked_link")
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.drop_index("ix_suppression_created_at")

    op.drop_table("suppression")
    with op.batch_alter_table("sending", schema=None) as batch_op:
        batch_op.drop_index("ix_sending_state")

    op.drop_table("sending")
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_name")

    op.drop_table("segment")
    with op.batch_alter_table("import_run", schema=None) as batch_op:
        batch_op.drop_index("ix_import_run_digest")
        batch_op.drop_index("ix_import_run_created_at")

    op.drop_table("import_run")
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.drop_index("ix_consent_event_ledger_id")

    op.drop_table("consent_event")
    with op.batch_alter_table("company", schema=None) as batch_op:
        batch_op.drop_index("ix_company_name")

    op.drop_table("company")
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_event_subject")

    op.drop_table("audit_event")
    op.drop_table("workspace")
    op.drop_table("topic")
    op.drop_table("tag")
    op.drop_table("staff")
    op.drop_table("spool_position")
    op.drop_table("sender")
    op.drop_table("design")
    with op.batch_alter_table("content_version", schema=None) as batch_op:
        batch_op.drop_index("ix_content_version_content_hash")

    op.drop_table("content_version")
    op.drop_table("contact_field")
    op.drop_table("breaker")
    op.drop_table("address")
