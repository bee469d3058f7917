"""The context of a command: settings, a migrated database, the workspace's clock."""

from collections.abc import Iterator
from contextlib import contextmanager

from mailer.context import Context, make_context
from mailer.errors import SetupError
from mailer.jobs import SilentBell
from mailer.migrations.runner import current_revision, head_revision, migrate
from mailer.settings import load_settings
from mailer.workspace.queries import get_clock_offset
from mailer.workspace.service import ensure_workspace


@contextmanager
def opened(*, rings: bool = True) -> Iterator[Context]:
    """Yield the context of this installation; a new database is set up first.

    `rings` False is for a command that does itself what it rings for: it needs no broker, and waits for none.

    Raises:
        SetupError: no connection, or the database is newer than this program.
    """
    ctx = make_context(load_settings(), bell=None if rings else SilentBell())
    try:
        ctx.database.check()
        _require_schema(ctx)
        with ctx.read() as session:
            ctx.clock.offset = get_clock_offset(session)
        yield ctx
    finally:
        ctx.database.dispose()


def _require_schema(ctx: Context) -> None:
    revision = current_revision(ctx.database)
    if revision is not None and revision > head_revision():
        raise SetupError(f"the database is at {revision}, newer than this program", mend="upgrade mailer")
    if revision != head_revision():
        migrate(ctx.database)
    ensure_workspace(ctx)
