"""Topics, sender profiles, suppressions, transports, stop everything."""

import csv
import sys
from pathlib import Path

import click

from mailer.accounts.control import add_sender, release_everything, stop_everything
from mailer.cli.output import json_option, print_json, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.consent import blocks, queries, service
from mailer.consent import suppressions as blocked
from mailer.consent.expiry import expire_due
from mailer.consent.proof import as_mapping, build_proof
from mailer.consent.replay import Difference, list_differences, rebuild_state
from mailer.contacts.queries import list_by_email
from mailer.errors import InputError, NotFoundError
from mailer.workspace.queries import list_senders
from mailer.workspace.service import SenderValues


@click.group()
def consent() -> None:
    """The consent ledger: sealed in blocks, replayed, compared."""


@consent.command()
@json_option
@telling_errors
def seal(*, as_json: bool) -> None:
    """Seal what the ledger holds so far; a background job does this every minute."""
    with opened() as ctx:
        made = blocks.seal(ctx)
        with ctx.read() as session:
            head = blocks.find_head(session)
    print_mapping({"blocks": made, "head": head.digest.hex() if head else ""}, as_json=as_json)


@consent.command()
@click.option("--head", metavar="DIGEST", default="", help="A head that was kept elsewhere; it must be in the chain.")
@json_option
@telling_errors
def verify(*, head: str, as_json: bool) -> None:
    """Compute every block of the ledger anew, and compare what it says with the tables that mails are sent by.

    Exit code 1 where something does not agree. Keep the head outside of this machine: with it, blocks taken from the
    end are noticed too.

    \b
    Example:
      mailer consent verify --head 5f0c…
    """
    with opened() as ctx, ctx.read() as session:
        found = blocks.check_blocks(session, known_head=_digest(head))
        differences = list_differences(session)
    problems = [*found.problems, *(_words(one) for one in differences)]
    answer = {"blocks": found.blocks, "lines": found.lines, "unsealed": found.unsealed, "head": found.head.hex()}
    print_mapping({**answer, "ok": not problems, "problems": problems}, as_json=as_json)
    if problems:
        sys.exit(1)


@consent.command()
@click.argument("email")
@json_option
@telling_errors
def proof(*, email: str, as_json: bool) -> None:
    """Print everything that the ledger says about the people with an address, and check evidence and seals.

    Exit code 1 where something does not agree.

    \b
    Example:
      mailer consent proof kari.berg@example.com --json
    """
    with opened() as ctx, ctx.read() as session:
        people = list_by_email(session, email)
        if not people:
            raise NotFoundError(f"no contact has the address {email}")
        proofs = [build_proof(session, contact, checks_seals=True) for contact in people]
    for one in proofs:
        values = {**as_mapping(one), "ok": not one.problems, "problems": one.problems}
        if as_json:
            print_json(values)
        else:
            print_mapping({key: value for key, value in values.items() if key != "lines"}, as_json=False)
            print_lines(values["lines"], as_json=False)
    if any(one.problems for one in proofs):
        sys.exit(1)


@consent.command()
@json_option
@telling_errors
def expire(*, as_json: bool) -> None:
    """Write down which permissions have run out; a background job does this every ten minutes."""
    with opened() as ctx:
        count = expire_due(ctx)
    print_mapping({"expired": count}, as_json=as_json)


@consent.command()
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@json_option
@telling_errors
def rebuild(*, dry_run: bool, as_json: bool) -> None:
    """Make permissions and subscriptions what the ledger says, where somebody wrote past it.

    A permission that no line proves is taken away. Look at `mailer consent verify` first: where the chain of blocks is
    broken, the ledger itself is not to be trusted.
    """
    with opened() as ctx:
        with ctx.read() as session:
            found = list_differences(session)
        changed = 0 if dry_run else rebuild_state(ctx)
    print_mapping({"changed": changed, "found": [_words(one) for one in found]}, as_json=as_json)


