"""The send worker's loop: claim, feed the lanes as fast as the limits allow, give back, until nothing is due.

Everything here runs on one event loop; the database's side is in store.py, a message's way in lanes.py (DESIGN: One
campaign, Send).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mailer.context import Context
from mailer.delivery.batch import Batch
from mailer.delivery.build import Content, Outgoing
from mailer.delivery.desk import Desk
from mailer.delivery.gatekeeper import Gatekeeper
from mailer.delivery.lanes import Lanes
from mailer.delivery.recorder import Recorder
from mailer.delivery.smtp_pool import Pool
from mailer.delivery.store import Store
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.transports import TransportPlan
from mailer.statuses import HoldReason

RENEW_SECONDS = 8.0
LONGEST_WAIT_SECONDS = 2.0
ACTIVE_BATCHES = 4


@dataclass
class Report:
    """What one run of the loop did."""

    batches: int = 0
    by_fact: dict[str, int] = field(default_factory=dict)

    @property
    def results(self) -> int:
        """How many messages came to something."""
        return sum(self.by_fact.values())


class Engine:
    """One run of a send worker. `is_stopping` is asked before every step that could wait."""

    def __init__(self, ctx: Context, plan: TransportPlan, is_stopping: Callable[[], bool]) -> None:
        self._plan = plan
        self._is_stopping = is_stopping
        self._store = store = Store(ctx)
        self._throttle = Throttle(ctx.redis)
        self._recorder = Recorder(lambda group: store.run(store.record, group))
        gatekeeper = Gatekeeper(lambda group: store.run(store.judge, group), plan.connections // 2)
        self._desk = Desk(ctx, gatekeeper, self._recorder)
        self._active: dict[asyncio.Task[None], Batch] = {}
        self._contents: dict[int, Content] = {}
        self._batches = 0

    async def run(self, seconds: float) -> Report:
        """Send what is due for at most `seconds`, then finish what was begun."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + seconds
        self._lanes = Lanes(self._desk, Pool(self._plan.relay, self._plan.connections))
        self._recorder.start()
        renewing = loop.create_task(self._renew_regularly())
        try:
            await self._claim_until_done()
            if self._active:
                await asyncio.wait(self._active)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._lanes.close()
            await self._recorder.stop()
            self._store.close()
        return Report(self._batches, self._recorder.by_fact)

    # ------------------------------------------------------------------ batches

    async def _claim_until_done(self) -> None:
        """Keep a few batches going, one of each sending in turn, so that a giant does not starve small ones."""
        while not self._is_over():
            due = await self._store.run(self._store.list_due)
            started = [await self._start(sending_id) for sending_id in due if len(self._active) < ACTIVE_BATCHES]
            if not self._active:
                if not any(started):
                    return
                continue
            await asyncio.wait(self._active, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._active if task.done()]:
                del self._active[task]
                task.result()

    def _is_over(self) -> bool:
        return self._is_stopping() or asyncio.get_running_loop().time() >= self._deadline

    async def _start(self, sending_id: int) -> bool:
        claimed = await self._store.run(self._store.claim, sending_id)
        if claimed is None:
            return False
        claim, messages = claimed
        if sending_id not in self._contents:
            self._contents[sending_id] = await self._store.run(self._store.content, sending_id)
        batch = Batch(claim, self._contents[sending_id])
        task = asyncio.get_running_loop().create_task(self._send_batch(batch, messages))
        self._active[task] = batch
        self._batches += 1
        return True

    async def _send_batch(self, batch: Batch, messages: list[Outgoing]) -> None:
        """Send the messages of a batch; give back what cannot go now."""
        await self._feed(batch, deque(messages))
        await batch.wait_empty()
        await self._recorder.flush()
        if batch.hold_note:
            await self._store.run(self._store.hold, batch.claim.sending_id, HoldReason.POLICY, batch.hold_note)
        await self._store.run(
            self._store.release,
            batch.claim,
            has_progress=batch.has_progress and not batch.has_crashed,
            wait_seconds=batch.wait_seconds,
        )

    async def _feed(self, batch: Batch, waiting: deque[Outgoing]) -> None:
        """Hand messages to the lanes as fast as the limits allow."""
        buckets = self._buckets(batch)
        while waiting and not batch.is_stopped:
            if self._is_over():
                batch.stop(0)
                return
            wanted = min(len(waiting), max(1, int(min(bucket.rate for bucket in buckets))))
            grant = await asyncio.to_thread(self._throttle.take, buckets, wanted)
            if grant.count == 0 and grant.wait_seconds > LONGEST_WAIT_SECONDS:
                batch.wait_seconds = grant.wait_seconds
                return
            if grant.count == 0:
                await asyncio.sleep(max(0.01, grant.wait_seconds))
            for _ in range(grant.count):
                await self._lanes.put(batch, waiting.popleft())

    def _buckets(self, batch: Batch) -> list[Bucket]:
        buckets = [Bucket("relay", self._plan.rate_per_second)]
        rate = self._plan.sending_rate(batch.claim.sending_id)
        if rate is not None:
            buckets.append(Bucket(f"sending:{batch.claim.sending_id}", rate))
        return buckets

    async def _renew_regularly(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            held = [batch.claim for batch in self._active.values()]
            if held:
                await self._store.run(self._store.renew, held)
