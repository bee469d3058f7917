"""`mailer demo`."""

import sys

import click

from mailer.cli.output import FAILED, telling_errors
from mailer.demo.service import DemoOptions, play_demo


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
