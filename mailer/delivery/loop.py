"""One run of the send worker, and of the reaper: what tasks call."""

import asyncio
import sys
from collections.abc import Callable
from functools import cache

import uvloop

from mailer.context import Context
from mailer.delivery.engine import Engine, Report, Turns
from mailer.delivery.reaper import Reaped, has_work, reap
from mailer.delivery.smtp_wire import Timeouts
from mailer.delivery.transports import load_plan
from mailer.delivery.workers import beat
from mailer.heap import look_for_cycles_after
from mailer.log import get_logger

log = get_logger("delivery")
RUN_SECONDS = 60.0
_NEW_OBJECTS = 50_000
_SWITCH_SECONDS = 0.0005
_turns: Turns = {}


def send_due(
    ctx: Context,
    *,
    seconds: float = RUN_SECONDS,
    is_stopping: Callable[[], bool] = lambda: False,
    timeouts: Timeouts | None = None,
) -> Report:
    """Send what is due, over all sendings, for at most `seconds` or until nothing is due.

    Raises:
        SetupError: no relay is set.
    """
    _settle_process()
    beat(ctx.redis)
    with ctx.read() as session:
        plan = load_plan(session, ctx)

    async def run() -> Report:
        return await Engine(ctx, plan, is_stopping, _turns, timeouts or Timeouts()).run(seconds)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run())
    if report.batches:
        log.info("sent", batches=report.batches, results=report.results, **report.by_fact)
    return report


@cache
def _settle_process() -> None:
    """Once a process: make Python's housekeeping fit two busy threads and batches full of values.

    The database's thread asks for the interpreter's lock half a dozen times a transaction, and mails that are being
    built would keep it 5 ms each time.
    """
    look_for_cycles_after(_NEW_OBJECTS)
    sys.setswitchinterval(_SWITCH_SECONDS)


def reap_now(ctx: Context) -> Reaped:
    """Set right what dead workers left behind."""
    now = ctx.clock.now()
    with ctx.read() as session:
        if not has_work(session, now):
            return Reaped()
    with ctx.write() as session:
        reaped = reap(session, now)
    if reaped.batches or reaped.unknown or reaped.repeated or reaped.finished:
        log.info(
            "reaped",
            batches=reaped.batches,
            unknown=reaped.unknown,
            repeated=reaped.repeated,
            finished=reaped.finished,
        )
    return reaped
