"""The embedded default's loop: a mail is caught, its bounce or complaint comes back by SMTP and takes effect."""

import asyncio

import pytest
from sqlalchemy import func, select

from mailer.bounces import service as bounces
from mailer.bounces.listener import serve_listener
from mailer.catcher import service as catcher
from mailer.context import Context
from mailer.delivery.relays import Relay
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Suppression
from tests.bounces.test_service import events, make_message, verp
from tests.catcher.test_catcher import RAW, running, send


@pytest.mark.parametrize(
    ("behavior", "kind", "suppressed"),
    [
        ("bounce", "hard_bounce", ["hard_bounce"]),
        ("soft_bounce", "soft_bounce", []),
        ("complain", "complaint", ["complaint"]),
    ],
)
def test_what_the_catcher_reports_takes_effect(ctx: Context, behavior: str, kind: str, suppressed: list[str]) -> None:
    message_id = make_message(ctx)
    catcher.add_rule(ctx.settings, "ada@*", behavior)

    async def story() -> None:
        async with (
            running(lambda **more: serve_listener(ctx, "127.0.0.1", 0, **more)) as listener,
            running(
                lambda **more: catcher.serve_catcher(
                    ctx.settings, "127.0.0.1", 0, listener=lambda: Relay("127.0.0.1", listener), **more
                )
            ) as port,
        ):
            assert (await send(port, "ada@example.org", RAW, verp(ctx, message_id))).code == 250
            async with asyncio.timeout(20):
                while not await asyncio.to_thread(_stored, ctx):  # noqa: ASYNC110 - the row is written by another thread
                    await asyncio.sleep(0.02)

    asyncio.run(story())
    assert bounces.process_reports(ctx) == 1

    assert [event[0] for event in events(ctx)] == [kind]
    with ctx.read() as session:
        assert list(session.scalars(select(Suppression.reason))) == suppressed


def _stored(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(BounceReport)) or 0
