"""The checker of histories (PROOF C33): a pure function over what happened, in time linear in its length.

It is told by three witnesses: the database's ledger, the server's log of what arrived, and what the workers noted just
before and just after each step. It answers with every broken promise; an empty list is a history as it should be.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LIVE = ("queued", "transmitting")
MOST_REPEATS = 2


@dataclass(frozen=True)
class Row:
    """A message at the end. Times are nanoseconds since 1970, 0 for none."""

    id: int
    contact_id: int
    state: str
    reason: str = ""
    gate_at: int = 0
    repeats: int = 0


@dataclass(frozen=True)
class Step:
    """One message passed a gate, or got its dot: under which batch and token, and when it was noted."""

    message_id: int
    batch_id: int
    token: int
    at: int


@dataclass(frozen=True)
class History:
    """`taken`: how often the server has each message; `withdrawn`: when a contact's withdrawal had been committed.

    `gates` are noted after their commit with the time before they began; `dots` just before the first byte.
    """

    rows: Sequence[Row]
    audience: int
    taken: Mapping[int, int]
    withdrawn: Mapping[int, int] = field(default_factory=dict)
    gates: Sequence[Step] = ()
    dots: Sequence[Step] = ()
    is_marketing: bool = True
    is_finished: bool = True


def check(history: History) -> list[str]:
    """Return every violation in words."""
    return [
        *_accounted(history),
        *_copies(history),
        *_ledger_agrees(history),
        *_dots(history),
        *_withdrawals(history),
    ]


def _accounted(history: History) -> list[str]:
    """The sum of the states is the audience, and after the end nothing is on its way."""
    found = []
    if len(history.rows) != history.audience:
        found.append(f"{len(history.rows)} rows for an audience of {history.audience}")
    if history.is_finished:
        found += [f"message {row.id} is still {row.state}" for row in history.rows if row.state in LIVE]
    known = {row.id for row in history.rows}
    found += [f"the server has {number}, which nobody sent" for number in history.taken if number not in known]
    return found


def _copies(history: History) -> list[str]:
    """Marketing arrives at most once; what is sent at least once has as many copies as it says, three at most."""
    found = []
    for row in history.rows:
        copies, permitted = history.taken.get(row.id, 0), 1 if history.is_marketing else 1 + row.repeats
        if copies > permitted:
            found.append(f"message {row.id} arrived {copies} times, {permitted} permitted")
        if row.repeats > (0 if history.is_marketing else MOST_REPEATS):
            found.append(f"message {row.id} was repeated {row.repeats} times")
    return found


def _ledger_agrees(history: History) -> list[str]:
    """Accepted means that the server has it; what the server has is accepted or known as unknown."""
    found = []
    for row in history.rows:
        copies = history.taken.get(row.id, 0)
        if row.state == "accepted" and not copies:
            found.append(f"message {row.id} is accepted, the server never had it")
        if copies and row.state not in ("accepted", "unknown", "transmitting") and not row.repeats:
            found.append(f"message {row.id} arrived and is called {row.state}")
    return found


def _dots(history: History) -> list[str]:
    """At most one gate and one dot for each claim of a message, and no dot that its own gate does not precede."""
    found = []
    gates = Counter((step.message_id, step.batch_id, step.token) for step in history.gates)
    found += [f"gate passed {count} times: {key}" for key, count in gates.items() if count > 1]
    opened = {(step.message_id, step.batch_id, step.token): step.at for step in history.gates}
    dots = Counter((step.message_id, step.batch_id, step.token) for step in history.dots)
    found += [f"dot written {count} times: {key}" for key, count in dots.items() if count > 1]
    for step in history.dots:
        key = (step.message_id, step.batch_id, step.token)
        if key not in opened:
            found.append(f"dot without a gate: {key}")
        elif opened[key] > step.at:
            found.append(f"dot before its gate: {key}")
    return found


def _withdrawals(history: History) -> list[str]:
    """No gate begins after a withdrawal has been committed: by the database's clock, and by the worker's."""
    contact_of = {row.id: row.contact_id for row in history.rows}
    never = 1 << 63
    found = [
        f"message {row.id} passed its gate after its person had left"
        for row in history.rows
        if row.gate_at > history.withdrawn.get(row.contact_id, never) and row.state != "skipped"
    ]
    found += [
        f"message {step.message_id} was let pass by a gate that began after its person had left"
        for step in history.gates
        if step.at > history.withdrawn.get(contact_of.get(step.message_id, 0), never)
    ]
    return found
