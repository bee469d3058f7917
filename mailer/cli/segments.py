"""Segments: create, count, members, explain."""

import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from mailer.cli.output import json_option, print_json, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.contacts.queries import list_by_email
from mailer.context import Context
from mailer.errors import InputError, NotFoundError
from mailer.imports.read import BadRow, iter_rows, open_table
from mailer.segments import queries, service
from mailer.segments.cost import Cost, estimate_cost
from mailer.segments.doubts import list_doubts
from mailer.segments.indexes import create_index, drop_index, list_indexed
from mailer.segments.members import find_by_addresses
from mailer.segments.rules import parse_json
from mailer.segments.tree import Group
from mailer.statuses import SegmentOperation
from mailer.workspace.queries import get_workspace

today_option = click.option(
    "--today", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Answer as on this day (workspace zone)."
)
_EMAIL = frozenset({"email", "e-mail"})


@click.group()
def segments() -> None:
    """Audiences: static, dynamic and combined. NAME is a segment's name; an argument ending in .json is a rule."""


@segments.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME [INPUT …]")
@click.option("--rule", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A rule as a JSON file.")
@click.option(
    "--static",
    "static",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV with a column email.",
)
@click.option("--combine", type=click.Choice([operation.value for operation in SegmentOperation]))
@json_option
@telling_errors
def create(
    *, names: tuple[str, ...], rule: Path | None, static: Path | None, combine: str | None, as_json: bool
) -> None:
    """Create a segment from a rule, a list, or other segments.

    \b
    Examples:
      mailer segments create "B-customers" --rule b.json
      mailer segments create "Board" --static board.csv
      mailer segments create "Quiet B" --combine intersection "B-customers" "Quiet for six months"
    """
    if sum(option is not None for option in (rule, static, combine)) != 1:
        raise InputError("give one of --rule, --static and --combine", where="segments create")
    name, *inputs = names
    if inputs and combine is None:
        raise InputError(f"what is {inputs[0]!r}?", where="segments create", mend="inputs go with --combine")
    with opened() as ctx:
        _warn_of_twin(ctx, name)
        if rule is not None:
            segment = service.create_dynamic(ctx, name, read_rule_file(rule))
            with ctx.read() as session:
                _warn_of_doubts(session, queries.read_rule(session, segment.rule))
        elif static is not None:
            segment = service.create_static(ctx, name, contact_ids=_read_ids(ctx, static), cause=f"file {static.name}")
        else:
            segment = service.create_combined(ctx, name, SegmentOperation(str(combine)), inputs)
    print_mapping({"id": segment.id, "name": segment.name, "kind": segment.kind}, as_json=as_json)


def _warn_of_twin(ctx: Context, name: str) -> None:
    with ctx.read() as session:
        if any(segment.name == name for segment in queries.list_segments(session)):
            click.echo(f"warning: another segment is called {name!r}; from now on use their ids", err=True)


def read_rule_file(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; InputError says what it is instead, by line and column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not a text in UTF-8, at byte {error.start}", where=str(path)) from error
    rule = parse_json(text, str(path))
    if not isinstance(rule, dict):
        raise InputError("a rule is a JSON object", where=str(path), mend="see docs/reference/segment-rules.md")
    return rule


def _read_ids(ctx: Context, path: Path) -> list[int]:
    """Return the contacts of a table with a column email; addresses that nobody has are a warning.

    Raises:
        InputError: no table, no such column, or addresses of which nobody has one.
    """
    table = open_table(path)
    place = next((place for place, name in enumerate(table.header) if name.strip().lower() in _EMAIL), None)
    if place is None:
        raise InputError("the file has no column email", where=str(path))
    emails: list[str] = []
    for row in iter_rows(table):
        if isinstance(row, BadRow):
            click.echo(f"warning: {path}: a row cannot be read: {row.reason}", err=True)
        elif len(row) > place and row[place]:
            emails.append(row[place])
    with ctx.read() as session:
        ids, unknown = find_by_addresses(session, emails)
    if unknown:
        shown = ", ".join(unknown[:10]) + (" …" if len(unknown) > 10 else "")
        said = f"{len(unknown)} of {len(emails)} addresses are nobody's: {shown}"
        if not ids:
            raise InputError(said, where=str(path), mend="import them first")
        click.echo(f"warning: {path}: {said}; the others are in", err=True)
    return ids


def find_source(session: Session, name: str) -> queries.Source:
    """Return the segment called `name`, or the rule in the file of that name."""
    if name.endswith(".json"):
        path = Path(name)
        if not path.is_file():
            raise NotFoundError(f"there is no file {name}")
        rule = queries.read_rule(session, read_rule_file(path))
        _warn_of_doubts(session, rule)
        return rule
    return queries.get_segment(session, name)


def _warn_of_doubts(session: Session, rule: Group) -> None:
    for doubt in list_doubts(session, rule):
        click.echo(f"warning: {doubt}", err=True)


def _day(ctx: Context, session: Session, today: datetime | None) -> date:
    return today.date() if today else ctx.clock.today(get_workspace(session).timezone)


@segments.command()
@click.argument("name", metavar="NAME|RULE.json")
@today_option
@json_option
@telling_errors
def count(*, name: str, today: datetime | None, as_json: bool) -> None:
    """Count the members now.

    \b
    Examples:
      mailer segments count "Promoters"
      mailer segments count rule.json --today 2026-03-31 --json
    """
    with opened() as ctx, ctx.read() as session:
        source = find_source(session, name)
        started = time.perf_counter()
        members = queries.count_members(session, source, _day(ctx, session, today), seconds=None)
        seconds = time.perf_counter() - started
    print_mapping({"segment": name, "count": members, "seconds": round(seconds, 4)}, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME|RULE.json")
@today_option
@json_option
@telling_errors
def members(*, name: str, today: datetime | None, as_json: bool) -> None:
    """List the members by id."""
    with opened() as ctx, ctx.read() as session:
        source = find_source(session, name)
        found = queries.iter_members(session, source, _day(ctx, session, today))
        print_lines(({"id": member.id, "email": member.email} for member in found), as_json=as_json)


@segments.command("list")
@json_option
@telling_errors
def list_segments(*, as_json: bool) -> None:
    """List the segments."""
    with opened() as ctx, ctx.read() as session:
        rows = queries.list_segments(session)
        lines = [{"id": row.id, "name": row.name, "kind": row.kind} for row in rows]
    print_lines(lines, as_json=as_json)


@segments.command()
@click.argument("name", metavar="NAME|RULE.json")
@click.option("--contact", "email", metavar="EMAIL", default="", help="Say why this contact is in or not.")
@today_option
@json_option
@telling_errors
def explain(*, name: str, email: str, today: datetime | None, as_json: bool) -> None:
    """Say in words what a segment asks, and why a contact is in or not.

    \b
    Example:
      mailer segments explain "B-customers" --contact anna@example.com
    """
    with opened() as ctx, ctx.read() as session:
        source = find_source(session, name)
        cost = estimate_cost(session, source)
        answer: dict[str, Any] = {"segment": name, "sentence": queries.describe_segment(session, source)}
        answer["cost"] = {"milliseconds": cost.milliseconds, "wanting": list(cost.wanting)}
        if email:
            contacts = list_by_email(session, email)
            if not contacts:
                raise NotFoundError(f"no contact has the address {email}")
            day = _day(ctx, session, today)
            answer["contacts"] = [_why(session, source, contact.id, day) for contact in contacts]
    if as_json:
        print_json(answer)
        return
    click.echo(answer["sentence"])
    _tell_cost(cost)
    for contact in answer.get("contacts", []):
        click.echo(f"contact {contact['id']}: {'in' if contact['member'] else 'not in'}")
        for line in contact["lines"]:
            click.echo(f"  {'yes' if line['holds'] else 'no '}  {'  ' * line['depth']}{line['text']}")


@segments.command()
@click.argument("fields", nargs=-1, metavar="[FIELD …]")
@click.option("--drop", is_flag=True, help="Drop the index instead.")
@json_option
@telling_errors
def index(*, fields: tuple[str, ...], drop: bool, as_json: bool) -> None:
    """Make an index of fields that many rules ask about; without FIELD, list those that have one.

    \b
    Examples:
      mailer segments index score
      mailer segments index city --drop
    """
    with opened() as ctx:
        for field in fields:
            (drop_index if drop else create_index)(ctx, field)
        with ctx.read() as session:
            print_mapping({"indexed": sorted(list_indexed(session))}, as_json=as_json)


def _tell_cost(cost: Cost) -> None:
    if cost.is_slow:
        click.echo(f"counting it takes about {cost.milliseconds / 1000:.1f} s")
    for field in cost.wanting:
        click.echo(f"every contact is looked through for {field!r}; mend: mailer segments index {field}")


def _why(session: Session, source: queries.Source, contact_id: int, day: date) -> dict[str, Any]:
    reasons = queries.list_reasons(session, source, contact_id, day)
    return {
        "id": contact_id,
        "member": queries.is_member(session, source, contact_id, day),
        "lines": [{"text": reason.text, "holds": reason.holds, "depth": reason.depth} for reason in reasons],
    }
