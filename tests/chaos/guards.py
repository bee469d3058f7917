"""The guards of exactly-once, each of which can be taken away to see that a test notices (PROOF C34)."""

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, FromClause, true

from mailer.delivery import gate, results
from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.outcome import Outcome
from mailer.delivery.store import Store
from mailer.schema.delivery import Message, SendBatch
from mailer.statuses import MessageState


def _without_token() -> None:
    """Whoever held a batch once may go on with it for ever."""

    def still_queued(given: FromClause) -> tuple[ColumnElement[bool], ...]:
        return Message.id == given.c.id, Message.state == MessageState.QUEUED.value

    gate._is_mine = still_queued  # type: ignore[assignment]
    results._is_mine = lambda *_, **__: true()
    results.is_mine = lambda claim: (SendBatch.id == claim.batch_id,)  # type: ignore[assignment,return-value]


def _without_consent() -> None:
    """The gate asks only whether the sending runs."""
    gate._is_permitted = true
    gate._refused_marketing = lambda: ~true()


def _without_gate_commit() -> None:
    """The gate is asked and what it wrote is thrown away."""

    def judge(self: Store, candidates: Sequence[Candidate], accepted: Sequence[Outcome] = ()) -> GateResult:
        with self._ctx.database.read() as session:
            result = gate.pass_gate(session, candidates)
            session.rollback()
        self.record(accepted)
        return result

    Store.judge = judge  # type: ignore[method-assign]


GUARDS: dict[str, Callable[[], None]] = {
    "token": _without_token,
    "consent": _without_consent,
    "gate commit": _without_gate_commit,
}


def remove_guard(name: str) -> None:
    """Take a guard away from this process."""
    GUARDS[name]()
