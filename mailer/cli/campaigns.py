"""Campaigns: create, review, audience, launch, hold, status."""

from pathlib import Path

import click

from mailer.addresses import PROVIDER_NAMES
from mailer.campaigns import composing, queries, running, service
from mailer.campaigns.spec import parse_campaign_file
from mailer.cli.output import json_option, number, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.context import Context
from mailer.delivery.why import why_not_moving
from mailer.errors import InputError
from mailer.reputation.service import release_breaker

id_argument = click.argument("campaign_id", metavar="ID", type=number)


@click.group()
def campaigns() -> None:
    """One content to one audience at one time. ID is a number from `campaigns create` or `campaigns list`."""


@campaigns.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@telling_errors
def create(*, file: Path, as_json: bool) -> None:
    """Create a draft from a campaign file (docs/reference/campaign-file.md).

    \b
    Example:
      mailer campaigns create invitation.toml --json
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not a text file: {error.reason}", where=str(file), mend="a campaign file is TOML") from error
    with opened() as ctx:
        campaign = composing.create_campaign(ctx, parse_campaign_file(text, file.parent))
    print_mapping({"id": campaign.id, "status": campaign.status}, as_json=as_json)


@campaigns.command("list")
@json_option
@telling_errors
def list_campaigns(*, as_json: bool) -> None:
    """List the newest campaigns."""
    with opened() as ctx, ctx.read() as session:
        lines = [
            {"id": line.campaign.id, "name": line.campaign.name, "status": line.status, "reason": line.reason}
            for line in queries.list_campaigns(session)
        ]
    print_lines(lines, as_json=as_json)


@campaigns.command()
@id_argument
@json_option
@telling_errors
def review(*, campaign_id: int, as_json: bool) -> None:
    """Say what would block the launch (red) and what is worth a look (amber)."""
    with opened() as ctx:
        findings, _ = service.review_campaign(ctx, campaign_id)
    lines = ({"level": f.level, "code": f.code, "what": f.what, "where": f.where, "mend": f.mend} for f in findings)
    print_lines(lines, as_json=as_json)


@campaigns.command()
@id_argument
@json_option
@telling_errors
def audience(*, campaign_id: int, as_json: bool) -> None:
    """Count who would get it, and for each who would not, the first reason that applies."""
    with opened() as ctx:
        figures = service.count_audience(ctx, campaign_id)
    print_mapping(figures, as_json=as_json)


@campaigns.command()
@id_argument
@json_option
@telling_errors
def launch(*, campaign_id: int, as_json: bool) -> None:
    """Start it now, or schedule it where its time is to come."""
    with opened() as ctx:
        service.launch_campaign(ctx, campaign_id)
        _print_status(ctx, campaign_id, as_json=as_json)


@campaigns.command()
@id_argument
@json_option
@telling_errors
def pause(*, campaign_id: int, as_json: bool) -> None:
    """Hold it: no message that is not on its way yet goes out after this has answered."""
    with opened() as ctx:
        running.pause_campaign(ctx, campaign_id)
        _print_status(ctx, campaign_id, as_json=as_json)


@campaigns.command()
@id_argument
@click.option("--note", help="Why it is safe to go on; needed where the breaker holds it.")
@json_option
@telling_errors
def resume(*, campaign_id: int, note: str | None, as_json: bool) -> None:
    """Let a held one go on."""
    with opened() as ctx:
        if note:
            with ctx.read() as session:
                sending_id = queries.get_campaign(session, campaign_id).sending_id
            release_breaker(ctx, sending_id, note)
        running.resume_campaign(ctx, campaign_id)
        _print_status(ctx, campaign_id, as_json=as_json)


@campaigns.command()
@id_argument
@json_option
@telling_errors
def cancel(*, campaign_id: int, as_json: bool) -> None:
    """End it for good; what is queued is cancelled."""
    with opened() as ctx:
        running.cancel_campaign(ctx, campaign_id)
        _print_status(ctx, campaign_id, as_json=as_json)


@campaigns.command()
@id_argument
@click.argument("provider", metavar="PROVIDER", type=click.Choice(PROVIDER_NAMES))
@json_option
@telling_errors
def release(*, campaign_id: int, provider: str, as_json: bool) -> None:
    """Let mails to a mailbox provider go again that were held after it refused the sender."""
    with opened() as ctx:
        running.release_provider_hold(ctx, campaign_id, provider)
        _print_status(ctx, campaign_id, as_json=as_json)


@campaigns.command()
@id_argument
@json_option
@telling_errors
def status(*, campaign_id: int, as_json: bool) -> None:
    """Say where it stands: messages by state, skipped by reason, rate, time left, and what it waits for."""
    with opened() as ctx:
        _print_status(ctx, campaign_id, as_json=as_json)


def _print_status(ctx: Context, campaign_id: int, *, as_json: bool) -> None:
    with ctx.read() as session:
        campaign = queries.get_campaign(session, campaign_id)
        progress = queries.get_progress(session, ctx, campaign)
        causes = why_not_moving(session, ctx, campaign.sending_id) if campaign.sending_id else []
    print_mapping(
        {
            "id": campaign_id,
            "status": progress.status,
            "reason": progress.reason,
            "states": progress.states,
            "skipped": progress.skipped,
            "rate_per_second": progress.rate_per_second,
            "eta_seconds": progress.eta_seconds,
            "waiting": [
                {"code": cause.code.value, "what": cause.what, "until": cause.until, **cause.detail} for cause in causes
            ],
        },
        as_json=as_json,
    )
