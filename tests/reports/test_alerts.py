"""The alert rules are true: their metrics are in /metrics, they fire when they should, each has its runbook section."""

import re
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]
from sqlalchemy import insert, select, update

from mailer.cli.main import main
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.workers import beat as beat_worker
from mailer.reports.metrics import collect_metrics, render_metrics
from mailer.reputation.heartbeat import beat
from mailer.reputation.service import check_rates
from mailer.schema.bounces import BounceReport, WebhookEndpoint
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.reputation import Breaker, OutsideFigure, RateLook, RateSlot
from mailer.schema.transports import RelayState, SendingDomain
from mailer.schema.workspace import Workspace
from mailer.tracking.records import RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter, list_segments
from tests.reports.promql import evaluate, metrics_of, parse_metrics
from tests.reputation.scene import make_sent
from tests.support.client import make_client
from tests.support.make import make_workspace

DOCS = Path(__file__).parents[2] / "docs" / "operations"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
BY_NAME = {rule["alert"]: rule for rule in RULES}
FROM_PROMETHEUS = {"up"}


@pytest.fixture
def calm(sending_ctx: Context) -> Context:
    """An installation that works: workers live, a campaign with good figures has gone out."""
    with sending_ctx.write() as session:
        make_workspace(session)
    make_sent(sending_ctx, 300, hard=2)
    beat(sending_ctx.redis)
    beat_worker(sending_ctx.redis)
    with sending_ctx.write() as session:
        session.execute(update(SendBatch).values(state="done"))
        session.execute(update(Message).where(Message.state == "queued").values(state="cancelled"))
    check_rates(sending_ctx, is_paced=False)
    return sending_ctx


def firing(ctx: Context) -> set[str]:
    with ctx.read() as session:
        metrics = parse_metrics(render_metrics(collect_metrics(session, ctx)))
    return {rule["alert"] for rule in RULES if evaluate(rule["expr"], metrics)}


def test_nothing_fires_where_all_is_well(calm: Context) -> None:
    assert firing(calm) == set()


def due(ctx: Context) -> None:
    with ctx.write() as session:
        session.execute(update(SendBatch).values(state="ready", not_before=utc_now() - timedelta(minutes=3)))


def kill_workers(ctx: Context) -> None:
    for key in ctx.redis.scan_iter("mailer:worker:*"):
        ctx.redis.delete(key)


def stop_background(ctx: Context) -> None:
    ctx.redis.set("mailer:beat:work", (utc_now() - timedelta(seconds=61)).isoformat())


def breaker(scope: str, state: str) -> Callable[[Context], None]:
    def trip(ctx: Context) -> None:
        with ctx.write() as session:
            session.add(Breaker(scope=scope, scope_key="x", state=state, changed_at=utc_now()))

    return trip


def sent(accepted: int, **more: Any) -> Callable[[Context], None]:
    def send(ctx: Context) -> None:
        make_sent(ctx, accepted, domain="other.example.com", **more)
        check_rates(ctx, is_paced=False)

    return send


def row(table: Any, **values: Any) -> Callable[[Context], None]:
    def add(ctx: Context) -> None:
        with ctx.write() as session:
            session.execute(insert(table).values(**values))

    return add


def change(statement: Callable[[], Any]) -> Callable[[Context], None]:
    def run(ctx: Context) -> None:
        with ctx.write() as session:
            session.execute(statement())

    return run


def leave_hits(ctx: Context) -> None:
    with closing(SpoolWriter(ctx.settings.spool_dir, durable=False)) as writer:
        writer.append(pack_hit(RawHit(NOW.timestamp() - 180, 1, 1, 42, 0, 0, "192.0.2.1", "Mozilla/5.0")))


def damage_spool(ctx: Context) -> None:
    leave_hits(ctx)
    (segment,) = list_segments(ctx.settings.spool_dir)
    segment.set_aside()


NOW = utc_now()
WRONG: list[tuple[str, Callable[[Context], None]]] = [
    ("MailNotMoving", due),
    ("NoSendWorker", kill_workers),
    ("BackgroundWorkStopped", stop_background),
    ("CampaignStopped", breaker("sending", "paused")),
    ("DomainStopped", breaker("domain", "disabled")),
    ("ProviderStopped", breaker("provider", "paused")),
    ("SlowedDown", breaker("sending", "throttled")),
    ("HardBouncesHigh", sent(250, hard=5)),
    ("ComplaintsHigh", sent(3000, complaints=3)),
    ("UnsubscribesHigh", change(lambda: update(RateSlot).values(unsubscribed=3))),
    ("SpamReportsHigh", row(OutsideFigure, source="postmaster", domain="example.com", day=NOW.date(), spam_rate=0.001,
                            domain_reputation="", at=NOW)),
    ("RelayResting", row(RelayState, key="settings", failures=3, last_error="", resting_until=NOW + timedelta(days=1))),
    ("HeldByPolicy", change(lambda: update(Sending).values(hold_reason="policy"))),
    ("ReportsNotRead", row(BounceReport, received_at=NOW - timedelta(seconds=400), source="smtp", digest=b"d" * 32,
                           state="received", mail_from="", rcpt_to="", reason="", status="", recipients=[],
                           diagnostic="", matched_by="")),
    ("HitsNotTakenIn", leave_hits),
    ("SpoolDamaged", damage_spool),
    ("DomainRecordsBroken", row(SendingDomain, public_id=uuid.uuid4(), domain="example.com", checks={},
                                created_at=NOW)),
    ("DeferralsHigh", change(lambda: update(RateSlot).values(deferred=60))),
    ("WebhookRefused", row(WebhookEndpoint, public_id=uuid.uuid4(), provider="ses", name="SES", path_hash=b"p" * 32,
                           secret=b"s", is_enabled=True, created_at=NOW, last_call_at=NOW, last_outcome="",
                           last_note="", calls=1, refused=1)),
    ("UnknownMails", change(lambda: update(RateLook).values(unknown=50))),
    ("EverythingStopped", change(lambda: update(Workspace).values(stopped_at=NOW))),
]  # fmt: skip


