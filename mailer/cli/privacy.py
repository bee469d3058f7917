"""The rights of the person: export, erase, retention, requests, incident."""

import csv
import os
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from mailer.cli.output import REFUSED, json_option, number, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.errors import InputError
from mailer.privacy import queries, service
from mailer.privacy.erasure import erase_person, preview_erasure, refuse_wrong_confirmation
from mailer.privacy.export import export_person
from mailer.privacy.incident import Question, iter_touched, write_csv
from mailer.privacy.retention import apply_retention, preview_retention
from mailer.privacy.service import RequestValues
from mailer.schema.privacy import CHANNELS, Erasure, SubjectRequest
from mailer.statuses import ErasureStatus, RequestKind, RequestStatus, SuppressionReason

file_option = click.option(
    "--to", "target", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new file."
)


@click.group()
def privacy() -> None:
    """What a person may ask about their own data, and what goes by itself (docs/user/privacy.md)."""


@privacy.command()
@click.argument("email")
@file_option
@json_option
@telling_errors
def export(*, email: str, target: Path, as_json: bool) -> None:
    """Write everything about a person into a ZIP: a page to read, JSON, CSV. Also of an address without contact.

    \b
    Example:
      mailer privacy export anna@example.com --to anna.zip
    """
    with opened() as ctx:
        with ctx.read() as session:
            person = queries.find_person(session, ctx, email)
        _refuse_existing(target)
        archive = export_person(ctx, person)
    _write_new(target, iter([archive]))
    print_mapping({"email": email, "file": str(target), "bytes": len(archive)}, as_json=as_json)


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target} is there already", where="--to", mend="name a new file")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} is no folder", where="--to", mend="name a folder that exists")


