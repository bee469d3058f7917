"""meetings have hours, links open forms"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime
from mailer.schema.base import BigInt

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_DIARY = "starts_at IS NOT NULL AND status = 'open'"
_FORMED = "form_id IS NOT NULL"
RESPONSES = ("redirect", "confirm", "page")
NEW_RESPONSES = (*RESPONSES, "form")


def upgrade() -> None:
    with op.batch_alter_table("follow_up") as table:
        table.add_column(sa.Column("starts_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("ends_at", UtcDateTime(), nullable=True))
        table.create_check_constraint(
            op.f("ck_follow_up_hours"),
            "(starts_at IS NULL AND ends_at IS NULL) OR (starts_at < ends_at AND kind = 'meeting')",
        )
    _create_index("ix_follow_up_diary", "follow_up", ["owner_id", "starts_at"], _DIARY)
    with op.batch_alter_table("follow_up_rules") as table:
        table.add_column(sa.Column("day_starts", sa.Integer(), server_default="540", nullable=False))
        table.add_column(sa.Column("day_ends", sa.Integer(), server_default="1020", nullable=False))
        table.create_check_constraint(
            op.f("ck_follow_up_rules_hours"), "0 <= day_starts AND day_starts < day_ends AND day_ends <= 1440"
        )
    with op.batch_alter_table("tracked_link") as table:
        table.add_column(sa.Column("form_id", BigInt, nullable=True))
        _replace_responses(table, NEW_RESPONSES)
        table.create_foreign_key(op.f("fk_tracked_link_form_id_form"), "form", ["form_id"], ["id"])
        table.create_check_constraint(op.f("ck_tracked_link_form"), "(response = 'form') = (form_id IS NOT NULL)")
    _create_index("ix_tracked_link_form_id", "tracked_link", ["form_id"], _FORMED)


def downgrade() -> None:
    op.drop_index("ix_tracked_link_form_id", "tracked_link")
    op.execute("UPDATE tracked_link SET response = 'redirect', form_id = NULL WHERE response = 'form'")
    with op.batch_alter_table("tracked_link") as table:
        table.drop_constraint(op.f("ck_tracked_link_form"), type_="check")
        table.drop_constraint(op.f("fk_tracked_link_form_id_form"), type_="foreignkey")
        _replace_responses(table, RESPONSES)
        table.drop_column("form_id")
    with op.batch_alter_table("follow_up_rules") as table:
        table.drop_constraint(op.f("ck_follow_up_rules_hours"), type_="check")
        table.drop_column("day_ends")
        table.drop_column("day_starts")
    op.drop_index("ix_follow_up_diary", "follow_up")
    with op.batch_alter_table("follow_up") as table:
        table.drop_constraint(op.f("ck_follow_up_hours"), type_="check")
        table.drop_column("ends_at")
        table.drop_column("starts_at")


def _create_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _replace_responses(table: object, words: tuple[str, ...]) -> None:
    """Put another list of words into the check of how a link answers."""
    check = op.f("ck_tracked_link_response")
    table.drop_constraint(check, type_="check")  # type: ignore[attr-defined]
    table.create_check_constraint(check, " OR ".join(f"response = '{word}'" for word in words))  # type: ignore[attr-defined]
