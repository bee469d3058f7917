"""counts by slot, the breaker's history, canaries, outside figures"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt, Json
from mailer.statuses import BreakerState

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SCOPES = ("workspace", "sending", "domain", "provider")
_STATES = tuple(state.value for state in BreakerState)
_COUNTS = (
    "transmitted", "accepted", "deferred", "hard", "soft", "bounced_later", "complaints", "unsubscribed",
)  # fmt: skip


def _one_of(column: str, words: Iterable[str]) -> str:
    return " OR ".join(f"{column} = '{word}'" for word in words)


def upgrade() -> None:
    op.add_column("sending", sa.Column("canary", Json, nullable=True))
    op.add_column("sending", sa.Column("slowed_to", sa.Integer(), nullable=True))
    op.create_table(
        "rate_slot",
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("slot", UtcDateTime(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_rate_slot_sending_id")),
        sa.PrimaryKeyConstraint("sending_id", "provider", "slot", name=op.f("pk_rate_slot")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rate_slot_slot", "rate_slot", ["slot"])
    op.create_table(
        "rate_look",
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("looked_at", UtcDateTime(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("unknown", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_rate_look_sending_id")),
        sa.PrimaryKeyConstraint("sending_id", name=op.f("pk_rate_look")),
    )
    op.create_index("ix_rate_look_next_at", "rate_look", ["next_at"])
    op.create_index("ix_rate_look_domain", "rate_look", ["domain"])
    with op.batch_alter_table("breaker") as table:
        table.add_column(sa.Column("released_state", sa.String(length=20), nullable=True))
        table.add_column(sa.Column("released_at", UtcDateTime(), nullable=True))
        table.create_check_constraint(op.f("ck_breaker_released_state"), _one_of("released_state", _STATES))
    op.create_table(
        "breaker_change",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("scope_key", sa.String(length=255), nullable=False),
        sa.Column("state_before", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("by_staff_id", BigInt, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(_one_of("scope", _SCOPES), name=op.f("ck_breaker_change_scope")),
        sa.CheckConstraint(_one_of("state", _STATES), name=op.f("ck_breaker_change_state")),
        sa.CheckConstraint(_one_of("state_before", _STATES), name=op.f("ck_breaker_change_state_before")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaker_change")),
    )
    op.create_index("ix_breaker_change_scope", "breaker_change", ["scope", "scope_key", "id"])
    op.create_table(
        "canary_watch",
        sa.Column("sending_id", BigInt, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("out_at", UtcDateTime(), nullable=True),
        sa.Column("watch_until", UtcDateTime(), nullable=True),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("released_by", BigInt, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint(
            _one_of("state", ("filling", "watching", "released", "ended")), name=op.f("ck_canary_watch_state")
        ),
        sa.ForeignKeyConstraint(["sending_id"], ["sending.id"], name=op.f("fk_canary_watch_sending_id")),
        sa.PrimaryKeyConstraint("sending_id", name=op.f("pk_canary_watch")),
    )
    op.create_index("ix_canary_watch_state", "canary_watch", ["state", "sending_id"])
    op.create_table(
        "outside_figure",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("spam_rate", sa.Float(), nullable=True),
        sa.Column("domain_reputation", sa.String(length=20), nullable=False),
        sa.Column("by_staff_id", BigInt, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("spam_rate >= 0 AND spam_rate <= 1", name=op.f("ck_outside_figure_spam_rate")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_figure")),
        sa.UniqueConstraint("source", "domain", "day", name=op.f("uq_outside_figure_source_domain_day")),
    )


def downgrade() -> None:
    for name in ("outside_figure", "canary_watch", "breaker_change", "rate_look", "rate_slot"):
        op.drop_table(name)
    with op.batch_alter_table("breaker") as table:
        table.drop_constraint(op.f("ck_breaker_released_state"), type_="check")
        table.drop_column("released_at")
        table.drop_column("released_state")
    for name in ("slowed_to", "canary"):
        op.drop_column("sending", name)