COMES_ALONG = {"ComplaintsHigh": {"SlowedDown"}}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("alert", "break_it"), WRONG, ids=[name for name, _ in WRONG])
def test_an_alert_fires_for_its_fault_and_no_other_does(calm: Context, alert: str, break_it: Any) -> None:
    break_it(calm)

    assert firing(calm) == {alert} | COMES_ALONG.get(alert, set())


def test_redis_that_is_away_is_an_alarm_of_its_own(calm: Context, make_ctx: Callable[..., Context]) -> None:
    away = make_ctx(redis_url="redis://127.0.0.1:9/0")

    assert {"RedisDown", "NoSendWorker", "BackgroundWorkStopped"} <= firing(away)


def test_every_rule_but_those_of_prometheus_itself_is_tried() -> None:
    tried = {name for name, _ in WRONG} | {"RedisDown"}

    assert {rule["alert"] for rule in RULES} - tried == {"MailerDown"}


def test_every_metric_of_a_rule_is_in_the_output(calm: Context) -> None:
    with calm.read() as session:
        there = {family.name for family in collect_metrics(session, calm)}

    for rule in RULES:
        assert metrics_of(rule["expr"]) <= there | FROM_PROMETHEUS, rule["alert"]


def test_every_metric_is_documented(calm: Context) -> None:
    page = (DOCS / "metrics.md").read_text()
    with calm.read() as session:
        for family in collect_metrics(session, calm):
            assert f"`{family.name}`" in page


@pytest.mark.parametrize("rule", RULES, ids=list(BY_NAME))
def test_every_alert_has_a_section_that_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    runbook = (DOCS / "runbook.md").read_text()
    section = runbook.partition(f"\n## {rule['alert']}\n")[2].partition("\n## ")[0]

    assert "**What it means.**" in section
    assert "**What to do.**" in section
    assert rule["annotations"]["runbook"] == f"docs/operations/runbook.md#{rule['alert'].lower()}"
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("page", "ticket")


@cache
def _find(words: tuple[str, ...]) -> click.Command | None:
    """Return the command that words name; None where there is none."""
    command: click.Command = main
    context = click.Context(main)
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        if found is None:
            return None
        command = found
    return command


@pytest.mark.parametrize("page", ["runbook.md", "backup.md"])
def test_every_command_of_the_pages_exists_with_its_options(page: str) -> None:
    text = (DOCS / page).read_text()
    lines = re.findall(r"`(mailer [^`\n]+)`", text) + re.findall(r"^(mailer .+)$", text, re.MULTILINE)
    assert lines
    for line in lines:
        words = line.split()[1:]
        command = _find(tuple(word for word in words if not word.startswith("-")))
        assert command is not None, line
        assert not isinstance(command, click.Group), f"{line} needs a command"
        options = {name for one in command.params for name in one.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_metrics_are_for_this_machine_or_who_has_the_token(make_ctx: Callable[..., Context]) -> None:
    open_here = make_client(make_ctx())
    here, elsewhere = {"REMOTE_ADDR": "127.0.0.1"}, {"REMOTE_ADDR": "198.51.100.7"}
    assert open_here.get("/metrics", environ_base=here).status_code == 200
    assert open_here.get("/metrics", environ_base=elsewhere).status_code == 403
    proxied = {"X-Forwarded-For": "127.0.0.1"}
    assert open_here.get("/metrics", environ_base=here, headers=proxied).status_code == 403

    guarded = make_client(make_ctx(metrics_token="s3cret"))
    right, wrong = {"Authorization": "Bearer s3cret"}, {"Authorization": "Bearer s3cres"}
    assert guarded.get("/metrics", environ_base=here).status_code == 403
    assert guarded.get("/metrics", environ_base=elsewhere, headers=wrong).status_code == 403
    answer = guarded.get("/metrics", environ_base=elsewhere, headers=right)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "mailer_send_workers" in parse_metrics(answer.text)


def test_no_person_is_in_the_metrics(calm: Context) -> None:
    with calm.read() as session:
        text = render_metrics(collect_metrics(session, calm))
        names = session.scalars(select(Message.to_address)).all()

    assert "@" not in text
    assert names
