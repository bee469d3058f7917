"""A claimed batch on its way through a worker: what it came to, and how many of its messages are still in hand."""

import asyncio
from dataclasses import dataclass, field

from mailer.delivery.build import Content
from mailer.delivery.claim import Claim
from mailer.delivery.relays import PlannedRelay


@dataclass(eq=False)
class Batch:
    """One batch while this worker holds it; `wait_seconds` says when what is left of it is to be claimed again."""

    claim: Claim
    content: Content
    relay: PlannedRelay
    has_progress: bool = False
    wait_seconds: float = 0.0
    is_stopped: bool = False
    is_handed_over: bool = False
    has_crashed: bool = False
    _in_hand: int = 0
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def take_one(self) -> None:
        """One more of its messages is in hand."""
        self._in_hand += 1
        self._empty.clear()

    def end_one(self) -> None:
        """One message is dealt with, whatever became of it."""
        self._in_hand -= 1
        if not self._in_hand:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Wait until none of its messages is in hand."""
        if self._in_hand:
            await self._empty.wait()

    def stop(self, wait_seconds: float) -> None:
        """Nothing more of it goes now; nothing in it is to blame, and it comes again after `wait_seconds`."""
        self.is_stopped = self.has_progress = True
        self.wait_seconds = max(self.wait_seconds, wait_seconds)
