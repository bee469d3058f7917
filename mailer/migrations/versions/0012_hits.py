"""hits and events without keys, links that answer with a page of text"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

EVENT_KEYS = {
    "message_id": "message", "sending_id": "sending", "contact_id": "contact", "tracked_link_id": "tracked_link",
}  # fmt: skip
"""No keys any more: their checks took two fifths of what a hit cost the server (docs/decisions/0008)."""
RESPONSES = ("redirect", "confirm")
NEW_RESPONSES = (*RESPONSES, "page")


def upgrade() -> None:
    with op.batch_alter_table("hit") as table:
        table.drop_constraint(op.f("fk_hit_message_id"), type_="foreignkey")
    with op.batch_alter_table("event") as table:
        for name in EVENT_KEYS:
            table.drop_constraint(op.f(f"fk_event_{name}"), type_="foreignkey")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE engagement SET (fillfactor = 70)")
    with op.batch_alter_table("tracked_link") as table:
        table.add_column(sa.Column("page_text", sa.Text(), server_default="", nullable=False))
        _replace_responses(table, NEW_RESPONSES)


def downgrade() -> None:
    with op.batch_alter_table("tracked_link") as table:
        _replace_responses(table, RESPONSES)
        table.drop_column("page_text")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE engagement RESET (fillfactor)")
    with op.batch_alter_table("event") as table:
        for name, target in EVENT_KEYS.items():
            table.create_foreign_key(op.f(f"fk_event_{name}"), target, [name], ["id"])
    with op.batch_alter_table("hit") as table:
        table.create_foreign_key(op.f("fk_hit_message_id"), "message", ["message_id"], ["id"])


def _replace_responses(table: object, words: tuple[str, ...]) -> None:
    """Put another list of words into the check of how a link answers."""
    table.drop_constraint(op.f("ck_tracked_link_response"), type_="check")  # type: ignore[attr-defined]
    check = " OR ".join(f"response = '{word}'" for word in words)
    table.create_check_constraint(op.f("ck_tracked_link_response"), check)  # type: ignore[attr-defined]
