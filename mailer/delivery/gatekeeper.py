"""Gathers bodies that wait for their dot into groups and asks the gate for each group: one gate in flight a worker."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from mailer.delivery.gate import Candidate, GateResult

GROUP = 64
WAIT_SECONDS = 0.01


class Pass(NamedTuple):
    """The gate's word on one message: may its dot go, when the gate committed, and why not where it was skipped."""

    is_permitted: bool
    at: float
    skipped: str = ""


class Gatekeeper:
    """Fires at `group` bodies, or 10 ms after the first one came or the last gate ended, whichever is later.

    The pause between gates fills their groups: what a gate costs, it costs a group. `judge` runs the gate's transaction
    elsewhere and may raise.
    """

    def __init__(self, judge: Callable[[Sequence[Candidate]], Awaitable[GateResult]], group: int) -> None:
        self._judge = judge
        self._group = max(1, min(group, GROUP))
        self._waiting: list[tuple[Candidate, asyncio.Future[Pass]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None

    async def ask(self, candidate: Candidate) -> Pass:
        """Wait for the gate's word. Raises what the gate raised: nothing is permitted then."""
        future: asyncio.Future[Pass] = asyncio.get_running_loop().create_future()
        self._waiting.append((candidate, future))
        self._look()
        return await future

    def _look(self) -> None:
        """Begin a gate, or wait for the group to fill; one gate at a time."""
        if self._running is not None:
            return
        if len(self._waiting) >= self._group:
            self._fire()
        elif self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WAIT_SECONDS, self._fire)

    def _fire(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        try:
            await self._judge_group(group)
        finally:
            self._running = None
            self._look()

    async def _judge_group(self, group: list[tuple[Candidate, "asyncio.Future[Pass]"]]) -> None:
        try:
            result = await self._judge([candidate for candidate, _ in group])
        except Exception as error:  # noqa: BLE001 - handed to every waiter
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        committed_at = asyncio.get_running_loop().time()
        permitted = Pass(is_permitted=True, at=committed_at)
        for candidate, future in group:
            if future.done():
                continue
            if candidate.message_id in result.passed:
                future.set_result(permitted)
            else:
                skipped = result.skipped.get(candidate.message_id, "")
                future.set_result(Pass(is_permitted=False, at=committed_at, skipped=skipped))
