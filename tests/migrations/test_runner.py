"""The schema's history."""

import pytest
from alembic import command
from sqlalchemy import inspect

from mailer.context import Context
from mailer.migrations.runner import current_revision, head_revision, make_config, migrate
from mailer.schema.tables import metadata


def test_migrated_database_has_every_table(ctx: Context) -> None:
    names = set(inspect(ctx.database.engine).get_table_names())

    assert set(metadata.tables) <= names
    assert current_revision(ctx.database) == head_revision()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection", "ignore:autogenerate skipping")
def test_migrations_say_what_the_tables_say(ctx: Context) -> None:
    with ctx.database.engine.begin() as connection:
        command.check(make_config(connection))


def test_downgrade_and_upgrade_again(ctx: Context) -> None:
    migrate(ctx.database, "base")
    assert current_revision(ctx.database) is None

    migrate(ctx.database)
    assert current_revision(ctx.database) == head_revision()
