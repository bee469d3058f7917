"""demo, up, run, doctor, version."""

import os
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

import click

from mailer.accounts import queries as accounts
from mailer.accounts.service import create_staff
from mailer.cli.output import FAILED, json_option, print_lines, telling_errors
from mailer.context import make_context
from mailer.demo.service import DemoOptions, play_demo
from mailer.doctor.service import examine
from mailer.errors import SetupError
from mailer.settings import Settings, load_settings
from mailer.statuses import Role
from mailer.supervisor.lifeline import die_with_parent
from mailer.supervisor.processes import ORDER, run_process
from mailer.supervisor.service import Plan, Supervisor

PARENT = "MAILER_PARENT_PID"


@click.command()
@click.option("--exit", "leave", is_flag=True, help="Stop everything after the stories.")
@click.option("--database", metavar="URL", default="", help="An empty PostgreSQL instead of a new SQLite file.")
@click.option("--redis", "redis_url", metavar="URL", default="", help="An empty Redis instead of a private Valkey.")
@click.option("--contacts", "count", type=click.IntRange(500, 200_000), default=5_000, show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the pages.")
@telling_errors
def demo(*, leave: bool, database: str, redis_url: str, count: int, port: int | None) -> None:
    """Play both stories through the real processes, then keep serving.

    \b
    Examples:
      mailer demo
      mailer demo --exit --contacts 2000
      mailer demo --exit --database postgresql+psycopg://me@localhost/empty --redis redis://localhost/5
    """
    done = play_demo(DemoOptions(leave=leave, database=database, redis_url=redis_url, contacts=count, port=port))
    if not done:
        sys.exit(FAILED)


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


@click.command()
@click.argument("name", type=click.Choice(ORDER))
@click.option("--port", type=click.IntRange(1, 65535), help="Default: the one kept, else a free one.")
@click.option("--host", default=None, help="Address to listen on; 127.0.0.1 unless told otherwise.")
@click.option("--report-to", metavar="HOST:PORT", help="catcher: the listener that gets its bounces and complaints.")
@telling_errors
def run(*, name: str, port: int | None, host: str | None, report_to: str | None) -> None:
    """Run one process in the foreground. The catcher finds a listener of the same data folder by itself.

    \b
    Examples:
      mailer run web --port 8000 --host 0.0.0.0
      mailer run send
      mailer run catcher --port 2525 --report-to 127.0.0.1:2526
    """
    parent = os.environ.get(PARENT)  # noqa: TID251 - who started us, not a setting
    if parent:
        die_with_parent(int(parent))
    run_process(load_settings(), name, host=host, port=port, report_to=report_to)


@click.command()
@json_option
@telling_errors
def doctor(*, as_json: bool) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 where something is.

    \b
    Examples:
      mailer doctor
      mailer doctor --json
    """
    findings = examine(load_settings())
    if as_json:
        print_lines(({"check": f.check, "ok": f.is_ok, "what": f.what, "mend": f.mend} for f in findings), as_json=True)
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.is_ok else 'BAD '} {finding.check}: {finding.what}")
            if finding.mend:
                click.echo(f"     mend: {finding.mend}")
    if not all(finding.is_ok for finding in findings):
        sys.exit(FAILED)


@click.command()
@telling_errors
def version() -> None:
    """Print the version."""
    try:
        click.echo(package_version("mailer"))
    except PackageNotFoundError as error:
        raise SetupError("mailer runs from its source and is not installed", mend="pip install .") from error
