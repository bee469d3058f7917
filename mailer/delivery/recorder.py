"""Outcomes on their way to the database: gathered, and written in groups by the store's thread."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mailer.delivery.outcome import Outcome

GROUP = 400
WAIT_SECONDS = 0.05


Held = frozenset[tuple[int, str]]
"""Sendings and mailbox providers whose batches must stop."""


class Recorder:
    """Writes what `note` was told after 50 ms at the latest.

    `record` writes a group, however long that takes, and returns what is held because of it: `on_held` is told.
    """

    def __init__(self, record: Callable[[Sequence[Outcome]], Awaitable[Held]], on_held: Callable[[Held], None]) -> None:
        self._record = record
        self._on_held = on_held
        self._waiting: list[Outcome] = []
        self._writing = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        self.by_fact: dict[str, int] = {}

    def start(self) -> None:
        """Write regularly from now on."""
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    async def stop(self) -> None:
        """Write what is left and end."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await self.flush()

    def note(self, outcome: Outcome) -> None:
        """Take an outcome in."""
        self._waiting.append(outcome)
        fact = outcome.result.fact.value
        self.by_fact[fact] = self.by_fact.get(fact, 0) + 1

    async def flush(self) -> None:
        """Write what has been noted so far."""
        async with self._writing:
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                if held := await self._record(group):
                    self._on_held(held)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(WAIT_SECONDS)
            if self._waiting:
                await asyncio.shield(self.flush())
