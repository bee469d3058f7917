"""Sending domains: their keys, the records to publish, and what is seen of them."""

from typing import Any

import click

from mailer.cli.output import json_option, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.context import Context
from mailer.delivery import domain_queries, domain_service
from mailer.delivery.domains import Check, read_checks
from mailer.delivery.warm_up import list_warm_ups, set_warm_up
from mailer.schema.transports import DKIM_ALGORITHMS


@click.group()
def domains() -> None:
    """Domains that mails are from, and the DNS records that make receivers believe them."""


@domains.command("list")
@json_option
@telling_errors
def list_domains(*, as_json: bool) -> None:
    """List the sending domains with their lights."""
    with opened() as ctx, ctx.read() as session:
        lines = [
            {
                "domain": line.domain,
                "light": line.light.value if line.light else None,
                "keys": line.keys,
                "checked_at": line.checked_at,
            }
            for line in domain_queries.list_domains(session)
        ]
    print_lines(lines, as_json=as_json)


@domains.command("add")
@click.argument("domain")
@click.option("--ed25519", is_flag=True, help="Make an Ed25519 key beside the RSA key.")
@click.option("--no-warm-up", is_flag=True, help="Mails have been sent from it for months: no limit of 500 a day.")
@json_option
@telling_errors
def add_domain(*, domain: str, ed25519: bool, no_warm_up: bool, as_json: bool) -> None:
    """Add a domain with its keys, and show the records to publish. It warms up: 500 marketing mails on the first day.

    \b
    Example:
      mailer domains add example.com
    """
    with opened() as ctx:
        row = domain_service.create_domain(ctx, domain, with_ed25519=ed25519, warms_up=not no_warm_up)
        _print_domain(ctx, row.domain, as_json=as_json)


@domains.command("warm-up")
@click.argument("domain")
@click.option("--end", is_flag=True, help="Take the limit away: the domain is warm.")
@json_option
@telling_errors
def warm_up(*, domain: str, end: bool, as_json: bool) -> None:
    """Begin again with 500 marketing mails a day, or end it; say what is left of today."""
    with opened() as ctx:
        with ctx.read() as session:
            public_id = domain_queries.get_domain_by_name(session, domain).public_id
        set_warm_up(ctx, public_id, begins=not end)
        with ctx.read() as session:
            (shown,) = [one for one in list_warm_ups(session, ctx) if one.public_id == public_id]
    print_mapping({"domain": shown.domain, "limit": shown.limit, "left": shown.left}, as_json=as_json)


@domains.command("show")
@click.argument("domain")
@json_option
@telling_errors
def show_domain(*, domain: str, as_json: bool) -> None:
    """Show a domain: records to publish, keys, and what the last check saw."""
    with opened() as ctx:
        _print_domain(ctx, domain, as_json=as_json)


@domains.command("check")
@click.argument("domain")
@json_option
@telling_errors
def check_domain(*, domain: str, as_json: bool) -> None:
    """Look at a domain's DNS records now; the first key whose record is seen is put to use."""
    with opened() as ctx:
        found = domain_service.check_now(ctx, _id_of(ctx, domain))
    print_lines([_check_line(check) for check in found], as_json=as_json)


@domains.command("key")
@click.argument("domain")
@click.option("--algorithm", type=click.Choice(DKIM_ALGORITHMS), default="rsa", help="What kind of key.")
@json_option
@telling_errors
def add_key(*, domain: str, algorithm: str, as_json: bool) -> None:
    """Make a further key; it signs nothing before it is put to use."""
    with opened() as ctx:
        key = domain_service.create_key(ctx, _id_of(ctx, domain), algorithm)
    print_mapping({"domain": domain, "selector": key.selector, "algorithm": key.algorithm}, as_json=as_json)


@domains.command("activate")
@click.argument("domain")
@click.argument("selector")
@json_option
@telling_errors
def activate_key(*, domain: str, selector: str, as_json: bool) -> None:
    """Sign with a key from now on; the last check must have seen its record."""
    with opened() as ctx:
        domain_service.activate_key(ctx, _id_of(ctx, domain), selector)
    print_mapping({"domain": domain, "selector": selector, "active": True}, as_json=as_json)


@domains.command("retire")
@click.argument("domain")
@click.argument("selector")
@json_option
@telling_errors
def retire_key(*, domain: str, selector: str, as_json: bool) -> None:
    """Destroy a key; leave its record in DNS for a week."""
    with opened() as ctx:
        domain_service.retire_key(ctx, _id_of(ctx, domain), selector)
    print_mapping({"domain": domain, "selector": selector, "retired": True}, as_json=as_json)


def _id_of(ctx: Context, domain: str) -> int:
    with ctx.read() as session:
        return domain_queries.get_domain_by_name(session, domain).id


def _print_domain(ctx: Context, domain: str, *, as_json: bool) -> None:
    with ctx.read() as session:
        row = domain_queries.get_domain_by_name(session, domain)
        answer: dict[str, Any] = {
            "domain": row.domain,
            "checked_at": row.checked_at,
            "records": [
                {"kind": record.kind, "type": record.type, "name": record.name, "value": record.value}
                for record in domain_service.list_domain_records(session, ctx, row)
            ],
            "keys": [
                {"selector": key.selector, "algorithm": key.algorithm, "active": key.is_active}
                for key in domain_queries.list_keys(session, row.id)
            ],
            "checks": [_check_line(check) for check in read_checks(row.checks)],
        }
    if as_json:
        print_mapping(answer, as_json=True)
        return
    print_mapping({"domain": answer["domain"], "checked_at": answer["checked_at"]}, as_json=False)
    for part in ("records", "keys", "checks"):
        click.echo(f"\n{part}:")
        print_lines(answer[part], as_json=False)


def _check_line(check: Check) -> dict[str, Any]:
    return {"kind": check.kind, "name": check.name, "light": check.light, "what": check.what, "mend": check.mend}
