"""The ledger of a campaign, one line a recipient."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from mailer import tokens
from mailer.campaigns import queries as campaign_queries
from mailer.campaigns.resend import resend_unknowns
from mailer.cli.output import REFUSED, json_option, number, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.context import Context
from mailer.delivery import queries
from mailer.errors import InputError
from mailer.statuses import MessageState


@click.group()
def messages() -> None:
    """One mail to one contact."""


@messages.command("list")
@click.option("--campaign", "campaign_id", type=number, metavar="ID", help="Those of one campaign.")
@click.option("--state", type=click.Choice([state.value for state in MessageState]), help="Those in one state.")
@json_option
@telling_errors
def list_messages(*, campaign_id: int | None, state: str | None, as_json: bool) -> None:
    """List every recipient with state, reason and events; of all campaigns where only a state is named.

    \b
    Examples:
      mailer messages list --campaign 3 --json
      mailer messages list --state unknown
    """
    if campaign_id is None and state is None:
        raise InputError("say which messages", where="messages list", mend="name --campaign, --state or both")
    with opened() as ctx:
        print_lines(_lines(ctx, campaign_id, state or ""), as_json=as_json)


@messages.command()
@click.argument("message_ids", metavar="ID…", type=number, nargs=-1, required=True)
@json_option
@telling_errors
def resend(*, message_ids: tuple[int, ...], as_json: bool) -> None:
    """Send unknown messages again: they may have been accepted, so whoever gets one may get it twice. Audited.

    \b
    Example:
      mailer messages resend 17 18
    """
    with opened() as ctx:
        resent = resend_unknowns(ctx, message_ids)
    refused = [{"id": number, "reason": reason} for number, reason in resent.refused.items()]
    print_mapping({"queued": resent.queued, "refused": refused}, as_json=as_json)
    if refused and not resent.queued:
        sys.exit(REFUSED)


def _lines(ctx: Context, campaign_id: int | None, state: str) -> Iterator[dict[str, Any]]:
    with ctx.read() as session:
        sending_id = None
        if campaign_id is not None:
            sending_id = campaign_queries.get_campaign(session, campaign_id).sending_id
            if sending_id is None:
                return
        for line in queries.iter_messages(session, sending_id, state=state):
            local = tokens.message_id_local(ctx.keys, line.id, line.key_id)
            yield {
                "id": line.id,
                "email": line.email,
                "state": line.state,
                "reason": line.reason,
                "message_id": f"{local}@{ctx.settings.bounce_domain}",
                "accepted_at": line.accepted_at,
                "events": line.events,
            }
