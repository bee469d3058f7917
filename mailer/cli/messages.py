"""The ledger of a campaign, one line a recipient."""

from collections.abc import Iterator
from typing import Any

import click

from mailer import tokens
from mailer.campaigns import queries as campaign_queries
from mailer.cli.output import json_option, number, print_lines, telling_errors
from mailer.cli.session import opened
from mailer.context import Context
from mailer.delivery import queries


@click.group()
def messages() -> None:
    """One mail to one contact."""


@messages.command("list")
@click.option("--campaign", "campaign_id", type=number, required=True, metavar="ID")
@json_option
@telling_errors
def list_messages(*, campaign_id: int, as_json: bool) -> None:
    """List every recipient with state, reason and events.

    \b
    Example:
      mailer messages list --campaign 3 --json
    """
    with opened() as ctx:
        print_lines(_lines(ctx, campaign_id), as_json=as_json)


def _lines(ctx: Context, campaign_id: int) -> Iterator[dict[str, Any]]:
    with ctx.read() as session:
        campaign = campaign_queries.get_campaign(session, campaign_id)
        if campaign.sending_id is None:
            return
        for line in queries.iter_messages(session, campaign.sending_id):
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
