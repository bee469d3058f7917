"""Contacts and activities: import, show."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.orm import Session

from mailer.cli.output import json_option, print_json, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.consent import queries as consent
from mailer.contacts import queries
from mailer.delivery.recipients import load_values
from mailer.errors import InputError, NotFoundError
from mailer.imports.run import Progress as Told
from mailer.imports.service import ImportOptions, ImportResult, import_activities, import_contacts
from mailer.reports.timeline import list_timeline
from mailer.schema.contacts import Contact
from mailer.statuses import Basis

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
map_option = click.option("--map", "maps", multiple=True, metavar="COLUMN=FIELD", help="Say what a column is.")
dry_option = click.option("--dry-run", is_flag=True, help="Count what would happen and write nothing.")


@click.group()
def contacts() -> None:
    """People we may write to."""


@click.group()
def activities() -> None:
    """What contacts did outside our mails: purchases, seminars, answers."""


@contacts.command("import")
@file_argument
@click.option("--basis", type=click.Choice([basis.value for basis in Basis]), required=True)
@click.option("--source", required=True, help="Where the addresses come from, in words.")
@click.option("--topic", "topics", multiple=True, metavar="NAME", help="Subscribe them to this topic.")
@click.option("--no-topics", is_flag=True, help="Subscribe them to nothing.")
@click.option(
    "--expires",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The permission runs out at the end of this day (UTC).",
)
@map_option
@dry_option
@json_option
@telling_errors
def import_contact_file(
    *,
    file: Path,
    basis: str,
    source: str,
    topics: tuple[str, ...],
    no_topics: bool,
    expires: datetime | None,
    maps: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import contacts from CSV or XLSX. Repeating it changes nothing; who left stays gone.

    \b
    Examples:
      mailer contacts import people.csv --basis consent --source "web form 2026" --topic News
      mailer contacts import crm.xlsx --basis customer --source CRM --no-topics --map "E-post=email" --dry-run
    """
    if bool(topics) == no_topics:
        raise InputError("say which topics they get, or that they get none", where="--topic", mend="or --no-topics")
    options = ImportOptions(
        basis=basis, source=source, topics=topics, mapping=_read_maps(maps),
        expires_at=expires.replace(hour=23, minute=59, second=59, tzinfo=UTC) if expires else None,
    )  # fmt: skip
    with opened() as ctx, _bar(as_json=as_json) as told:
        result = import_contacts(ctx, file, options, is_dry_run=dry_run, progress=told)
    _print_result(result, as_json=as_json)


@activities.command("import")
@file_argument
@map_option
@dry_option
@json_option
@telling_errors
def import_activity_file(*, file: Path, maps: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Import purchases, seminar visits and the like; a repeated external id changes nothing.

    \b
    Example:
      mailer activities import purchases.csv
    """
    with opened() as ctx, _bar(as_json=as_json) as told:
        result = import_activities(ctx, file, mapping=_read_maps(maps), is_dry_run=dry_run, progress=told)
    _print_result(result, as_json=as_json)


def _print_result(result: ImportResult, *, as_json: bool) -> None:
    print_mapping(result.as_json(), as_json=as_json)


def _read_maps(maps: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in maps]
    wrong = [text for text, (_, sign, field) in zip(maps, pairs, strict=True) if not sign or not field.strip()]
    if wrong:
        raise InputError(f"{wrong[0]!r} is not COLUMN=FIELD", where="--map", mend='for example --map "E-post=email"')
    return {column.strip(): field.strip() for column, _, field in pairs}


@contextmanager
def _bar(*, as_json: bool) -> Iterator[Told]:
    """Show a progress bar on stderr for a person; nothing where JSON is read by a program."""
    console = Console(stderr=True)
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, expected: bar.update(task, completed=done, total=max(done, expected))


@contacts.command()
@click.argument("email")
@json_option
@telling_errors
def show(*, email: str, as_json: bool) -> None:
    """Show everything known of the contacts with an address: fields, consent, subscriptions, suppression, timeline.

    \b
    Example:
      mailer contacts show anna@example.com --json
    """
    with opened() as ctx, ctx.read() as session:
        found = queries.list_by_email(session, email)
        if not found:
            raise NotFoundError(f"no contact has the address {email}")
        shown = [_describe(session, contact) for contact in found]
    for contact in shown:
        if as_json:
            print_json(contact)
        else:
            print_mapping(contact, as_json=False)


def _describe(session: Session, contact: Contact) -> dict[str, Any]:
    address = queries.find_address(session, contact)
    values = load_values(session, [contact.id])[contact.id]
    suppressed = consent.list_active_suppressions(session, address.email_hash) if address else []
    return {
        "id": contact.id,
        "fields": dict(values["contact"]),
        "company": dict(values["company"]),
        "owner": dict(values["owner"]),
        "do_not_mail": contact.do_not_mail,
        "consent": {
            "permission": consent.get_permission(session, contact.id),
            "ledger": [
                {"at": line.at, "verdict": line.verdict, "permission": line.permission, "source": line.source}
                for line in consent.list_ledger(session, contact.ledger_id)
            ],
        },
        "subscriptions": {choice.name: choice.status for choice in consent.list_choices(session, contact.id)},
        "suppression": [{"reason": row.reason, "scope": row.scope, "source": row.source} for row in suppressed],
        "timeline": [asdict(entry) for entry in list_timeline(session, contact)],
    }
