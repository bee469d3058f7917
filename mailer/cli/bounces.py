"""What comes back: reports, the mailboxes that they are fetched from, calls of mail providers."""

import uuid
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click

from mailer.bounces import endpoints, service, teaching
from mailer.bounces import mailboxes as boxes
from mailer.bounces.came_back import COLUMNS, KINDS, Choice, iter_rows
from mailer.bounces.ways import end_way, list_ways
from mailer.bounces.webhooks.providers import parse_call
from mailer.bounces.webhooks.stored import SLUGS, read_stored
from mailer.cli.output import json_option, number, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.schema.bounces import SECURITIES, BounceMailbox, WebhookEndpoint
from mailer.statuses import EventKind, Provider

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


@bounces.command("list")
@click.option("--campaign", default=None, metavar="UUID", type=click.UUID, help="Of one campaign; its id in the pages.")
@click.option("--kind", default=None, type=click.Choice([kind.value for kind in KINDS]), help="Of one kind.")
@json_option
@telling_errors
def list_came_back(*, campaign: uuid.UUID | None, kind: str | None, as_json: bool) -> None:
    """List what came back, newest first: address, kind, reason, code."""
    choice = Choice(campaign=campaign, kind=EventKind(kind) if kind else None)
    with opened() as ctx:
        print_lines((dict(zip(COLUMNS, row, strict=True)) for row in iter_rows(ctx, choice)), as_json=as_json)


@bounces.command()
@click.argument("report_id", metavar="ID", type=number)
@click.argument("verdict", type=click.Choice([verdict.value for verdict in teaching.TEACHABLE]))
@json_option
@telling_errors
def teach(*, report_id: int, verdict: str, as_json: bool) -> None:
    """Say what a report means, and every other with the same words."""
    with opened() as ctx:
        taught = teaching.teach(ctx, report_id, verdict)
        done = {"read_again": taught.again, "lifted": taught.lifted, "processed": service.process_reports(ctx)}
        print_mapping(done, as_json=as_json)


@click.group()
def mailboxes() -> None:
    """Mailboxes that reports are fetched from (IMAP)."""


@mailboxes.command("list")
@json_option
@telling_errors
def list_boxes(*, as_json: bool) -> None:
    """List them with what the server said last."""
    with opened() as ctx, ctx.read() as session:
        rows = list_ways(session, BounceMailbox)
    shown = ("name", "host", "port", "username", "folder", "is_enabled", "polled_at", "fetched", "error")
    lines = ({"id": str(row.public_id)} | {name: getattr(row, name) for name in shown} for row in rows)
    print_lines(lines, as_json=as_json)


@mailboxes.command("add")
@click.argument("name")
@click.option("--host", required=True, help="Its server.")
@click.option("--port", default="993", show_default=True)
@click.option("--security", default="tls", show_default=True, type=click.Choice(SECURITIES))
@click.option("--username", required=True)
@click.option("--password", prompt=True, hide_input=True, help="Asked for where it is not given; stored encrypted.")
@click.option("--folder", default="INBOX", show_default=True)
@click.option("--move-to", default="", help="Folder for mails that were read; without it they are marked as seen.")
@json_option
@telling_errors
def add_box(*, as_json: bool, **values: str) -> None:
    """Fetch reports from a mailbox from now on."""
    with opened() as ctx:
        row = boxes.add_mailbox(ctx, boxes.MailboxValues(**values))
        print_mapping({"id": str(row.public_id), "name": row.name}, as_json=as_json)


@mailboxes.command()
@json_option
@telling_errors
def poll(*, as_json: bool) -> None:
    """Fetch what is new from every mailbox now, and process it."""
    with opened() as ctx:
        fetched = sum(boxes.poll_mailboxes(ctx).values())
        print_mapping({"fetched": fetched, "processed": service.process_reports(ctx)}, as_json=as_json)


@click.group()
def webhooks() -> None:
    """Calls of mail providers."""


@webhooks.command("list")
@json_option
@telling_errors
def list_doors(*, as_json: bool) -> None:
    """List the providers that may call, with their last call."""
    with opened() as ctx, ctx.read() as session:
        rows = list_ways(session, WebhookEndpoint)
    shown = ("provider", "name", "is_enabled", "last_call_at", "last_outcome", "last_note", "calls", "refused")
    lines = ({"id": str(row.public_id)} | {name: getattr(row, name) for name in shown} for row in rows)
    print_lines(lines, as_json=as_json)


@webhooks.command("add")
@click.argument("provider", type=click.Choice([one.value for one in Provider]))
@click.option("--name", default="", help="What you call it.")
@click.option("--key-file", type=click.File("r"), help="File with the key that it signs with; - is standard input.")
@json_option
@telling_errors
def add_door(*, provider: str, name: str, key_file: TextIO | None, as_json: bool) -> None:
    """Let a provider call, and print the address to be entered there.

    \b
    Example:
      mailer webhooks add mailgun --key-file signing-key.txt
    """
    with opened() as ctx:
        row = endpoints.add_endpoint(ctx, provider, name=name, key=key_file.read() if key_file else "")
        print_mapping({"id": str(row.public_id), "address": endpoints.shown_address(ctx, row)}, as_json=as_json)


@webhooks.command("remove")
@click.argument("public_id", metavar="ID", type=click.UUID)
@telling_errors
def remove_door(*, public_id: uuid.UUID) -> None:
    """End the address of a provider for good."""
    with opened() as ctx:
        end_way(ctx, WebhookEndpoint, public_id)


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
