"""Play both stories through the real processes, hold the outcome against the script, and keep serving."""

import json
import secrets
import time
from dataclasses import asdict, dataclass

import click
import redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from sqlalchemy import inspect

from mailer.context import make_context
from mailer.database import Database
from mailer.demo import quiet, seminar
from mailer.demo.readers import Script
from mailer.demo.stage import Stage, set_up
from mailer.demo.tally import Tally, compare, count_all
from mailer.errors import ConflictError, MailerError, SetupError
from mailer.settings import Settings, load_settings
from mailer.supervisor.service import Plan, Supervisor


@dataclass(frozen=True)
class DemoOptions:
    """What `mailer demo` was asked for."""

    leave: bool
    database: str
    redis_url: str
    contacts: int
    port: int | None


@dataclass
class _Outcome:
    tally: Tally
    error: str = ""


def play_demo(options: DemoOptions) -> bool:
    """Play the stories and print the last line of INTERFACES; return whether all came out as scripted.

    Raises:
        ConflictError: a given database or Redis is not empty.
    """
    started = time.monotonic()
    console = Console(stderr=True)
    settings = _make_settings(options)
    _refuse_used(options)
    outcome = _Outcome(Tally())
    supervisor = Supervisor(Plan(settings, port=options.port), lambda line: console.print(line, highlight=False))
    try:
        with supervisor.running():
            _play(supervisor, options, console, outcome)
            _print_last_line(outcome, time.monotonic() - started)
            if not options.leave and not outcome.error:
                console.print("Ctrl-C stops everything.")
                supervisor.watch()
    except KeyboardInterrupt:
        outcome.error = outcome.error or "stopped by the person who watched"
    except MailerError as error:
        if not outcome.error:
            outcome.error = error.message
            console.print(f"[red]{error.message}[/] {error.mend}", highlight=False)
            _print_last_line(outcome, time.monotonic() - started)
    return not outcome.error


def _make_settings(options: DemoOptions) -> Settings:
    """A new folder each time, so that a demonstration never meets the remains of another."""
    given = load_settings()
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    overrides: dict[str, object] = {"data_dir": given.data_dir / "demo" / name, "timezone": "Europe/Oslo"}
    overrides |= {"database_url": options.database, "redis_url": options.redis_url}
    return load_settings(**overrides)


def _refuse_used(options: DemoOptions) -> None:
    if options.database:
        database = Database(options.database)
        database.check()
        if inspect(database.engine).get_table_names():
            raise ConflictError("the database given with --database is not empty", mend="give an empty one")
        database.dispose()
    if options.redis_url:
        try:
            with redis.Redis.from_url(options.redis_url, socket_connect_timeout=3) as client:
                used = client.dbsize()
        except RedisError as error:
            raise SetupError(f"no answer from {options.redis_url}: {error}", mend="check --redis") from error
        if used:
            raise ConflictError("the Redis given with --redis is not empty", mend="give an empty database number")


def _play(supervisor: Supervisor, options: DemoOptions, console: Console, outcome: _Outcome) -> None:
    """Both stories in order; whatever goes wrong is told in the last line."""
    ctx = make_context(supervisor.settings)
    stage = Stage(ctx, console)
    try:
        stage.say(f"everything runs at {supervisor.address}")
        set_up(stage, supervisor.settings.data_dir, options.contacts)
        script, opened, tasks = _tell(stage)
        outcome.tally = count_all(ctx)
        wrong = compare(outcome.tally, stage.plan, script, opened_reminders=opened, quiet_tasks=tasks)
        outcome.error = "; ".join(wrong)
        _print_table(outcome, console)
        if not options.leave:
            click.echo(f"{supervisor.address}  sign in as {stage.login[0]} with {stage.login[1]}")
    finally:
        ctx.database.dispose()


def _tell(stage: Stage) -> tuple[Script, int, int]:
    """Play; return the script, how many opened the reminder, how many tasks the quiet customers got."""
    seminar.prepare_audience(stage)
    campaign_id = seminar.schedule_invitation(stage)
    script = seminar.cast(stage, campaign_id)
    mails = seminar.send_invitation(stage, campaign_id, script)
    seminar.read_and_react(stage, script, mails)
    seminar.remind_participants(stage)
    opened = seminar.open_reminders(stage, script)
    tasks = quiet.call_quiet_customers(stage)
    return script, opened, tasks


def _print_table(outcome: _Outcome, console: Console) -> None:
    table = Table(title="What happened", show_header=False)
    for name, value in asdict(outcome.tally).items():
        shown = "\n".join(f"{key}: {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), shown)
    console.print(table)
    for line in outcome.error.split("; ") if outcome.error else ():
        console.print(f"[red]not as scripted:[/] {line}", highlight=False)


def _print_last_line(outcome: _Outcome, seconds: float) -> None:
    head = {"ok": not outcome.error, "error": outcome.error or None, "seconds": round(seconds, 1)}
    click.echo(json.dumps(head | asdict(outcome.tally), ensure_ascii=False))
