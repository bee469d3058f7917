"""Bring a database to the newest schema, and say where it stands. Safe to run from several processes at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from mailer.database import Database

_HERE = Path(__file__).parent
_LOCK_KEY = 0x6D61696C6572  # "mailer", for pg_advisory_xact_lock
_LOCK_TIMEOUT = "10s"


def migrate(database: Database, revision: str = "head") -> None:
    """Upgrade (or, for an older `revision`, downgrade) to `revision` in one transaction."""
    with database.engine.execution_options(mailer_write=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        current = _current(connection)
        config = make_config(connection)
        if revision == "base" or (current and revision != "head" and revision < current):
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)


def current_revision(database: Database) -> str | None:
    """Return the revision that the database stands at; None for an empty one."""
    with database.engine.connect() as connection:
        return _current(connection)


def head_revision() -> str:
    """Return the newest revision that this program knows."""
    head = ScriptDirectory(str(_HERE)).get_current_head()
    if head is None:
        raise RuntimeError("no migrations found")
    return head


def make_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, bound to `connection` where one is given."""
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = connection
    return config


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
