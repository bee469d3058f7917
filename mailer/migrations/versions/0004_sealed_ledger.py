"""the consent ledger is append-only and sealed in blocks"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("consent_event", "consent_block")
_REFUSAL = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$
"""


def upgrade() -> None:
    op.create_table(
        "consent_block",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("previous_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("last_id", BigInt, nullable=False),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_block")),
        sa.UniqueConstraint("previous_digest", name=op.f("uq_consent_block_previous_digest")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            for change in ("update", "delete"):
                op.execute(
                    f"CREATE TRIGGER tr_{table}_{change} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    op.execute(_REFUSAL)
    for table in TABLES:
        refusing = "EXECUTE FUNCTION refuse_change()"
        op.execute(f"CREATE TRIGGER tr_{table}_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refusing}")
        op.execute(f"CREATE TRIGGER tr_{table}_truncate BEFORE TRUNCATE ON {table} {refusing}")


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in TABLES:
        for change in ("update", "delete") if is_sqlite else ("change", "truncate"):
            op.execute(f"DROP TRIGGER tr_{table}_{change}" + ("" if is_sqlite else f" ON {table}"))
    if not is_sqlite:
        op.execute("DROP FUNCTION refuse_change()")
    op.drop_table("consent_block")
