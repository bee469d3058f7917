"""Reports from files."""

from dataclasses import asdict
from pathlib import Path

import click

from mailer.bounces import service
from mailer.bounces.webhooks.providers import parse_call
from mailer.bounces.webhooks.stored import SLUGS, read_stored
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


@click.group()
def webhooks() -> None:
    """Calls of mail providers."""


@webhooks.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provider", default="", metavar="SLUG", help=f"Whose call it is, where the file does not say: {SLUGS}.")
@json_option
@telling_errors
def parse(*, file: Path, provider: str, as_json: bool) -> None:
    """Say what a call means, an event a line; nothing is stored, and no signature is checked.

    FILE is a JSON document with provider, headers, content_type and body.

    \b
    Example:
      mailer webhooks parse call.json --provider postmark --json
    """
    slug, call = read_stored(file.read_bytes(), provider)
    print_lines(map(asdict, parse_call(slug, call)), as_json=as_json)
