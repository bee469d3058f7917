"""The embedded default's own mail server: what it took, and how it is to misbehave."""

import sys

import click

from mailer.catcher import service
from mailer.catcher.store import Behavior
from mailer.cli.output import json_option, number, print_lines, print_mapping, telling_errors
from mailer.settings import load_settings


@click.group()
def catcher() -> None:
    """Mails that `mailer up` caught instead of sending them."""


@catcher.command("list")
@json_option
@telling_errors
def list_mails(*, as_json: bool) -> None:
    """List accepted mails, oldest first."""
    print_lines((_line(mail) for mail in service.iter_mails(load_settings())), as_json=as_json)


def _line(mail: service.ListedMail) -> dict[str, object]:
    return {
        "id": mail.id,
        "received_at": mail.received_at,
        "mail_from": mail.mail_from,
        "rcpt_to": mail.rcpt_to,
        "message_id": mail.message_id,
        "subject": mail.subject,
        "links": list(mail.links),
    }


@catcher.command()
@click.argument("mail_id", metavar="ID", type=number)
@telling_errors
def show(*, mail_id: int) -> None:
    """Write a mail as it came, to stdout."""
    sys.stdout.buffer.write(service.get_mail(load_settings(), mail_id).raw)


@catcher.command()
@click.argument("pattern")
@click.argument("behavior", type=click.Choice([behavior.value for behavior in Behavior]))
@json_option
@telling_errors
def rule(*, pattern: str, behavior: str, as_json: bool) -> None:
    """Say how recipients that match a pattern are treated; the newest rule wins.

    \b
    Examples:
      mailer catcher rule '*@gone.example.com' refuse
      mailer catcher rule 'anna@*' bounce
    """
    made = service.add_rule(load_settings(), pattern, behavior)
    print_mapping({"id": made.id, "pattern": made.pattern, "behavior": made.behavior}, as_json=as_json)


@catcher.command()
@click.option("--clear", is_flag=True, help="Forget every rule.")
@json_option
@telling_errors
def rules(*, clear: bool, as_json: bool) -> None:
    """List the rules, or forget them."""
    settings = load_settings()
    if clear:
        print_mapping({"cleared": service.clear_rules(settings)}, as_json=as_json)
        return
    lines = ({"id": row.id, "pattern": row.pattern, "behavior": row.behavior} for row in service.list_rules(settings))
    print_lines(lines, as_json=as_json)
