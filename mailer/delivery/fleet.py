"""The relays of one run: their lanes, how they fare, and the brake on those that ask for it."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

from mailer.delivery.batch import Batch
from mailer.delivery.buckets import provider_bucket, relay_bucket
from mailer.delivery.codes import NextStep, classify_reply
from mailer.delivery.relays import PlannedRelay
from mailer.delivery.smtp_pool import Pool, RelayRestingError
from mailer.delivery.smtp_session import SessionRefusedError
from mailer.delivery.smtp_wire import Timeouts
from mailer.delivery.store import Store
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.transports import TransportPlan
from mailer.errors import TransportError

ELSEWHERE_SECONDS = 1.0
AWAY_SECONDS = 15.0


class Fleet:
    """One pool of connections for each relay, made when the first batch goes through it."""

    def __init__(self, plan: TransportPlan, store: Store, throttle: Throttle, timeouts: Timeouts) -> None:
        self._plan = plan
        self._store = store
        self._throttle = throttle
        self._timeouts = timeouts
        self._pools: dict[str, Pool] = {}
        self._suspects = {relay.key for relay in plan.relays if relay.has_failed}
        self._errands: set[asyncio.Task[None]] = set()

    def pool(self, relay: PlannedRelay) -> Pool:
        """Return the connections of a relay."""
        if relay.key not in self._pools:
            self._pools[relay.key] = Pool(relay.relay, relay.connections, timeouts=self._timeouts)
        return self._pools[relay.key]

    def choose(self, number: int, crowded: Collection[str] = ()) -> PlannedRelay | None:
        """Return the relay for the `number`-th batch, one that is not crowded if there is; None where all rest."""
        resting = {key for key, pool in self._pools.items() if pool.rest_seconds > 0}
        return self._plan.choose_relay(number, resting.union(crowded)) or self._plan.choose_relay(number, resting)

    def stop(self, batch: Batch, error: TransportError) -> None:
        """No connection was to be had: the batch comes again, soon where another relay can take it."""
        if isinstance(error, SessionRefusedError) and batch.relay.adapts:
            self._slow_where_asked(batch.relay, error)
        if not isinstance(error, RelayRestingError):
            self._suspects.add(batch.relay.key)
            self._send_off(self._store.run(self._store.note_relay_failure, batch.relay.key, error.message))
        batch.stop(ELSEWHERE_SECONDS if self.choose(0) is not None else AWAY_SECONDS)

    def note_accepted(self, relay: PlannedRelay) -> None:
        """A relay that was in doubt took a mail."""
        if relay.key in self._suspects:
            self._suspects.discard(relay.key)
            self._send_off(self._store.run(self._store.note_relay_success, relay.key))

    def slow_down(self, batch: Batch) -> None:
        """Go slower with the batch's mailbox provider (421, 4.7.x)."""
        if batch.relay.adapts:
            self._back_off(provider_bucket(batch.relay, batch.claim.provider, self._plan.provider_rates))

    def _slow_where_asked(self, relay: PlannedRelay, error: SessionRefusedError) -> None:
        reply = error.reply
        if classify_reply(reply.code, reply.enhanced, reply.text, reply.phase).step is NextStep.THROTTLE:
            self._back_off(relay_bucket(relay))

    def _back_off(self, bucket: Bucket) -> None:
        self._send_off(asyncio.to_thread(self._throttle.back_off, bucket))

    def _send_off(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def close(self) -> None:
        """Say goodbye to every relay and see what was begun to its end."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await asyncio.gather(*self._errands, return_exceptions=True)
