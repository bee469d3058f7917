"""The worker's side of the database: one thread of its own, so that SMTP goes on while a transaction runs."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import Session

from mailer.context import Context
from mailer.delivery import claim as claims
from mailer.delivery import relay_health
from mailer.delivery.buckets import SendingLimits
from mailer.delivery.build import Content, Outgoing, load_content, load_outgoing
from mailer.delivery.claim import Claim
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.gate import Candidate, GateResult, pass_gate
from mailer.delivery.holds import PolicyRefusal, record_policy_refusals
from mailer.delivery.outcome import Outcome
from mailer.delivery.results import Result, record_results
from mailer.delivery.service import apply_events
from mailer.delivery.transports import load_sending_limits
from mailer.log import get_logger

log = get_logger("delivery")
P = ParamSpec("P")
T = TypeVar("T")
_RETRY_SECONDS = 0.5


class Store:
    """Every statement of a send worker. Methods that end in nothing but SQL run in the store's own thread."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Wait for what is running."""
        self._thread.shutdown()

    def list_due(self) -> list[int]:
        """Return the sendings that have something due."""
        with self._ctx.read() as session:
            return claims.list_due_sendings(session, self._ctx.clock.now())

    def claim(self, sending_id: int) -> tuple[Claim, list[Outgoing]] | None:
        """Claim a batch and load its messages; None where there is nothing to send."""
        with self._ctx.write() as session:
            claim = claims.claim_batch(session, sending_id, self._ctx.clock.now())
            if claim is None or claims.isolate_poison(session, claim):
                return None
        with self._ctx.read() as session:
            return claim, load_outgoing(session, claim)

    def content(self, sending_id: int) -> Content:
        """Load what the messages of a sending share."""
        with self._ctx.read() as session:
            return load_content(session, self._ctx, sending_id)

    def judge(self, candidates: Sequence[Candidate], accepted: Sequence[Outcome] = ()) -> GateResult:
        """Run the gate; its commit is what permits the dots.

        Acceptances of other messages are written in the same transaction, behind the gate: by then it holds all locks
        on sendings and addresses that it wants, so that nobody who has one waits for us while we wait for them.
        """
        with self._ctx.write() as session:
            result = pass_gate(session, candidates)
            _write_results(session, accepted, [])
            return result

    def record(self, outcomes: Sequence[Outcome]) -> frozenset[tuple[int, str]]:
        """Write down results and their events; return what is held because of them, as (sending, provider).

        Repeated until the database takes it: the SMTP part never is.
        """
        events = [outcome.event for outcome in outcomes if outcome.event]
        refusals = [_refusal(outcome.result) for outcome in outcomes if outcome.blames_sender]
        self._insist(lambda session: _write_results(session, outcomes, events))
        return self._insist(lambda session: record_policy_refusals(session, refusals)) if refusals else frozenset()

    def _insist(self, work: Callable[[Session], T]) -> T:
        while True:
            try:
                with self._ctx.write() as session:
                    return work(session)
            except (OperationalError, InterfaceError, InternalError) as error:  # the last: it refuses to write
                log.warning("results_wait", error=type(error).__name__)
                time.sleep(_RETRY_SECONDS)

    def renew(self, held: Sequence[Claim]) -> None:
        """Prolong the leases that are still mine."""
        with self._ctx.write() as session:
            claims.renew_leases(session, held)

    def release(self, claim: Claim, *, has_progress: bool, wait_seconds: float = 0) -> None:
        """Give a batch back, to be claimed again after `wait_seconds` where something is left in it."""
        with self._ctx.write() as session:
            not_before = self._ctx.clock.now()
            if wait_seconds > 0:
                not_before += timedelta(seconds=wait_seconds)
            claims.release_batch(session, claim, not_before=not_before, has_progress=has_progress)

    def limits(self, sending_id: int) -> SendingLimits:
        """Load the limits that a sending brings along."""
        with self._ctx.read() as session:
            return load_sending_limits(session, self._ctx, sending_id)

    def note_relay_failure(self, key: str, why: str) -> None:
        """Write down that a relay could not be used."""
        with self._ctx.write() as session:
            relay_health.note_failure(session, key, why)

    def note_relay_success(self, key: str) -> None:
        """Write down that a relay in doubt works."""
        with self._ctx.write() as session:
            relay_health.note_success(session, self._ctx, key)


def _write_results(session: Session, outcomes: Sequence[Outcome], events: Sequence[DeliveryEvent]) -> None:
    record_results(session, [outcome.result for outcome in outcomes])
    claims.note_progress(session, {outcome.result.claim for outcome in outcomes if outcome.result.claim.claims > 1})
    if events:
        apply_events(session, events)


def _refusal(result: Result) -> PolicyRefusal:
    return PolicyRefusal(result.claim.sending_id, result.claim.provider, result.reply, result.at)
