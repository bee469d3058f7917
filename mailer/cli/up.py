"""`mailer up`."""

import click

from mailer.accounts import queries as accounts
from mailer.accounts.service import create_staff
from mailer.cli.output import telling_errors
from mailer.context import make_context
from mailer.settings import Settings, load_settings
from mailer.statuses import Role
from mailer.supervisor.service import Plan, Supervisor


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the pages; taken is an error.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@telling_errors
def up(*, port: int | None, host: str) -> None:
    """Start everything on this machine: pages, workers, catcher, listener.

    \b
    Examples:
      mailer up
      mailer up --port 9000
      MAILER_DATA_DIR=/srv/mailer mailer up
    """
    supervisor = Supervisor(Plan(load_settings(), host, port), lambda line: click.echo(line, err=True))
    try:
        with supervisor.running():
            click.echo(f"mailer is at {supervisor.address}")
            _tell_first_login(supervisor.settings)
            click.echo("Ctrl-C stops everything.")
            supervisor.watch()
            click.echo("stopping …")
    except KeyboardInterrupt:
        click.echo("stopped before everything was up")


def _tell_first_login(settings: Settings) -> None:
    """Make the first admin of an installation that has nobody, and show the password this once."""
    ctx = make_context(settings)
    try:
        with ctx.read() as session:
            if accounts.list_staff(session, with_archived=True):
                return
        staff, password = create_staff(ctx, "admin@example.com", Role.ADMIN, name="First admin")
        click.echo(f"sign in as {staff.email} with {password} (shown once)")
    finally:
        ctx.database.dispose()
