"""A list with 6 % dead addresses, over real SMTP and real DSNs: held within its canary, through a restart, explained.

The short one runs with every test; `make chaos` plays it with 20,000 people.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from mailer.bounces import service as bounces
from mailer.bounces.listener import serve_listener
from mailer.campaigns import prepare
from mailer.campaigns.running import resume_campaign
from mailer.catcher import service as catcher
from mailer.context import Context
from mailer.delivery.loop import reap_now, send_due
from mailer.delivery.relays import Relay
from mailer.errors import ConflictError
from mailer.reputation.queries import find_breaker
from mailer.reputation.service import look_after, resume
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Message, Sending
from mailer.schema.reputation import CanaryWatch
from tests.support.crowd import make_crowd_campaign

FAST = {"rate_per_second": 0, "relay_connections": 20}
SHORT = pytest.param(1_200, {"canary_above": 1_000, "canary_least": 240}, 240, id="1200")
FULL = pytest.param(20_000, {}, 1_000, id="20000", marks=pytest.mark.chaos)


@contextmanager
def run_servers(ctx: Context) -> Iterator[int]:
    """Serve the listener for reports and the catcher in a thread; yield the catcher's port."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop, ports = asyncio.Event(), {"listener": 0, "catcher": 0}

    def is_up(name: str) -> Callable[[int], None]:
        def note(port: int) -> None:
            ports[name] = port
            if all(ports.values()):
                ready.set()

        return note

    async def serve() -> None:
        await asyncio.gather(
            serve_listener(ctx, "127.0.0.1", 0, ready=is_up("listener"), stop=stop),
            catcher.serve_catcher(
                ctx.settings, "127.0.0.1", 0,
                listener=lambda: Relay("127.0.0.1", ports["listener"]), ready=is_up("catcher"), stop=stop,
            ),
        )  # fmt: skip
        await asyncio.sleep(0.02)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports["catcher"]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def count(ctx: Context, *conditions: object) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(Message).where(*conditions)) or 0  # type: ignore[arg-type]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The full size is for `make chaos`."""
    if "people" in metafunc.fixturenames:
        is_long = "chaos" in (metafunc.config.option.markexpr or "")
        metafunc.parametrize(("people", "limits", "size"), [FULL if is_long else SHORT])


def test_a_list_of_dead_addresses_is_held_within_its_canary(
    make_ctx: Callable[..., Context],
    redis_url: str,
    people: int,
    limits: dict[str, float],
    size: int,
) -> None:
    with run_servers(make_ctx(redis_url=redis_url)) as port:
        ctx = make_ctx(redis_url=redis_url, smtp_url=f"smtp://127.0.0.1:{port}")
        ctx.redis.flushdb()
        catcher.add_rule(ctx.settings, "dead*", "bounce")
        dead = people * 6 // 100
        campaign_id = make_crowd_campaign(
            ctx, {("live", "example.com"): people - dead, ("dead", "example.com"): dead}, {**FAST, **limits}
        )
        prepare.prepare(ctx, campaign_id)
        send_due(ctx, seconds=60)
        assert count(ctx, Message.state == "accepted") == size
        look_after(ctx)

        held = _wait_for_hold(ctx)

        assert (held.hold_reason, held.release_limit) == ("breaker", 9)
        assert count(ctx, Message.state == "queued") == people - size

        again = make_ctx(redis_url=redis_url, smtp_url=f"smtp://127.0.0.1:{port}")  # the restart
        again.clock.offset = ctx.clock.offset
        look_after(again)
        send_due(again, seconds=5)
        reap_now(again)
        assert count(again, Message.state == "accepted") == size
        assert _sending(again).hold_reason == "breaker"
        with again.read() as session:
            assert session.scalars(select(CanaryWatch.state)).one() == "watching"
            row = find_breaker(session, "sending", str(held.id))
            assert row is not None
            assert 10 <= session.scalar(select(func.count()).select_from(Suppression)) <= size // 10  # type: ignore[operator]
        assert row.state == "paused"

        with pytest.raises(ConflictError):
            resume_campaign(again, campaign_id)
        resume(again, "sending", str(held.id), "the list was cleaned")
        assert _sending(again).hold_reason is None


def _sending(ctx: Context) -> Sending:
    with ctx.read() as session:
        return session.scalars(select(Sending)).one()


def _wait_for_hold(ctx: Context) -> Sending:
    """Process what the catcher reports, tick by tick, until the breaker holds the sending."""
    deadline = time.monotonic() + 60
    while not _sending(ctx).hold_reason:
        assert time.monotonic() < deadline, "the breaker never tripped"
        bounces.process_reports(ctx)
        look_after(ctx)
        time.sleep(0.1)
    return _sending(ctx)
