"""The breaker, canaries and outside figures from the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mailer.accounts.control import change_settings
from mailer.campaigns.queries import get_campaign
from mailer.cli.output import json_option, number, print_json, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.reputation import outside, queries, service
from mailer.reputation.policy import Counts, Figure, Window, share_of
from mailer.reputation.watching import release_now
from mailer.schema.reputation import Breaker
from mailer.workspace.limits import LIMITS, Limit
from mailer.workspace.queries import get_workspace

_SCOPES = ("campaign", "domain", "provider")
_OURS = ("hard_bounce", "complaint", "unsubscribe", "canary")


@click.group()
def reputation() -> None:
    """Rates against their limits, what the breaker holds, canaries, figures of Google."""


@reputation.command()
@click.option("--window", type=click.Choice([one.value for one in Window]), default="24h", show_default=True)
@json_option
@telling_errors
def show(*, window: str, as_json: bool) -> None:
    """Show the rates of everything, of each domain and mailbox provider, and every breaker that is not ok."""
    with opened() as ctx:
        service.check_rates(ctx, is_paced=True)
        found = _standing(ctx, Window(window))
    if as_json:
        print_json(found)
        return
    print_lines(found["rates"], as_json=False)
    print_lines(found["breakers"] or [{"breakers": "none"}], as_json=False)


def _standing(ctx: Context, window: Window) -> dict[str, Any]:
    with ctx.read() as session:
        rolling = queries.load_rolling(session, utc_now())
        scopes = [("all", "", "")] + [
            (scope, scope, key) for scope in ("domain", "provider") for key in rolling.keys(scope)
        ]
        rates = [_rate(label, key, rolling.of(scope, key).get(window, Counts())) for label, scope, key in scopes]
        breakers = [_breaker(row) for row in queries.list_breakers(session, only_open=True)]
        return {
            "state": queries.worst_state(session).value,
            "window": window.value,
            "rates": rates,
            "breakers": breakers,
        }


def _rate(scope: str, key: str, counts: Counts) -> dict[str, Any]:
    shares = {figure.value: round(share_of(*counts.part_of(figure)), 6) for figure in Figure}
    return {"scope": scope, "key": key, "transmitted": counts.transmitted, **shares}


def _breaker(row: Breaker) -> dict[str, Any]:
    return {
        "scope": row.scope,
        "key": row.scope_key,
        "state": row.state,
        "why": row.note,
        "since": row.changed_at,
        "reasons": row.figures.get("reasons", []),
        "ignored": service.what_is_ignored(row),
    }


@reputation.command("resume")
@click.argument("scope", type=click.Choice(_SCOPES))
@click.argument("key", metavar="ID|DOMAIN|PROVIDER")
@click.option("--note", required=True, help="Why it is safe to go on; kept in the history.")
@json_option
@telling_errors
def resume_scope(*, scope: str, key: str, note: str, as_json: bool) -> None:
    """Let a campaign, domain or mailbox provider go on that the breaker slowed down or stopped.

    What went out before does not stop it again, unless it becomes worse.

    \b
    Example:
      mailer reputation resume campaign 7 --note "the list of 2019 is out"
    """
    with opened() as ctx:
        row = service.resume(ctx, *_scope_of(ctx, scope, key), note)
        print_mapping(_breaker(row), as_json=as_json)


def _scope_of(ctx: Context, scope: str, key: str) -> tuple[str, str]:
    if scope != "campaign":
        return scope, key.strip().lower()
    if not key.isdecimal():
        raise InputError(f"{key!r} is no id of a campaign", where="ID", mend="list them: mailer campaigns list")
    return "sending", str(_sending_of(ctx, int(key)))


def _sending_of(ctx: Context, campaign_id: int) -> int:
    with ctx.read() as session:
        sending_id = get_campaign(session, campaign_id).sending_id
    if sending_id is None:
        raise ConflictError("the campaign does not run yet")
    return sending_id


@reputation.command()
@click.argument("campaign_id", type=number, metavar="ID")
@click.option("--note", required=True, help="Why the watch need not be awaited.")
@telling_errors
def release(*, campaign_id: int, note: str) -> None:
    """Let the rest of a campaign go now, before its first share has been watched to the end."""
    with opened() as ctx:
        release_now(ctx, _sending_of(ctx, campaign_id), note)
    click.echo("everything goes out now")


@reputation.command()
@click.option("--scope", type=click.Choice(_SCOPES), help="Of one breaker, with --key.")
@click.option("--key", help="A campaign's id, a domain, a mailbox provider.")
@click.option("--limit", "count", type=click.IntRange(1, 1000), default=20, show_default=True)
@json_option
@telling_errors
def history(*, scope: str | None, key: str | None, count: int, as_json: bool) -> None:
    """Show what the breaker did and who let go on what, newest first."""
    if (scope is None) != (key is None):
        raise InputError("--scope and --key go together", where="--scope")
    with opened() as ctx:
        chosen = _scope_of(ctx, scope, key) if scope and key else (None, None)
        with ctx.read() as session:
            lines = [
                {"at": row.at, "scope": row.scope, "key": row.scope_key, "before": row.state_before, "state": row.state,
                 "note": row.note, "by_staff_id": row.by_staff_id}
                for row in queries.list_changes(session, *chosen, limit=count)
            ]  # fmt: skip
    print_lines(lines, as_json=as_json)


@reputation.command("limits")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]…")
@json_option
@telling_errors
def change_limits(*, values: tuple[str, ...], as_json: bool) -> None:
    """Show the limits of rates and canaries, or change them (docs/reference/defaults.md).

    \b
    Example:
      mailer reputation limits canary_watch_minutes=60 hard_bounce_pause=0.04
    """
    ours = [limit for limit in LIMITS if limit.name.startswith(_OURS)]
    with opened() as ctx:
        if values:
            change_settings(ctx, by=None, limits=_overrides(ctx) | dict(_pair(text, ours) for text in values))
        overrides = _overrides(ctx)
    print_mapping({limit.name: overrides.get(limit.name, limit.default) for limit in ours}, as_json=as_json)


def _overrides(ctx: Context) -> dict[str, Any]:
    with ctx.read() as session:
        return dict(get_workspace(session).limits)


def _pair(text: str, ours: Sequence[Limit]) -> tuple[str, str]:
    known = {limit.name for limit in ours}
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"{text!r} is not NAME=VALUE", where="arguments")
    if name not in known:
        raise NotFoundError(
            f"no limit of rates or canaries is called {name!r}", mend=f"known: {', '.join(sorted(known))}"
        )
    return name, value


@reputation.group("outside")
def outside_figures() -> None:
    """Figures of Google Postmaster Tools, beside our own."""


@outside_figures.command("add")
@click.argument("domain", metavar="DOMAIN")
@click.argument("day", metavar="DAY")
@click.argument("spam_rate", metavar="SPAM_RATE")
@click.option("--reputation", "word", default="", help="high, medium, low or bad.")
@telling_errors
def add_figure(*, domain: str, day: str, spam_rate: str, word: str) -> None:
    """Write down a day's figure: `mailer reputation outside add example.com 2026-11-22 0.04%`."""
    figures = [outside.read_figures(domain, day, spam_rate, word)]
    with opened() as ctx:
        outside.record_figures(ctx, figures)
    click.echo("written down")


@outside_figures.command("import")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--domain", default="", help="Where the file has no column domain.")
@telling_errors
def import_figures(*, path: Path, domain: str) -> None:
    """Take in a CSV with day, spam_rate (a share, or with a % sign) and perhaps domain and domain_reputation."""
    figures = outside.read_csv(path.read_bytes(), domain)
    with opened() as ctx:
        count = outside.record_figures(ctx, figures)
    click.echo(f"{count} days taken in")


@outside_figures.command("list")
@json_option
@telling_errors
def list_figures(*, as_json: bool) -> None:
    """Show them, newest day first."""
    with opened() as ctx, ctx.read() as session:
        rows = queries.list_outside(session)
        lines = [
            {"day": row.day, "domain": row.domain, "spam_rate": row.spam_rate, "reputation": row.domain_reputation}
            for row in rows
        ]
    print_lines(lines, as_json=as_json)
