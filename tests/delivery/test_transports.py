"""Relays of the database: sealed, checked, shared out, tried in the server's own words."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from mailer.context import Context
from mailer.delivery import transport_service as service
from mailer.delivery import workers
from mailer.delivery.relays import parse_relay
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.transport_service import TransportValues
from mailer.delivery.transports import load_plan, load_sending_limits
from mailer.errors import ConflictError, InputError, NotFoundError, SetupError
from mailer.schema.accounts import AuditEvent
from mailer.schema.transports import Transport
from tests.support.make import make_reader, make_sending, make_topic, make_workspace
from tests.support.sink import Sink
from tests.support.smtp_server import ScriptedServer, run_server

SECRET = "smtp://anna:geheim%2Fword@127.0.0.1:2525"


@contextmanager
def scripted(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """Serve in a thread, for code that brings its own event loop."""
    loop, ready, stopping = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with run_server(server):
            ready.set()
            await stopping.wait()
        await asyncio.sleep(0.05)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


def _add(ctx: Context, name: str, url: str = "smtp://127.0.0.1:2525", **more: str) -> Transport:
    return service.add_transport(ctx, TransportValues(name=name, url=url, **more))


def test_password_is_sealed_and_shown_nowhere(ctx: Context) -> None:
    row = _add(ctx, "main", SECRET)

    with ctx.read() as session:
        (stored,) = session.scalars(select(Transport.secret))
        (line, settings) = service.list_lines(session, ctx)
        details = [str(detail) for detail in session.scalars(select(AuditEvent.detail))]
        plan = load_plan(session, ctx)
    assert b"geheim" not in stored
    assert "geheim" not in f"{row.label}{line}{settings}{details}{plan}"
    assert line.usable.relay.password == ""  # nothing within reach of a template
    assert plan.relays[0].relay.password == "geheim/word"
    assert (line.state, settings.state) == ("works", "unused")


def test_sealed_url_cannot_be_moved_to_another_transport(ctx: Context) -> None:
    _add(ctx, "first", SECRET)
    _add(ctx, "second")
    with ctx.write() as session:
        first, second = session.scalars(select(Transport).order_by(Transport.id)).all()
        second.secret = first.secret

    with ctx.read() as session, pytest.raises(SetupError, match="damaged"):
        load_plan(session, ctx)


def test_enabled_transports_replace_the_relay_of_the_settings(ctx: Context) -> None:
    first = _add(ctx, "first", weight="3", connections="10", rate_per_second="14")
    second = _add(ctx, "second", weight="0", rate_per_second="")

    with ctx.read() as session:
        both = load_plan(session, ctx).relays
    service.enable_transport(ctx, first.public_id, is_enabled=False)
    with ctx.read() as session:
        one = load_plan(session, ctx).relays
    service.archive_transport(ctx, second.public_id)
    with ctx.read() as session:
        fallen_back = load_plan(session, ctx).relays
        secret = session.scalar(select(Transport.secret).where(Transport.name == "second"))

    assert [(relay.name, relay.weight, relay.rate_per_second) for relay in both] == [
        ("first", 3, 14),
        ("second", 0, None),
    ]
    assert [relay.name for relay in one] == ["second"]
    assert [(relay.key, relay.rate_per_second, relay.connections) for relay in fallen_back] == [("settings", 5, 2)]
    assert secret == b""


def test_every_wrong_value_is_named_at_once(ctx: Context) -> None:
    with pytest.raises(InputError) as caught:
        _add(ctx, " ", "http://example.com", weight="-1", connections="0", rate_per_second="many")

    assert [problem.where for problem in caught.value.problems] == [
        "name",
        "weight",
        "connections",
        "rate_per_second",
        "url",
    ]


def test_authority_that_cannot_be_read_is_refused(ctx: Context, tmp_path: Path) -> None:
    wrong = tmp_path / "authority.pem"
    wrong.write_text("not a certificate", encoding="utf-8")

    for path in (wrong, tmp_path / "nowhere.pem"):
        with pytest.raises(InputError, match="ca_file"):
            _add(ctx, "main", f"smtps://127.0.0.1?ca_file={path}")


def test_names_are_taken_once_and_free_again_after_removal(ctx: Context) -> None:
    row = _add(ctx, "main")
    with pytest.raises(ConflictError):
        _add(ctx, "main")
    service.archive_transport(ctx, row.public_id)

    again = _add(ctx, "main")

    assert again.public_id != row.public_id
    with ctx.read() as session, pytest.raises(NotFoundError):
        service.get_transport(session, row.public_id)


def test_change_without_a_url_keeps_the_password(ctx: Context) -> None:
    row = _add(ctx, "main", SECRET)

    service.change_transport(ctx, row.public_id, TransportValues(name="other", weight="2", rate_per_second="50"))

    with ctx.read() as session:
        (relay,) = load_plan(session, ctx).relays
    assert (relay.name, relay.weight, relay.rate_per_second, relay.relay) == ("other", 2, 50, parse_relay(SECRET))


def test_relay_outside_this_machine_is_used_only_where_it_is_permitted(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx()
    _add(ctx, "far", "smtps://mail.example.com")
    with ctx.read() as session, pytest.raises(SetupError, match="outside this machine"):
        load_plan(session, ctx)
    _add(ctx, "near")

    with ctx.read() as session:
        names = [relay.name for relay in load_plan(session, ctx).relays]
        states = [line.state for line in service.list_lines(session, ctx)]
    assert names == ["near"]
    assert states == ["unpermitted", "works", "unused"]


def test_connections_are_divided_among_the_workers_that_live(make_ctx: Callable[..., Context], redis_url: str) -> None:
    ctx = make_ctx(redis_url=redis_url)
    _add(ctx, "main", connections="10")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        for name in ("a", "b", "c"):
            client.set(f"mailer:worker:{name}", "{}", ex=20)
        with ctx.read() as session:
            shared = load_plan(session, ctx).relays[0].connections
        client.flushall()
        with ctx.read() as session:
            alone = load_plan(session, ctx).relays[0].connections

    assert (shared, alone) == (3, 10)


def test_worker_that_beats_is_listed_and_one_that_stopped_is_not(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        workers.beat(client, "3 batches")
        (worker,) = workers.list_workers(client)
        client.flushall()

        assert worker.doing == "3 batches"
        assert workers.list_workers(client) == []
        assert workers.count_workers(client) == 1


def test_no_limit_of_the_settings_relay_and_limits_of_providers(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session, limits={"rate_per_second": 0, "provider_rate_google": 7})
        topic = make_topic(session)
        sending = make_sending(session, ctx, [make_reader(session, topic)], topic, rate_per_second=3)

    with ctx.read() as session:
        plan = load_plan(session, ctx)
        limits = load_sending_limits(session, ctx, sending.id)
    assert plan.limits_of(plan.relays[0], limits, "google") == (
        Bucket(f"sending:{sending.id}", 3),
        Bucket("relay:settings", None),
        Bucket("provider:settings:google", 7),
    )
    assert plan.limits_of(plan.relays[0], limits, "yahoo")[2] == Bucket("provider:settings:yahoo", None)


def test_slowed_provider_is_shown(make_ctx: Callable[..., Context], redis_url: str) -> None:
    ctx = make_ctx(redis_url=redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        Throttle(client).back_off(Bucket("provider:settings:microsoft", None))
        with ctx.read() as session:
            (line,) = service.list_lines(session, ctx)
        client.flushall()

    assert line.slowed.keys() == {"microsoft"}


# ------------------------------------------------------------------ a try


def test_try_shows_the_servers_own_words_and_sends_nothing(make_ctx: Callable[..., Context], sink: Sink) -> None:
    ctx = make_ctx(smtp_url=f"smtp://127.0.0.1:{sink.port}")

    finding = service.try_transport(ctx, "settings")

    assert finding.is_usable
    assert [said.phase for said in finding.said] == ["greeting", "ehlo"]
    assert finding.said[0].lines == ("220 sink.example.com ESMTP",)
    assert "PIPELINING" in finding.extensions
    assert sink.bodies == 0


def test_try_says_why_a_password_is_refused_and_never_the_password(ctx: Context) -> None:
    script: dict[str, str | bytes | list[str | bytes]] = {
        "ehlo": "250-relay.example.com\r\n250 AUTH PLAIN LOGIN",
        "auth": "535 5.7.8 who are you?",
    }
    with scripted(ScriptedServer(script)) as server:
        row = _add(ctx, "main", f"smtp://anna:geheim@127.0.0.1:{server.port}")
        finding = service.try_transport(ctx, f"transport:{row.id}")

    assert not finding.is_usable
    assert finding.said[-1].lines == ("535 5.7.8 who are you?",)
    assert "535" in finding.error
    assert "geheim" not in repr(finding)
    with ctx.read() as session:
        line = service.list_lines(session, ctx)[0]
    assert (line.state, line.health.failures) == ("failing", 1)


def test_try_of_nobody_says_so(make_ctx: Callable[..., Context]) -> None:
    ctx = make_ctx(smtp_url="smtp://127.0.0.1:9")

    finding = service.try_transport(ctx, "settings")

    assert "no connection" in finding.error
    assert finding.said == []
    with pytest.raises(NotFoundError):
        service.try_transport(ctx, "transport:99")
