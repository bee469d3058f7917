"""the readers of a sending in the order in which they are counted"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_event_sending_kind_class", "event", ["sending_id", "kind", "class", "contact_id", "at"])
    op.drop_index("ix_event_sending_kind_at", "event")


def downgrade() -> None:
    op.create_index("ix_event_sending_kind_at", "event", ["sending_id", "kind", "at", "class", "contact_id"])
    op.drop_index("ix_event_sending_kind_class", "event")
