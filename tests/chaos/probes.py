"""What a worker under test notes, where it dies, and which of its guards is missing. The product holds nothing of it.

`install` wraps the worker's own steps from outside, in a process of the stable (stable.py): notes go to a file that
several processes append to, one JSON line each. A fault is `STEP:N`: the process kills itself at the Nth time of STEP;
`STEP:N:freeze`: it stops there until somebody wakes it.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mailer.delivery.claim import Claim
from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.outcome import Outcome
from mailer.delivery.smtp import Connection, Envelope
from mailer.delivery.store import Store
from mailer.errors import TemporaryTransportError

STEPS = (
    "claimed",
    "connected",
    "mail",
    "rcpt",
    "data",
    "body",
    "gate committed",
    "dot",
    "reply read",
    "result committed",
    "released",
)
_REPLIES = {3: "mail", 4: "rcpt", 5: "data"}  # of a session without pipelining: greeting, EHLO, then these


class Probe:
    """One process's notes and its end."""

    def __init__(self, notes: str, fault: str = "") -> None:
        self._file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        step, _, rest = fault.partition(":")
        count, _, way = rest.partition(":")
        if fault and step not in STEPS:
            raise ValueError(f"no such step: {step}")
        self._step, self._left = step, int(count or 1)
        self._signal = signal.SIGSTOP if way == "freeze" else signal.SIGKILL

    def note(self, kind: str, **values: object) -> None:
        """Append one line; it is whole or absent, whatever happens next."""
        os.write(self._file, json.dumps({"kind": kind, "pid": os.getpid(), **values}).encode() + b"\n")

    def reach(self, step: str) -> None:
        """Die here, if this is where."""
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)

    def dies_at(self, step: str) -> bool:
        """Whether the next time of `step` is the last."""
        return step == self._step and self._left == 1


def install(probe: Probe) -> None:
    """Wrap the steps of this process's workers."""
    _wrap_store(probe)
    _wrap_connection(probe)


def _wrap_store(probe: Probe) -> None:
    claim, judge, record, release = Store.claim, Store.judge, Store.record, Store.release

    def noted_claim(self: Store, sending_id: int) -> Any:
        claimed = claim(self, sending_id)
        if claimed is not None:
            probe.note("claim", batch=claimed[0].batch_id, token=claimed[0].token, at=time.time_ns())
            probe.reach("claimed")
        return claimed

    def note_commit(outcomes: Sequence[Outcome]) -> None:
        facts = [(one.result.message_id, one.result.fact.value) for one in outcomes]
        probe.note("commit", facts=facts, at=time.time_ns())
        probe.reach("result committed")

    def noted_judge(self: Store, candidates: Sequence[Candidate], accepted: Sequence[Outcome] = ()) -> GateResult:
        began = time.time_ns()
        result = judge(self, candidates, accepted)
        passed = [
            (one.message_id, one.batch_id, one.batch_token) for one in candidates if one.message_id in result.passed
        ]
        probe.note("gate", passed=passed, at=began, done=time.time_ns())
        if passed:
            probe.reach("gate committed")
        if accepted:
            note_commit(accepted)
        return result

    def noted_record(self: Store, outcomes: Sequence[Outcome]) -> Any:
        held = record(self, outcomes)
        note_commit(outcomes)
        return held

    def noted_release(self: Store, claim: Claim, **more: Any) -> None:
        release(self, claim, **more)
        probe.reach("released")

    Store.claim, Store.judge = noted_claim, noted_judge  # type: ignore[method-assign]
    Store.record, Store.release = noted_record, noted_release  # type: ignore[method-assign]


def _wrap_connection(probe: Probe) -> None:  # noqa: C901 - one small wrapper for each step
    offer, held, finish, received = Connection.offer, Connection.held, Connection.finish, Connection.data_received
    opened = Connection.open.__func__  # type: ignore[attr-defined]
    senders: dict[int, str] = {}
    replies: Counter[int] = Counter()

    async def noted_open(cls: type[Connection], *args: Any, **more: Any) -> Connection:
        connection: Connection = await opened(cls, *args, **more)
        probe.reach("connected")
        return connection

    def noted_received(self: Connection, data: bytes) -> None:
        replies[id(self)] += sum(line[3:4] != b"-" for line in data.splitlines())
        if replies[id(self)] in _REPLIES:
            probe.reach(_REPLIES[replies[id(self)]])
        received(self, data)

    async def noted_offer(self: Connection, envelope: Envelope) -> Any:
        senders[id(self)] = envelope.mail_from
        return _held(await offer(self, envelope))

    async def noted_held(self: Connection) -> Any:
        return _held(await held(self))

    def _held(refusal: Any) -> Any:
        if refusal is None:
            probe.reach("body")
        return refusal

    async def noted_finish(self: Connection, following: Envelope | None = None) -> Any:
        began, sender = time.time_ns(), senders[id(self)]
        if following is not None:
            senders[id(self)] = following.mail_from
        try:
            reply = await _last_words(probe, finish(self, following))
        except TemporaryTransportError:
            raise  # no byte of it left
        except BaseException:
            probe.note("dot", sender=sender, at=began)
            raise
        probe.note("dot", sender=sender, at=began, reply=reply.code)
        probe.reach("reply read")
        return reply

    Connection.open = classmethod(noted_open)  # type: ignore[assignment,method-assign]
    Connection.offer, Connection.held = noted_offer, noted_held  # type: ignore[method-assign]
    Connection.finish, Connection.data_received = noted_finish, noted_received  # type: ignore[method-assign]


async def _last_words(probe: Probe, work: Any) -> Any:
    """Await `work`; where the process is to die after the dot, let its bytes leave first."""
    if not probe.dies_at("dot"):
        probe.reach("dot")
        return await work
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.1)
    probe.reach("dot")
    return await task
