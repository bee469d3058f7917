"""Any order of claims, gates, dots, deaths, late results, pauses and withdrawals keeps every promise (C22)."""

import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.delivery.claim import Claim, claim_batch, isolate_poison, release_batch
from mailer.delivery.gate import Candidate, pass_gate
from mailer.delivery.reaper import reap
from mailer.delivery.results import Result, record_results
from mailer.delivery.sendings import pause_sending, resume_sending
from mailer.delivery.states import Fact
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message, SendBatch, Sending
from tests.chaos.history import History, Row, Step, check
from tests.chaos.scene import make_crowd, open_context

PEOPLE, BATCH_SIZE = 6, 3
TEMPLATE: list[Path] = []


class SendingMachine(RuleBasedStateMachine):
    """Workers that forget, sleep and die around one sending; `taken` is what the server has."""

    held = Bundle("held")

    @initialize()
    def scene(self) -> None:
        """A running sending to six people in two batches."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailer-states-"))
        shutil.copyfile(TEMPLATE[0], self.folder / "mailer.sqlite")
        self.ctx = open_context({
            "data_dir": str(self.folder), "database_url": f"sqlite:///{self.folder}/mailer.sqlite",
            "redis_url": "unix:///nowhere", "public_url": "http://127.0.0.1:8000", "bounce_domain": "bounce.localhost",
            "smtp_url": "smtp://127.0.0.1:9",
        })  # fmt: skip
        self.crowd = make_crowd(self.ctx, PEOPLE, batch=BATCH_SIZE)
        self.taken: dict[int, int] = {}
        self.withdrawn: dict[int, int] = {}
        self.gates: list[Step] = []
        self.permitted: list[tuple[Claim, int]] = []
        self.results: list[Result] = []

    def teardown(self) -> None:
        """Let time pass and one good worker finish; then the last look."""
        if not hasattr(self, "ctx"):
            return
        self.permitted.clear()
        with self.ctx.write() as session:
            resume_sending(session, self.ctx, self.crowd.sending_id)
        for _ in range(60):
            self._end_leases()
            self.reap()
            if self._is_finished():
                break
            self._finish_one_batch()
        assert self._is_finished()
        assert check(self._history(is_finished=True)) == []
        self.ctx.database.dispose()
        shutil.rmtree(self.folder)

    def _is_finished(self) -> bool:
        with self.ctx.read() as session:
            return session.get_one(Sending, self.crowd.sending_id).state == "finished"

    def _finish_one_batch(self) -> None:
        claim = self._claim()
        if claim is None:
            return
        with self.ctx.write() as session:
            if isolate_poison(session, claim):
                return
        for message_id in self._messages(claim):
            if self._gate(claim, message_id):
                self._take(message_id)
                self._record([Result(message_id, claim, Fact.ACCEPTED, utc_now())])
        with self.ctx.write() as session:
            release_batch(session, claim, not_before=utc_now(), has_progress=True)

    def _claim(self) -> Claim | None:
        with self.ctx.write() as session:
            return claim_batch(session, self.crowd.sending_id, self.ctx.clock.now() + timedelta(days=1))

    def _messages(self, claim: Claim) -> list[int]:
        with self.ctx.read() as session:
            return list(session.scalars(select(Message.id).where(Message.batch_id == claim.batch_id)))

    def _gate(self, claim: Claim, message_id: int) -> bool:
        began = time.time_ns()
        with self.ctx.write() as session:
            address_id = session.get_one(Message, message_id).address_id
            candidate = Candidate(message_id, claim.batch_id, claim.token, claim.sending_id, address_id)
            passed = message_id in pass_gate(session, [candidate]).passed
        if passed:
            self.gates.append(Step(message_id, claim.batch_id, claim.token, began))
        return passed

    def _take(self, message_id: int) -> None:
        self.taken[message_id] = self.taken.get(message_id, 0) + 1

    def _record(self, results: list[Result]) -> None:
        with self.ctx.write() as session:
            record_results(session, results)

    def _end_leases(self) -> None:
        with self.ctx.write() as session:
            ended = utc_now() - timedelta(seconds=1)
            session.execute(update(SendBatch).where(SendBatch.state == "leased").values(lease_until=ended))

    # ------------------------------------------------------------------ what may happen

    @rule(target=held)
    def claim(self) -> Any:
        """A worker takes a batch and keeps its claim for ever, as a frozen one does."""
        claim = self._claim()
        return multiple() if claim is None else claim

    @rule(claim=held, number=st.integers(0, BATCH_SIZE - 1))
    def gate(self, claim: Claim, number: int) -> None:
        """It asks the gate for one of its messages, however late."""
        messages = self._messages(claim)
        if number < len(messages) and self._gate(claim, messages[number]):
            self.permitted.append((claim, messages[number]))

    @precondition(lambda self: self.permitted)
    @rule(data=st.data(), fact=st.sampled_from(["accepted", "taken", "lost", "deferred", "refused", "late", "dies"]))
    def dot(self, data: st.DataObject, fact: str) -> None:
        """A permitted dot leaves, or not; the server takes the mail, or not; the worker hears of it, or not."""
        claim, message_id = self.permitted.pop(data.draw(st.integers(0, len(self.permitted) - 1)))
        if fact in ("accepted", "taken", "dies"):
            self._take(message_id)
        outcome = {"accepted": Fact.ACCEPTED, "taken": Fact.NO_ANSWER, "lost": Fact.NO_ANSWER,
                   "deferred": Fact.DEFERRED, "refused": Fact.REFUSED, "late": Fact.NOT_SENT}  # fmt: skip
        if fact in outcome:
            self.results.append(Result(message_id, claim, outcome[fact], utc_now(), retry_at=utc_now()))

    @rule(claim=held, number=st.integers(0, BATCH_SIZE - 1), fact=st.sampled_from([Fact.DEFERRED, Fact.REFUSED]))
    def refused_before_the_gate(self, claim: Claim, number: int, fact: Fact) -> None:
        """A relay refuses a recipient; the worker may hear it long after it lost its batch."""
        messages = self._messages(claim)
        waiting = {message_id for _, message_id in self.permitted}
        if number < len(messages) and messages[number] not in waiting and self._has_no_dot(claim, messages[number]):
            self.results.append(Result(messages[number], claim, fact, utc_now(), retry_at=utc_now()))

    def _has_no_dot(self, claim: Claim, message_id: int) -> bool:
        """A worker that passed the gate with a message says nothing else about it under the same claim."""
        return not any(
            (step.message_id, step.batch_id, step.token) == (message_id, claim.batch_id, claim.token)
            for step in self.gates
        )

    @precondition(lambda self: self.results)
    @rule(count=st.integers(1, 4))
    def record(self, count: int) -> None:
        """Results are written, late and in groups."""
        group, self.results = self.results[:count], self.results[count:]
        self._record(group)

    @precondition(lambda self: self.results)
    @rule()
    def forget_results(self) -> None:
        """A worker dies with what it had not written."""
        self.results.clear()

    @rule(claim=held)
    def release(self, claim: Claim) -> None:
        """A worker gives a batch back, perhaps one that is no longer its own."""
        with self.ctx.write() as session:
            release_batch(session, claim, not_before=utc_now(), has_progress=True)

    @rule()
    def end_leases(self) -> None:
        """Nobody renews."""
        self._end_leases()

    @rule()
    def reap(self) -> None:
        """Any process sets things right."""
        with self.ctx.write() as session:
            reap(session, utc_now())

    @precondition(lambda self: not self._is_finished())
    @rule()
    def pause(self) -> None:
        """A person pauses."""
        with self.ctx.write() as session:
            pause_sending(session, self.crowd.sending_id)

    @precondition(lambda self: not self._is_finished())
    @rule()
    def resume(self) -> None:
        """A person lets it go on."""
        with self.ctx.write() as session:
            resume_sending(session, self.ctx, self.crowd.sending_id)

    @rule(number=st.integers(0, PEOPLE - 1))
    def leave(self, number: int) -> None:
        """Somebody withdraws the permission."""
        with self.ctx.write() as session:
            contact = session.get_one(Contact, self.crowd.contacts[number])
            consent.withdraw_all(session, [contact], Cause(source="test", channel="test"))
        self.withdrawn.setdefault(self.crowd.contacts[number], time.time_ns())

    @invariant()
    def every_promise_holds(self) -> None:
        """The checker of histories has nothing to say."""
        if hasattr(self, "crowd"):
            assert check(self._history(is_finished=False)) == []

    def _history(self, *, is_finished: bool) -> History:
        with self.ctx.read() as session:
            rows = [Row(one.id, one.contact_id or 0, one.state) for one in session.scalars(select(Message))]
        return History(rows, PEOPLE, self.taken, self.withdrawn, self.gates, is_finished=is_finished)


@pytest.mark.parametrize(("examples", "steps"), [pytest.param(10, 30, id="short"), pytest.param(150, 50, id="long")])
def test_no_order_of_events_breaks_a_promise(sqlite_template: Path, examples: int, steps: int) -> None:
    TEMPLATE[:] = [sqlite_template]
    case = SendingMachine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    case().runTest()
