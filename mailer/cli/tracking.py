"""Opens and clicks: verdicts computed anew, the rules they come from, webhooks of link actions."""

import click

from mailer.actions import queries as actions
from mailer.actions.webhooks import create_webhook
from mailer.cli.output import json_option, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.tracking.machines import RULES, RULES_VERSION
from mailer.tracking.recompute import continue_recompute, start_recompute


@click.group()
def tracking() -> None:
    """Opens and clicks, and who made them."""


@tracking.command()
@json_option
@telling_errors
def recompute(*, as_json: bool) -> None:
    """Judge every hit anew by the rules of today; correct events, engagement and figures.

    Safe to end and to repeat: it goes on where it was.
    """
    with opened(rings=False) as ctx:
        run = continue_recompute(ctx, start_recompute(ctx))
    print_mapping({"rules": run.rules, "hits": run.hits, "changed": run.changed, "done": run.is_done}, as_json=as_json)


@tracking.command("rules")
@json_option
@telling_errors
def list_rules(*, as_json: bool) -> None:
    """List the rules by which hits are judged, in order of weight."""
    rows = (
        {"rules": RULES_VERSION, "word": rule.word, "class": rule.hit_class.value, "of": rule.of, "says": rule.says}
        for rule in RULES
    )
    print_lines(rows, as_json=as_json)


@click.group("link-webhooks")
def link_webhooks() -> None:
    """Webhooks that links may call."""


@link_webhooks.command("list")
@json_option
@telling_errors
def list_link_webhooks(*, as_json: bool) -> None:
    """List the webhooks in use, by name."""
    with opened() as ctx, ctx.read() as session:
        rows = [
            {"name": row.name, "url": row.url, "created_at": row.created_at} for row in actions.list_webhooks(session)
        ]
    print_lines(rows, as_json=as_json)


@link_webhooks.command("create")
@click.argument("name")
@click.argument("url")
@json_option
@telling_errors
def create_link_webhook(*, name: str, url: str, as_json: bool) -> None:
    """Add a webhook that links may call; its secret is printed this once."""
    with opened(rings=False) as ctx:
        public_id, secret = create_webhook(ctx, name, url)
    print_mapping({"id": str(public_id), "name": name, "secret": secret}, as_json=as_json)
