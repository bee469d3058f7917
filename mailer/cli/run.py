"""`mailer run NAME`."""

import os

import click

from mailer.cli.output import telling_errors
from mailer.settings import load_settings
from mailer.supervisor.lifeline import die_with_parent
from mailer.supervisor.parts.asked import Asked
from mailer.supervisor.processes import ALONE, ORDER, run_process

PARENT = "MAILER_PARENT_PID"


@click.command()
@click.argument("name", type=click.Choice((*ORDER, *ALONE)))
@click.option("--port", type=click.IntRange(1, 65535), help="Default: the one kept, else a free one.")
@click.option("--host", default=None, help="Address to listen on; 127.0.0.1 unless told otherwise.")
@click.option("--report-to", metavar="HOST:PORT", help="catcher: the listener that gets its bounces and complaints.")
@click.option("--lmtp", is_flag=True, help="listen: speak LMTP (RFC 2033), for a mail server on this host.")
@telling_errors
def run(*, name: str, port: int | None, host: str | None, report_to: str | None, lmtp: bool) -> None:
    """Run one process in the foreground. The catcher finds a listener of the same data folder by itself.

    \b
    Examples:
      mailer run web --port 8000 --host 0.0.0.0
      mailer run track --port 8001
      mailer run send
      mailer run catcher --port 2525 --report-to 127.0.0.1:2526
    """
    parent = os.environ.get(PARENT)  # noqa: TID251 - who started us, not a setting
    if parent:
        die_with_parent(int(parent))
    run_process(load_settings(), Asked(name, host or "127.0.0.1", port, report_to, lmtp))