def _write_new(target: Path, parts: Iterator[bytes]) -> int:
    """Write a file that only this user may read; return its bytes."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        return sum(file.write(part) for part in parts)


@privacy.command()
@click.argument("email")
@click.option("--confirm", metavar="EMAIL", default="", help="The address again; without it only a preview is shown.")
@json_option
@telling_errors
def erase(*, email: str, confirm: str, as_json: bool) -> None:
    """Show what an erasure takes; with --confirm erase the person everywhere, for good.

    Exit code 3 where something is still to come (a mail is on its way, an import runs): the background work goes on.

    \b
    Examples:
      mailer privacy erase anna@example.com
      mailer privacy erase anna@example.com --confirm anna@example.com
    """
    with opened(rings=False) as ctx:
        with ctx.read() as session:
            preview = preview_erasure(session, queries.find_person(session, ctx, email))
        if not confirm:
            contacts = [one.name or one.email or "" for one in preview.contacts]
            shown = {"email": email, "contacts": contacts, "rows": dict(preview.rows), "erased": False}
            print_mapping(shown, as_json=as_json)
            if not as_json:
                click.echo(f"nothing was erased; to do it: mailer privacy erase {email} --confirm {email}", err=True)
            return
        refuse_wrong_confirmation(preview, confirm)
        done = erase_person(ctx, preview.person)
    print_mapping(_describe_erasure(email, done), as_json=as_json)
    if done.status != ErasureStatus.FINISHED:
        sys.exit(REFUSED)


def _describe_erasure(email: str, row: Erasure) -> dict[str, Any]:
    is_done = row.status == ErasureStatus.FINISHED
    return {
        "email": email, "erased": True, "erasure": row.id, "finished": is_done, "waits_for": row.waits_for or None,
        "rows": dict(row.counts),
    }  # fmt: skip


@privacy.command("erase-again")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@telling_errors
def erase_again(*, file: Path, as_json: bool) -> None:
    """After a backup was restored: erase everybody whom FILE says was erased since it was made.

    FILE is what `mailer suppressions export` wrote before; its hashes name them, and only this installation's key can
    tell whom they mean.

    \b
    Example:
      mailer suppressions export > kept-elsewhere.csv
      mailer privacy erase-again kept-elsewhere.csv
    """
    hashes = list(_read_hashes(file))
    with opened(rings=False) as ctx:
        with ctx.read() as session:
            pages = [hashes[at : at + 500] for at in range(0, len(hashes), 500)]
            emails = [email for page in pages for email in queries.list_restored(session, page)]
        waiting = 0
        for email in emails:
            with ctx.read() as session:
                person = queries.find_person(session, ctx, email)
            waiting += erase_person(ctx, person).status != ErasureStatus.FINISHED
    print_mapping({"hashes": len(hashes), "erased": len(emails), "waiting": waiting}, as_json=as_json)


def _read_hashes(file: Path) -> Iterator[bytes]:
    with file.open(encoding="utf-8-sig", newline="") as opened_file:
        rows = csv.DictReader(opened_file)
        if not {"address_hash", "reason"} <= set(rows.fieldnames or ()):
            raise InputError("not a list of suppressions", where=str(file), mend="mailer suppressions export")
        for row in rows:
            if row["reason"] == SuppressionReason.ERASURE:
                yield bytes.fromhex(row["address_hash"])


@privacy.command()
@click.option("--run", "is_run", is_flag=True, help="Let go what is due, now.")
@json_option
@telling_errors
def retention(*, is_run: bool, as_json: bool) -> None:
    """Show what would go now by the rules of retention; with --run let it go. It runs every night by itself.

    \b
    Example:
      mailer privacy retention --json
    """
    with opened() as ctx:
        due = preview_retention(ctx)
        done = apply_retention(ctx) if is_run else {}
    lines = (
        {"rule": one.limit, "value": one.value, "before": one.before, "due": one.count}
        | ({"gone": done.get(one.limit, 0)} if is_run else {})
        for one in due
    )
    print_lines(lines, as_json=as_json)


@privacy.group()
def requests() -> None:
    """What persons asked for about their own data, and by when they must be answered."""


@requests.command("list")
@click.option("--open", "is_open", is_flag=True, help="Open ones only.")
@json_option
@telling_errors
def list_requests(*, is_open: bool, as_json: bool) -> None:
    """List requests, the most urgent first."""
    with opened() as ctx, ctx.read() as session:
        after = None
        status = RequestStatus.OPEN.value if is_open else ""
        while rows := queries.list_requests(session, status=status, after=after, limit=500):
            print_lines((_describe(row) for row in rows), as_json=as_json)
            after = queries.order_of(rows[-1])


def _describe(row: SubjectRequest) -> dict[str, Any]:
    return {
        "id": row.id, "kind": row.kind, "status": row.status, "who": row.who or None, "received_on": row.received_on,
        "due_on": row.due_on, "extended": row.extended_at is not None, "closed_at": row.closed_at,
    }  # fmt: skip


@requests.command("add")
@click.argument("email")
@click.option("--kind", required=True, type=click.Choice([kind.value for kind in RequestKind]))
@click.option("--channel", default=CHANNELS[0], show_default=True, type=click.Choice(CHANNELS), help="How it came.")
@click.option("--received", metavar="DATE", default="", help="The day it came, 2026-11-22; default: today.")
@click.option("--note", default="")
@json_option
@telling_errors
def add_request(*, email: str, kind: str, channel: str, received: str, note: str, as_json: bool) -> None:
    """Write a request down; it is due one month after it came.

    \b
    Example:
      mailer privacy requests add anna@example.com --kind access --channel phone
    """
    values = RequestValues(kind=kind, channel=channel, email=email, note=note, received_on=_day(received, "--received"))
    with opened() as ctx:
        row = service.record_request(ctx, values)
    print_mapping(_describe(row), as_json=as_json)


def _day(text: str, where: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if text else None  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise InputError(f"{text!r} is not a day", where=where, mend="write it as 2026-11-22") from error


@requests.command("extend")
@click.argument("request_id", type=number)
@click.option("--note", required=True, help="Why it takes longer; the person must be told.")
@json_option
@telling_errors
def extend_request(*, request_id: int, note: str, as_json: bool) -> None:
    """Give a request two more months, once and within its first month."""
    with opened() as ctx:
        row = service.extend_request(ctx, request_id, note)
    print_mapping(_describe(row), as_json=as_json)


@requests.command("close")
@click.argument("request_id", type=number)
@click.option("--answer", default="", help="What was answered.")
@click.option("--refuse", is_flag=True, help="It was refused; the answer says why.")
@json_option
@telling_errors
def close_request(*, request_id: int, answer: str, refuse: bool, as_json: bool) -> None:
    """Note that a request was answered, or refused."""
    with opened() as ctx:
        row = service.close_request(ctx, request_id, answer, is_refused=refuse)
    print_mapping(_describe(row), as_json=as_json)


@privacy.command()
@click.option("--campaign", "campaign_id", type=number, help="Who was in this campaign.")
@click.option("--import", "import_id", type=number, help="Whom this import brought.")
@click.option("--segment", "segment_id", type=number, help="Who was in this segment.")
@click.option("--on", metavar="DATE", default="", help="The segment at the end of this day; it must be watched.")
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write CSV into this new file.")
@json_option
@telling_errors
def incident(
    *, campaign_id: int | None, import_id: int | None, segment_id: int | None, on: str, target: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """List who was touched by a campaign, an import or a segment: address, time, state. Leaves an audit line.

    \b
    Examples:
      mailer privacy incident --campaign 12 --to touched.csv
      mailer privacy incident --segment 3 --on 2026-11-01 --json
    """
    question = Question(
        campaign_id=campaign_id, import_id=import_id, segment_id=segment_id, on=_day(on, "--on")
    )  # fmt: skip
    with opened() as ctx:
        if target is not None:
            _refuse_existing(target)
        rows = iter_touched(ctx, question)
        if target is None:
            print_lines(rows, as_json=as_json)
            return
        counted = _Counted(rows)
        _write_new(target, write_csv(iter(counted)))
    print_mapping({"file": str(target), "people": counted.count}, as_json=as_json)


class _Counted:
    """Rows that are counted while they pass."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row
