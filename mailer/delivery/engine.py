"""The send worker's loop: claim, render, offer, gate, dot, record, until nothing is due (DESIGN: One campaign, Send).

Everything here runs on one event loop; the database's side is in store.py. A message's way is `_deliver`, from top to
bottom. Nothing but the dot follows a gate that let it pass.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import InterfaceError, OperationalError

from mailer.clock import utc_now
from mailer.content.render import RenderError
from mailer.context import Context
from mailer.delivery.build import Content, Outgoing, build_envelope
from mailer.delivery.claim import Claim
from mailer.delivery.codes import Reply
from mailer.delivery.gate import Candidate
from mailer.delivery.gatekeeper import Gatekeeper, Pass
from mailer.delivery.outcome import Outcome, decide_outcome
from mailer.delivery.policy import decide_retry
from mailer.delivery.results import Result
from mailer.delivery.smtp import Connection, Envelope, StaleConnectionError
from mailer.delivery.smtp_pool import Pool
from mailer.delivery.states import Fact
from mailer.delivery.store import Store
from mailer.delivery.throttle import Bucket, Throttle
from mailer.delivery.transports import TransportPlan
from mailer.errors import TemporaryTransportError, TransportError, UnknownOutcomeError
from mailer.log import get_logger
from mailer.statuses import HoldReason, SkipReason

log = get_logger("delivery")

DOT_LIMIT_SECONDS = 1.0
FLUSH_SECONDS = 0.02
FLUSH_COUNT = 200
RENEW_SECONDS = 8.0
LONGEST_WAIT_SECONDS = 2.0
RELAY_WAIT_SECONDS = 15.0
SENDER_REFUSALS = 3
ACTIVE_BATCHES = 4


class MailLostError(TemporaryTransportError):
    """The connection broke while this very mail was being handed over, before its dot; it has its own next try."""


@dataclass
class Batch:
    """A claimed batch on its way; `wait_seconds` says when what is left of it is to be claimed again."""

    claim: Claim
    content: Content
    has_progress: bool = False
    wait_seconds: float = 0.0
    is_stopped: bool = False
    has_crashed: bool = False
    hold_note: str = ""


@dataclass
class Report:
    """What one run of the loop did."""

    batches: int = 0
    results: int = 0
    by_fact: dict[str, int] = field(default_factory=dict)


class Engine:
    """One run of a send worker. `is_stopping` is asked before every step that could wait."""

    def __init__(self, ctx: Context, plan: TransportPlan, is_stopping: Callable[[], bool]) -> None:
        self._ctx = ctx
        self._plan = plan
        self._is_stopping = is_stopping
        self._store = Store(ctx)
        self._throttle = Throttle(ctx.redis)
        self._pool = Pool(plan.relay, plan.connections)
        self._slots = asyncio.Semaphore(plan.connections)
        self._gatekeeper = Gatekeeper(lambda group: self._store.run(self._store.judge, group), plan.connections // 2)
        self._active: dict[asyncio.Task[None], Batch] = {}
        self._contents: dict[int, Content] = {}
        self._outcomes: list[Outcome] = []
        self._flushing = asyncio.Lock()
        self._sender_refusals: dict[int, int] = {}
        self.report = Report()

    async def run(self, seconds: float) -> Report:
        """Send what is due for at most `seconds`, then finish what was begun."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        helpers = [loop.create_task(self._flush_regularly()), loop.create_task(self._renew_regularly())]
        try:
            await self._claim_until(deadline)
            if self._active:
                await asyncio.wait(self._active)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._pool.close()
            self._store.close()
        return self.report

    # ------------------------------------------------------------------ batches

    async def _claim_until(self, deadline: float) -> None:
        """Keep a few batches going, one of each sending in turn, so that a giant does not starve small ones."""
        loop = asyncio.get_running_loop()
        while loop.time() < deadline and not self._is_stopping():
            due = await self._store.run(self._store.list_due)
            started = [await self._start(sending_id, deadline) for sending_id in due if self._has_room()]
            if not self._active:
                if not any(started):
                    return
                continue
            await asyncio.wait(self._active, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._active if task.done()]:
                del self._active[task]
                task.result()

    def _has_room(self) -> bool:
        return len(self._active) < ACTIVE_BATCHES

    async def _start(self, sending_id: int, deadline: float) -> bool:
        claimed = await self._store.run(self._store.claim, sending_id)
        if claimed is None:
            return False
        claim, messages = claimed
        if sending_id not in self._contents:
            self._contents[sending_id] = await self._store.run(self._store.content, sending_id)
        batch = Batch(claim, self._contents[sending_id])
        task = asyncio.get_running_loop().create_task(self._send_batch(batch, messages, deadline))
        self._active[task] = batch
        self.report.batches += 1
        return True

    async def _send_batch(self, batch: Batch, messages: list[Outgoing], deadline: float) -> None:
        """Send the messages of a batch as fast as the limits allow; give back what cannot go now."""
        loop = asyncio.get_running_loop()
        going: set[asyncio.Task[None]] = set()
        buckets = self._buckets(batch)
        waiting = list(reversed(messages))
        while waiting and not batch.is_stopped and loop.time() < deadline and not self._is_stopping():
            wanted = min(len(waiting), max(1, int(min(bucket.rate for bucket in buckets))))
            grant = await asyncio.to_thread(self._throttle.take, buckets, wanted)
            if grant.count == 0 and grant.wait_seconds > LONGEST_WAIT_SECONDS:
                batch.wait_seconds = grant.wait_seconds
                break
            if grant.count == 0:
                await asyncio.sleep(max(0.01, grant.wait_seconds))
            for _ in range(grant.count):
                await self._slots.acquire()
                task = loop.create_task(self._guarded(batch, waiting.pop()))
                going.add(task)
                task.add_done_callback(going.discard)
        if going:
            await asyncio.wait(going)
        await self._flush()
        if batch.hold_note:
            await self._store.run(self._store.hold, batch.claim.sending_id, HoldReason.POLICY, batch.hold_note)
        await self._store.run(
            self._store.release,
            batch.claim,
            has_progress=batch.has_progress and not batch.has_crashed,
            wait_seconds=batch.wait_seconds,
        )

    def _buckets(self, batch: Batch) -> list[Bucket]:
        buckets = [Bucket("relay", self._plan.rate_per_second)]
        rate = self._plan.sending_rate(batch.claim.sending_id)
        if rate is not None:
            buckets.append(Bucket(f"sending:{batch.claim.sending_id}", rate))
        return buckets

    # ------------------------------------------------------------------ one message

    async def _guarded(self, batch: Batch, outgoing: Outgoing) -> None:
        """Deliver one message; whatever goes wrong before its gate leaves it queued."""
        try:
            if not batch.is_stopped:
                await self._deliver(batch, outgoing)
        except MailLostError as error:
            retry_at = decide_retry(outgoing.attempts + 1, self._ctx.clock.now())
            self._note(batch, Outcome(self._result(outgoing, Fact.DEFERRED, "connection_lost", str(error), retry_at)))
        except (TransportError, OperationalError, InterfaceError) as error:
            self._stop_batch(batch, error)
        except Exception:
            batch.has_crashed = True
            log.exception("message_crashed", message_id=outgoing.message_id)
        finally:
            self._slots.release()

    def _stop_batch(self, batch: Batch, error: Exception) -> None:
        """The relay or the database is away: nothing in the batch is to blame, it comes again later."""
        if not batch.is_stopped:
            log.warning("batch_stopped", batch_id=batch.claim.batch_id, error=type(error).__name__, why=str(error))
        batch.is_stopped, batch.has_progress = True, True
        batch.wait_seconds = max(batch.wait_seconds, RELAY_WAIT_SECONDS)

    async def _deliver(self, batch: Batch, outgoing: Outgoing) -> None:
        try:
            envelope = build_envelope(self._ctx, batch.content, outgoing)
        except RenderError as error:
            self._note(batch, Outcome(self._result(outgoing, Fact.SKIPPED, SkipReason.RENDER_ERROR.value, str(error))))
            return
        connection, refusal = await self._offer(envelope)
        try:
            if refusal is not None:
                self._judge_reply(batch, outgoing, refusal)
                return
            permit = await self._ask(batch, outgoing)
            if permit.is_permitted:
                await self._finish(batch, outgoing, connection, permit)
            elif permit.skipped:
                batch.has_progress = True
        finally:
            if not connection.is_usable:
                connection.abandon()
            self._pool.release(connection)

    async def _ask(self, batch: Batch, outgoing: Outgoing) -> Pass:
        """Ask the gate; where the database went away in its middle, no dot follows, and the row goes back."""
        try:
            return await self._gatekeeper.ask(_candidate(outgoing))
        except (OperationalError, InterfaceError):
            self._note(batch, Outcome(self._result(outgoing, Fact.NOT_SENT)))
            raise

    async def _offer(self, envelope: Envelope) -> tuple[Connection, Reply | None]:
        """Hand over all but the dot on a connection of the pool; a connection that had gone stale is replaced."""
        while True:
            connection = await self._pool.acquire()
            try:
                return connection, await connection.offer(envelope)
            except StaleConnectionError:
                self._pool.release(connection)
            except TransportError as error:
                self._pool.release(connection)
                raise MailLostError(error.message) from error

    async def _finish(self, batch: Batch, outgoing: Outgoing, connection: Connection, permit: Pass) -> None:
        """Write the dot and note what came of it; too late after the gate, no byte of it leaves."""
        if asyncio.get_running_loop().time() - permit.at > DOT_LIMIT_SECONDS:
            self._note(batch, Outcome(self._result(outgoing, Fact.NOT_SENT)))
            return
        try:
            reply = await connection.finish()
        except UnknownOutcomeError as error:
            self._note(batch, Outcome(self._result(outgoing, Fact.NO_ANSWER, "no_answer", error.message)))
        except TemporaryTransportError as error:
            self._note(batch, Outcome(self._result(outgoing, Fact.NOT_SENT, "", error.message)))
        else:
            self._judge_reply(batch, outgoing, reply)

    def _judge_reply(self, batch: Batch, outgoing: Outgoing, reply: Reply) -> None:
        outcome = decide_outcome(outgoing, reply, at=utc_now(), due=self._ctx.clock.now())
        self._note(batch, outcome)
        if outcome.blames_sender:
            self._count_sender_refusal(batch, reply)

    def _count_sender_refusal(self, batch: Batch, reply: Reply) -> None:
        """Three replies that blame the sender hold the sending (FEATURES B4); no contact pays for it."""
        sending_id = batch.claim.sending_id
        count = self._sender_refusals[sending_id] = self._sender_refusals.get(sending_id, 0) + 1
        if count == SENDER_REFUSALS:
            batch.is_stopped = True
            batch.hold_note = f"{reply.code} {reply.enhanced} {reply.text}"

    def _result(
        self, outgoing: Outgoing, fact: Fact, reason: str = "", said: str = "", retry_at: datetime | None = None
    ) -> Result:
        return Result(outgoing.message_id, outgoing.claim, fact, utc_now(), reason, said, retry_at=retry_at)

    # ------------------------------------------------------------------ results

    def _note(self, batch: Batch, outcome: Outcome) -> None:
        batch.has_progress = True
        self._outcomes.append(outcome)
        fact = outcome.result.fact.value
        self.report.results += 1
        self.report.by_fact[fact] = self.report.by_fact.get(fact, 0) + 1

    async def _flush(self) -> None:
        async with self._flushing:
            while self._outcomes:
                chunk, self._outcomes = self._outcomes[:FLUSH_COUNT], self._outcomes[FLUSH_COUNT:]
                await self._store.run(self._store.record, chunk)

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._outcomes:
                await asyncio.shield(self._flush())

    async def _renew_regularly(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            held = [batch.claim for batch in self._active.values()]
            if held:
                await self._store.run(self._store.renew, held)


def _candidate(outgoing: Outgoing) -> Candidate:
    return Candidate(
        outgoing.message_id,
        outgoing.claim.batch_id,
        outgoing.claim.token,
        outgoing.claim.sending_id,
        outgoing.address_id,
    )
