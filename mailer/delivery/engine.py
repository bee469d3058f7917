"""The send worker's loop: claim, feed the lanes as fast as the limits allow, give back, until nothing is due.

Everything here runs on one event loop; the database's side is in store.py, the relays' in fleet.py, a message's way in
lanes.py (DESIGN: One campaign, Send).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mailer.context import Context
from mailer.delivery import workers
from mailer.delivery.batch import Batch
from mailer.delivery.buckets import SendingLimits
from mailer.delivery.build import Content, Outgoing
from mailer.delivery.desk import DatabaseAwayError, Desk
from mailer.delivery.fairness import order_due
from mailer.delivery.fleet import Fleet
from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.gatekeeper import Gatekeeper
from mailer.delivery.lanes import Lanes
from mailer.delivery.recorder import Held, Recorder
from mailer.delivery.relays import PlannedRelay
from mailer.delivery.smtp_wire import Timeouts
from mailer.delivery.store import Store
from mailer.delivery.throttle import Grant, Throttle
from mailer.delivery.transports import TransportPlan
from mailer.log import get_logger

log = get_logger("delivery")

RENEW_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.5
UNUSABLE_SECONDS = 60.0
WAITING_BATCHES = 3
"""Batches whose mails wait for a lane, one more than there are relays at least, so that a slow one does not hold them
all: lanes that end their last mails find the next ones claimed."""
MOST_BATCHES = 50
"""Batches in hand, those included whose last mails are on their way: retries come in batches of one."""

Turns = dict[int, int]
"""Sendings and the number of the claim that served them last; it outlives a run, so that turns go on."""


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

    def __init__(
        self, ctx: Context, plan: TransportPlan, is_stopping: Callable[[], bool], turns: Turns, timeouts: Timeouts
    ) -> None:
        self._ctx = ctx
        self._plan = plan
        self._is_stopping = is_stopping
        self._turns = turns
        self._store = store = Store(ctx)
        self._throttle = Throttle(ctx.redis)
        self._fleet = Fleet(plan, store, self._throttle, timeouts)
        self._recorder = Recorder(lambda group: store.run(store.record, group), self._stop_held)
        connections = sum(relay.connections for relay in plan.relays)
        self._most_waiting = max(WAITING_BATCHES, len(plan.relays) + 1)
        gatekeeper = Gatekeeper(self._judge, connections // 2)
        self._desk = Desk(ctx, gatekeeper, self._recorder, self._fleet)
        self._lanes: dict[str, Lanes] = {}
        self._active: dict[asyncio.Task[None], Batch] = {}
        self._has_room = asyncio.Event()
        self._due: list[int] = []
        self._shared: dict[int, tuple[Content, SendingLimits]] = {}
        self._batches = 0

    async def run(self, seconds: float) -> Report:
        """Send what is due for at most `seconds`, then finish what was begun."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + seconds
        self._recorder.start()
        renewing = loop.create_task(self._renew_regularly())
        try:
            try:
                await self._claim_until_done()
            finally:  # what is on its way gets its answer, also where no batch can be claimed any more
                if self._active:
                    await asyncio.wait(self._active)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await asyncio.gather(*(lanes.close() for lanes in self._lanes.values()))
            await self._recorder.stop()
            await self._fleet.close()
            self._store.close()
        return Report(self._batches, self._recorder.by_fact)

    async def _judge(self, group: Sequence[Candidate]) -> GateResult:
        """Ask the gate; what relays have accepted meanwhile is written in the same transaction, one commit for both."""
        with self._recorder.lend() as accepted:
            return await self._store.run(self._store.judge, group, accepted)

    # ------------------------------------------------------------------ whose turn it is

    async def _claim_until_done(self) -> None:
        """Keep a few batches going, of each sending in turn, so that a giant does not starve small ones.

        What is due is read at least twice a second: who feeds a limit makes room where others wait.
        """
        while not self._is_over():
            self._end_done()
            if any(await self._start_due()) and self._may_claim():
                continue
            if not self._active:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await self._has_room.wait()
            self._has_room.clear()

    def _end_done(self) -> None:
        for task in [task for task in self._active if task.done()]:
            del self._active[task]
            task.result()

    async def _start_due(self) -> list[bool]:
        """Claim a batch of each sending that may have one now; say of each whether it was."""
        self._due = order_due(await self._store.run(self._store.list_due), self._turns)
        return [await self._start(sending_id) for sending_id in self._due if self._may_start(sending_id)]

    def _may_claim(self) -> bool:
        return len(self._active) < MOST_BATCHES and len(self._waiting()) < self._most_waiting

    def _note_room(self) -> None:
        if self._may_claim():
            self._has_room.set()

    def _waiting(self) -> list[Batch]:
        """Return the batches that have mails which no lane has taken."""
        return [batch for batch in self._active.values() if not batch.is_handed_over]

    def _may_start(self, sending_id: int) -> bool:
        """A second batch of the same sending waits while another sending has none."""
        return self._may_claim() and (not self._is_going(sending_id) or not self._others_wait())

    def _is_going(self, sending_id: int) -> bool:
        return any(batch.claim.sending_id == sending_id for batch in self._active.values())

    def _others_wait(self) -> bool:
        return any(not self._is_going(sending_id) for sending_id in self._due)

    def _is_over(self) -> bool:
        return self._is_stopping() or asyncio.get_running_loop().time() >= self._deadline

    # ------------------------------------------------------------------ one batch

    async def _start(self, sending_id: int) -> bool:
        if self._fleet.choose(0) is None:
            return False
        claimed = await self._store.run(self._store.claim, sending_id)
        if claimed is None:
            return False
        claim, messages = claimed
        self._turns[sending_id] = max(self._turns.values(), default=0) + 1
        if not await self._load_shared(sending_id):
            await self._store.run(self._store.release, claim, has_progress=True, wait_seconds=UNUSABLE_SECONDS)
            return False
        relay = self._fleet.choose(claim.batch_id + claim.claims, self._crowded()) or self._plan.relays[0]
        batch = Batch(claim, self._shared[sending_id][0], relay)
        task = asyncio.get_running_loop().create_task(self._send_batch(batch, messages))
        self._active[task] = batch
        task.add_done_callback(lambda _: self._note_room())
        self._batches += 1
        return True

    async def _load_shared(self, sending_id: int) -> bool:
        """Load what the mails of a sending share; one that cannot be loaded is no reason to keep the others waiting."""
        if sending_id not in self._shared:
            try:
                content = await self._store.run(self._store.content, sending_id)
                self._shared[sending_id] = content, await self._store.run(self._store.limits, sending_id)
            except DatabaseAwayError:
                raise
            except Exception:
                log.exception("sending_unusable", sending_id=sending_id)
                return False
        return True

    def _crowded(self) -> set[str]:
        """Relays that have their share of the waiting batches: where one is slow, the others go on."""
        share = max(1, self._most_waiting // len(self._plan.relays))
        busy = Counter(batch.relay.key for batch in self._waiting())
        return {key for key, count in busy.items() if count >= share}

    async def _send_batch(self, batch: Batch, messages: list[Outgoing]) -> None:
        """Send the messages of a batch; give back what cannot go now."""
        await self._feed(batch, deque(messages))
        batch.is_handed_over = True
        self._note_room()
        await batch.wait_empty()
        await self._recorder.flush()
        await self._store.run(
            self._store.release,
            batch.claim,
            has_progress=batch.has_progress and not batch.has_crashed,
            wait_seconds=batch.wait_seconds,
        )

    async def _feed(self, batch: Batch, waiting: deque[Outgoing]) -> None:
        """Hand messages to the lanes as fast as the limits allow; waiting for a limit blocks nobody else."""
        lanes = self._lanes_of(batch.relay)
        while waiting and not batch.is_stopped:
            own = self._shared[batch.claim.sending_id][1]  # the breaker may slow it down meanwhile
            limits = self._plan.limits_of(batch.relay, own, batch.claim.provider)
            if self._is_over():
                batch.stop(0)
                return
            wanted = min(len(waiting), 2 * batch.relay.connections)  # more would be a burst when it leaves, later
            grant = Grant(wanted, 0)
            if limits:
                grant = await asyncio.to_thread(self._throttle.take, limits, wanted, own.asker)
            if grant.count == 0 and (grant.wait_seconds > LONGEST_WAIT_SECONDS or self._others_wait()):
                batch.wait_seconds = grant.wait_seconds
                return
            if grant.count == 0:
                await asyncio.sleep(max(0.01, grant.wait_seconds))
            for left in range(grant.count, 0, -1):
                if batch.is_stopped:
                    await asyncio.to_thread(self._throttle.give_back, limits, left)
                    break
                await lanes.put(batch, waiting.popleft())

    def _lanes_of(self, relay: PlannedRelay) -> Lanes:
        if relay.key not in self._lanes:
            self._lanes[relay.key] = Lanes(self._desk, self._fleet.pool(relay))
        return self._lanes[relay.key]

    def _stop_held(self, held: Held) -> None:
        """Stop batches whose provider or sending was held just now; no contact pays for it."""
        for batch in self._active.values():
            if (batch.claim.sending_id, batch.claim.provider) in held:
                batch.stop(0)

    async def _renew_regularly(self) -> None:
        while True:
            held = [batch.claim for batch in self._active.values()]
            await asyncio.to_thread(workers.beat, self._ctx.redis, f"{len(held)} batches")
            if held:
                await self._store.run(self._store.renew, held)
            for sending_id in {claim.sending_id for claim in held}:
                limits = await self._store.run(self._store.limits, sending_id)
                self._shared[sending_id] = self._shared[sending_id][0], limits
            await asyncio.sleep(RENEW_SECONDS)
