"""Outcomes on their way to the database: gathered, and written in groups by the store's thread."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from mailer.delivery.outcome import Outcome
from mailer.delivery.states import Fact

GROUP = 400
WAIT_SECONDS = 0.05


Held = frozenset[tuple[int, str]]
"""Sendings and mailbox providers whose batches must stop."""


class Recorder:
    """Writes what `note` was told after 50 ms at the latest; plain acceptances may go along with the next gate.

    `record` writes a group, however long that takes, and returns what is held because of it: `on_held` is told.
    """

    def __init__(self, record: Callable[[Sequence[Outcome]], Awaitable[Held]], on_held: Callable[[Held], None]) -> None:
        self._record = record
        self._on_held = on_held
        self._waiting: list[Outcome] = []
        self._plain: list[Outcome] = []
        self._oldest = 0.0
        self._is_lent = False
        self._returned = asyncio.Event()
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
        if not (self._plain or self._waiting):
            self._oldest = asyncio.get_running_loop().time()
        fact = outcome.result.fact
        (self._plain if fact is Fact.ACCEPTED else self._waiting).append(outcome)
        self.by_fact[fact.value] = self.by_fact.get(fact.value, 0) + 1

    @contextmanager
    def lend(self) -> Iterator[Sequence[Outcome]]:
        """Give acceptances to a transaction that takes place anyway; where it fails, they are written by themselves."""
        lent, self._plain = self._plain[:GROUP], self._plain[GROUP:]
        self._is_lent = bool(lent)
        self._returned.clear()
        try:
            yield lent
        except BaseException:
            self._waiting += lent
            raise
        finally:
            self._is_lent = False
            self._returned.set()

    async def flush(self) -> None:
        """Write what has been noted so far, what is lent included."""
        async with self._writing:
            if self._is_lent:
                await self._returned.wait()
            while self._waiting or self._plain:
                self._waiting, self._plain = self._waiting + self._plain, []
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                if held := await self._record(group):
                    self._on_held(held)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WAIT_SECONDS)
            if (self._waiting or self._plain) and loop.time() - self._oldest >= WAIT_SECONDS:
                await asyncio.shield(self.flush())
