"""The ways out: relays with their weights, limits and state."""

import sys
from typing import Any

import click

from mailer.accounts.control import change_settings
from mailer.cli.output import json_option, print_json, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.context import Context
from mailer.delivery import transport_service as service
from mailer.delivery.transport_service import TransportLine, TransportValues
from mailer.delivery.transports import SETTINGS
from mailer.errors import ConflictError, InputError, MailerError
from mailer.workspace.queries import get_workspace

name_argument = click.argument("name", metavar="NAME")


@click.group()
def transports() -> None:
    """The ways out. NAME is a transport's name; `settings` is the relay of MAILER_SMTP_URL."""


@transports.command("list")
@json_option
@telling_errors
def list_transports(*, as_json: bool) -> None:
    """Show the relays with weights, limits and state; without an enabled one that of the settings is used."""
    with opened() as ctx, ctx.read() as session:
        lines = [_line(line) for line in service.list_lines(session, ctx)]
    print_lines(lines, as_json=as_json)


def _line(line: TransportLine) -> dict[str, Any]:
    return {
        "name": line.usable.name,
        "relay": str(line.usable.relay),
        "state": line.state,
        "enabled": line.is_enabled,
        "embedded": line.usable.is_embedded,
        "permitted": line.is_permitted,
        "weight": line.usable.weight,
        "rate_per_second": line.usable.rate_per_second,
        "connections": line.usable.connections,
        "resting_until": line.resting_until,
        "last_error": line.health.last_error if line.health.failures else "",
        "slowed": dict(line.slowed),
    }


@transports.command()
@name_argument
@click.argument("url", metavar="URL")
@click.option("--weight", default="1", show_default=True, help="Share of the mails; 0: only while no other works.")
@click.option("--rate", default="5", show_default=True, help="Mails a second, all workers together; none: no limit.")
@click.option("--connections", default="2", show_default=True, help="Connections at once, all workers together.")
@json_option
@telling_errors
def add(*, name: str, url: str, weight: str, rate: str, connections: str, as_json: bool) -> None:
    """Add a relay; it is used at once. URL is smtp[s]://USER:PASSWORD@HOST:PORT, or `-` to read it from stdin.

    \b
    Example:
      mailer transports add main smtps://user:secret@mail.example.com --rate 14 --connections 5
    """
    text = sys.stdin.readline().strip() if url == "-" else url
    shown_rate = "" if rate == "none" else rate
    values = TransportValues(name=name, url=text, weight=weight, rate_per_second=shown_rate, connections=connections)
    with opened() as ctx:
        service.add_transport(ctx, values)
        _print_one(ctx, name.strip(), as_json=as_json)


@transports.command("set")
@click.argument("name", metavar="NAME", default=SETTINGS)
@click.option("--rate", help="Mails a second, all workers together; none: no limit.")
@click.option("--connections", help="Connections at once, all workers together.")
@click.option("--weight", help="Share of the mails; 0: only while no other works.")
@json_option
@telling_errors
def set_transport(*, name: str, rate: str | None, connections: str | None, weight: str | None, as_json: bool) -> None:
    """Say what a relay may be asked for; without NAME, the relay of the settings. The catcher has no limits.

    \b
    Example:
      mailer transports set main --rate 50 --connections 10
    """
    with opened() as ctx:
        if name == SETTINGS:
            _set_settings(ctx, rate, connections, weight)
        else:
            _set_row(ctx, name, rate, connections, weight)
        _print_one(ctx, name, as_json=as_json)


def _set_settings(ctx: Context, rate: str | None, connections: str | None, weight: str | None) -> None:
    if weight is not None:
        raise ConflictError("the relay of the settings has no weight: it is used alone", mend="add transports instead")
    if rate is not None and rate.strip() in ("0", "0.0"):
        raise InputError("nothing would go out", where="--rate", mend="use `none` for no limit, or `mailer stop-all`")
    given = {"rate_per_second": "0" if rate == "none" else rate, "relay_connections": connections}
    with ctx.read() as session:
        limits = dict(get_workspace(session).limits)
    limits |= {key: value for key, value in given.items() if value is not None}
    change_settings(ctx, by=None, limits=limits)


def _set_row(ctx: Context, name: str, rate: str | None, connections: str | None, weight: str | None) -> None:
    with ctx.read() as session:
        row = service.find_transport(session, name)
    kept_rate = "" if row.rate_per_second is None else str(row.rate_per_second)
    values = TransportValues(
        name=row.name,
        weight=str(row.weight) if weight is None else weight,
        connections=str(row.connections) if connections is None else connections,
        rate_per_second=kept_rate if rate is None else "" if rate == "none" else rate,
    )
    service.change_transport(ctx, row.public_id, values)


@transports.command()
@name_argument
@json_option
@telling_errors
def test(*, name: str, as_json: bool) -> None:
    """Open a session, with TLS and AUTH but without a mail, and show the server's own words. Exit 1 where it fails."""
    with opened() as ctx:
        finding = service.try_transport(ctx, _key(ctx, name))
    if as_json:
        print_json(
            {
                "relay": finding.relay,
                "ok": finding.is_usable,
                "error": finding.error,
                "mend": finding.mend,
                "tls": finding.tls,
                "certificate_until": finding.certificate_until,
                "extensions": finding.extensions,
                "said": [{"phase": said.phase, "lines": list(said.lines)} for said in finding.said],
            }
        )
    else:
        for said in finding.said:
            for line in said.lines:
                click.echo(f"{said.phase:<9} {line}")
        click.echo(f"tls       {finding.tls or 'none'}")
        click.echo("ok" if finding.is_usable else f"failed: {finding.error}")
    if not finding.is_usable:
        sys.exit(1)


@transports.command()
@name_argument
@json_option
@telling_errors
def enable(*, name: str, as_json: bool) -> None:
    """Use a relay again."""
    _switch(name, is_enabled=True, as_json=as_json)


@transports.command()
@name_argument
@json_option
@telling_errors
def disable(*, name: str, as_json: bool) -> None:
    """Use a relay no more, until it is enabled."""
    _switch(name, is_enabled=False, as_json=as_json)


def _switch(name: str, *, is_enabled: bool, as_json: bool) -> None:
    with opened() as ctx:
        with ctx.read() as session:
            public_id = service.find_transport(session, name).public_id
        service.enable_transport(ctx, public_id, is_enabled=is_enabled)
        _print_one(ctx, name, as_json=as_json)


@transports.command()
@name_argument
@json_option
@telling_errors
def remove(*, name: str, as_json: bool) -> None:
    """Take a relay away, with its password."""
    with opened() as ctx:
        with ctx.read() as session:
            public_id = service.find_transport(session, name).public_id
        service.archive_transport(ctx, public_id)
    print_mapping({"name": name, "removed": True}, as_json=as_json)


def _key(ctx: Context, name: str) -> str:
    with ctx.read() as session:
        found = next((line.key for line in service.list_lines(session, ctx) if line.usable.name == name), "")
        return found or f"transport:{service.find_transport(session, name).id}"


def _print_one(ctx: Context, name: str, *, as_json: bool) -> None:
    with ctx.read() as session:
        found = [_line(line) for line in service.list_lines(session, ctx) if line.usable.name == name]
    if not found:
        raise MailerError("no relay is set", mend="set MAILER_SMTP_URL, or add a transport")
    print_mapping(found[0], as_json=as_json)
