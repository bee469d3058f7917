"""Reports from files."""

from pathlib import Path

import click

from mailer.bounces import service
from mailer.cli.output import json_option, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened

paths_argument = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))


@click.group()
def bounces() -> None:
    """Bounces, complaints and replies."""


@bounces.command()
@paths_argument
@json_option
@telling_errors
def classify(*, paths: tuple[Path, ...], as_json: bool) -> None:
    """Say what each report means; nothing is stored.

    \b
    Example:
      mailer bounces classify mail/new --json
    """
    print_lines(service.classify_paths(paths), as_json=as_json)


@bounces.command()
@paths_argument
@json_option
@telling_errors
def ingest(*, paths: tuple[Path, ...], as_json: bool) -> None:
    """Take in reports from files, match and apply them. Safe to repeat."""
    with opened() as ctx:
        print_mapping(service.ingest_paths(ctx, paths), as_json=as_json)
