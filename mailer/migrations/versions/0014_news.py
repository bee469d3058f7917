"""figures that wait to be judged outlive who counted them"""

import sqlalchemy as sa
from alembic import op

from mailer.database import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rate_look", sa.Column("news_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE rate_look SET news_at = looked_at")


def downgrade() -> None:
    op.drop_column("rate_look", "news_at")