def _digest(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if text else None
    except ValueError as error:
        raise InputError(f"{text!r} is not a digest", where="--head", mend="64 hexadecimal digits") from error


def _words(one: Difference) -> str:
    about = "permission" if one.topic_id is None else f"topic {one.topic_id}"
    written, holds = one.written or "nothing", one.holds or "nothing"
    return f"contact {one.contact_id}, {about}: the ledger says {written}, the table {holds}"


@click.group()
def topics() -> None:
    """What people subscribe to."""


@topics.command("list")
@json_option
@telling_errors
def list_topics(*, as_json: bool) -> None:
    """List the topics."""
    with opened() as ctx, ctx.read() as session:
        lines = [
            {"id": row.id, "name": row.name, "own_products": row.is_own_products}
            for row in queries.list_topics(session)
        ]
    print_lines(lines, as_json=as_json)


@topics.command("create")
@click.argument("name")
@click.option("--description", default="")
@click.option("--own-products", is_flag=True, help="May reach customers and business addresses without consent.")
@json_option
@telling_errors
def create_topic(*, name: str, description: str, own_products: bool, as_json: bool) -> None:
    """Create a topic; it starts empty.

    \b
    Example:
      mailer topics create Invitations
    """
    with opened() as ctx:
        topic = service.create_topic(ctx, name, description=description, is_own_products=own_products)
    print_mapping({"id": topic.id, "name": topic.name}, as_json=as_json)


@click.group()
def senders() -> None:
    """Who mails are from."""


@senders.command("list")
@json_option
@telling_errors
def list_sender_profiles(*, as_json: bool) -> None:
    """List the sender profiles."""
    with opened() as ctx, ctx.read() as session:
        lines = [{"id": row.id, "name": row.name, "from": row.from_email} for row in list_senders(session)]
    print_lines(lines, as_json=as_json)


@senders.command("create")
@click.argument("name")
@click.option("--from-name", required=True)
@click.option("--from-email", required=True)
@click.option("--postal-address", required=True, help="The law asks for one in each mail.")
@click.option("--reply-to", default="")
@click.option("--organisation-number", default="")
@click.option("--privacy-url", default="")
@json_option
@telling_errors
def create_sender(*, name: str, as_json: bool, **values: str) -> None:
    """Create a sender profile.

    \b
    Example:
      mailer senders create "Fjord Seminars" --from-name "Fjord Seminars" \\
        --from-email news@example.com --postal-address "Havnegata 1, 0150 Oslo"
    """
    with opened() as ctx:
        sender = add_sender(ctx, SenderValues(name=name, **values))
    print_mapping({"id": sender.id, "name": sender.name}, as_json=as_json)


@click.group()
def suppressions() -> None:
    """Addresses that must not be written to."""


@suppressions.command("list")
@click.option("--search", default="", help="Part of an address.")
@json_option
@telling_errors
def list_suppressions(*, search: str, as_json: bool) -> None:
    """List active suppressions, newest first."""
    with opened() as ctx, ctx.read() as session:
        before = None
        while lines := queries.list_suppressions(session, search=search, before_id=before, limit=500):
            print_lines(
                (
                    {
                        "id": line.id, "email": line.email, "scope": line.scope, "topic": line.topic,
                        "reason": line.reason, "source": line.source, "created_at": line.created_at,
                    }
                    for line in lines
                ),
                as_json=as_json,
            )  # fmt: skip
            before = lines[-1].id


@suppressions.command("add")
@click.argument("email")
@json_option
@telling_errors
def add_suppression(*, email: str, as_json: bool) -> None:
    """Suppress an address."""
    with opened() as ctx:
        is_new = blocked.add_suppression(ctx, email, source="command line")
    print_mapping({"email": email, "new": is_new}, as_json=as_json)


@suppressions.command("remove")
@click.argument("email")
@json_option
@telling_errors
def remove_suppression(*, email: str, as_json: bool) -> None:
    """Lift what staff may lift: hard bounces, soft bounces, manual and provider entries."""
    with opened() as ctx:
        lifted = blocked.lift_suppressions(ctx, email, by=None)
    print_mapping({"email": email, "lifted": lifted}, as_json=as_json)


@suppressions.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@telling_errors
def import_suppressions(*, file: Path, as_json: bool) -> None:
    """Suppress every address of a CSV: the column email or address_hash, else the first one. Lifts nothing.

    Columns reason and topic are read where they are; an export can be read back.
    """
    with opened() as ctx:
        found = blocked.import_suppressions(ctx, _read_list(file), source=f"file {file.name}")
    answer = {"new": found.new, "refused_count": found.refused_count}
    print_mapping(
        {**answer, "refused": [{"email": email, "reason": reason} for email, reason in found.refused]}, as_json=as_json
    )


def _read_list(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened_file:
            return list(blocked.read_list(csv.reader(opened_file)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("not a CSV file of addresses", where=str(file), mend="save it as CSV in UTF-8") from error


@suppressions.command("export")
@telling_errors
def export_suppressions() -> None:
    """Write active suppressions as CSV to stdout; erased addresses appear by their hash."""
    writer = csv.writer(sys.stdout)
    writer.writerow(blocked.EXPORT_COLUMNS)
    with opened() as ctx:
        writer.writerows(blocked.iter_export(ctx))


@click.command("stop-all")
@click.option("--release", is_flag=True, help="Let marketing go on.")
@click.option("--note", default="", help="Why; mandatory with --release.")
@json_option
@telling_errors
def stop_all(*, release: bool, note: str, as_json: bool) -> None:
    """Hold all marketing at the next gate, or release it.

    \b
    Examples:
      mailer stop-all --note "wrong list"
      mailer stop-all --release --note "list mended"
    """
    with opened() as ctx:
        changed = release_everything(ctx, note=note) if release else stop_everything(ctx, note=note)
    print_mapping({"stopped": not release, "changed": changed}, as_json=as_json)
