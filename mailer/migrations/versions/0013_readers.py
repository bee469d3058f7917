"""the readers of a sending and of a link in the order in which they are counted"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_event_sending_kind_class", "event", ["sending_id", "kind", "class", "contact_id", "at"])
    op.drop_index("ix_event_sending_kind_at", "event")
    named = sa.text("tracked_link_id IS NOT NULL")
    columns = ["tracked_link_id", "sending_id", "class", "message_id"]
    op.create_index("ix_event_link", "event", columns, sqlite_where=named, postgresql_where=named)


def downgrade() -> None:
    op.drop_index("ix_event_link", "event")
    op.create_index("ix_event_sending_kind_at", "event", ["sending_id", "kind", "at", "class", "contact_id"])
    op.drop_index("ix_event_sending_kind_class", "event")
