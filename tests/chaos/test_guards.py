"""Each guard of exactly-once has a trial that breaks without it: the tests bite (PROOF C34)."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.loop import reap_now
from mailer.delivery.service import add_messages
from mailer.schema.delivery import Message, SendBatch
from tests.chaos.conftest import OpenField
from tests.chaos.rig import Field, wait_for
from tests.chaos.scene import make_crowd, set_limits

NO_PIPELINING = ["8BITMIME", "SIZE 1000000"]


def _end_leases(ctx: Context) -> None:
    """Let every lease end and every batch be claimable again."""
    with ctx.write() as session:
        ended = utc_now() - timedelta(seconds=1)
        session.execute(update(SendBatch).where(SendBatch.state == "leased").values(lease_until=ended))
    reap_now(ctx)


def _is_frozen(field: Field, pid: int) -> bool:
    stat = f"/proc/{pid}/stat"
    with open(stat) as file:  # noqa: PTH123 - a file of the kernel's
        return file.read().rpartition(")")[2].split()[0] == "T"


def frozen_worker_wakes(field: Field, without: str) -> list[str]:
    """One worker freezes before its gate, another takes its message over, the first wakes and hears a 450."""
    scene = make_crowd(field.ctx, 1)
    sleeper = field.stable.start("send", fault="mail:1:freeze", without=without)
    wait_for("a frozen worker", lambda: _is_frozen(field, sleeper))
    _end_leases(field.ctx)
    field.sink.order(faults={"extensions": NO_PIPELINING, "rules": [{"at": "dot", "do": "delay", "seconds": 1.5}]})
    field.stable.start("send", without=without)
    wait_for("the other worker's dot", lambda: field.sink.order(ask="counters")["dots"] == 1)
    refusal = {"at": "rcpt", "do": "reply", "text": "450 4.2.0 mailbox busy", "times": 1}
    field.sink.order(faults={"extensions": NO_PIPELINING, "rules": [refusal]})
    field.stable.send(sleeper, signal.SIGCONT)
    wait_for("the refusal", lambda: field.sink.order(ask="counters")["faults"] >= 2)
    field.stable.start("reap")
    field.wait_finished(scene)
    return field.verdict(scene)


def person_leaves_before_the_gate(field: Field, without: str) -> list[str]:
    """A worker freezes with the body at the server; the person leaves; the worker wakes."""
    scene = make_crowd(field.ctx, 1)
    sleeper = field.stable.start(
        "send", fault="body:1:freeze", without=without, constants={"mailer.delivery.claim:LEASE": 60}
    )
    wait_for("a frozen worker", lambda: _is_frozen(field, sleeper))
    field.stable.wait(field.stable.start("leave", sending=scene.sending_id, seed=1, share=1, per_second=1000))
    field.stable.send(sleeper, signal.SIGCONT)
    field.stable.start("reap")
    field.wait_finished(scene)
    return field.verdict(scene)


def death_after_the_dot(field: Field, without: str) -> list[str]:
    """A worker dies when the dot has left and nobody has read the answer."""
    scene = make_crowd(field.ctx, 1)
    field.sink.order(faults={"extensions": NO_PIPELINING, "rules": [{"at": "dot", "do": "delay", "seconds": 0.5}]})
    field.stable.wait(field.stable.start("send", fault="dot:1", without=without))
    _end_leases(field.ctx)
    field.stable.start("send")
    field.stable.start("reap")
    field.wait_finished(scene)
    return field.verdict(scene)


TRIALS: dict[str, Callable[[Field, str], list[str]]] = {
    "token": frozen_worker_wakes,
    "consent": person_leaves_before_the_gate,
    "gate commit": death_after_the_dot,
}


@pytest.mark.parametrize("guard", TRIALS)
def test_the_guard_holds(new_field: OpenField, guard: str) -> None:
    with new_field({"extensions": NO_PIPELINING}) as field:
        set_limits(field.ctx, rate_per_second=50_000, relay_connections=2)
        assert TRIALS[guard](field, "") == []


@pytest.mark.parametrize("guard", TRIALS)
def test_without_the_guard_the_trial_fails(new_field: OpenField, guard: str) -> None:
    with new_field({"extensions": NO_PIPELINING}) as field:
        set_limits(field.ctx, rate_per_second=50_000, relay_connections=2)
        violations = TRIALS[guard](field, guard)

        assert violations
        print(guard, violations)


# ------------------------------------------------------------------ one row a person


def _prepare_at_once(ctx: Context, copies: int = 8, people: int = 300) -> tuple[int, int]:
    """Several processes prepare the same audience; return rows and people."""
    scene = make_crowd(ctx, 1)
    rows = [
        {"sending_id": scene.sending_id, "contact_id": scene.contacts[0], "address_id": None, "to_address": None,
         "recipient_key": 1_000_000 + number, "occurrence": 0, "batch_id": None, "state": "queued", "reason": "",
         "attempts": 0, "reply": ""}
        for number in range(people)
    ]  # fmt: skip

    def prepare(_copy: int) -> None:
        with ctx.write() as session:
            add_messages(session, rows)

    with ThreadPoolExecutor(copies) as threads:
        list(threads.map(prepare, range(copies)))
    with ctx.read() as session:
        count = session.scalar(select(func.count()).where(Message.sending_id == scene.sending_id)) or 0
    return count - 1, people


def test_eight_preparations_at_once_make_one_row_a_person(ctx: Context) -> None:
    rows, people = _prepare_at_once(ctx)

    assert rows == people


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_the_unique_constraint_people_have_several_rows(ctx: Context) -> None:
    """SQLite cannot take a constraint away from a table."""
    with ctx.write() as session:
        name = session.scalar(
            text("SELECT conname FROM pg_constraint WHERE conrelid = 'message'::regclass AND contype = 'u'")
        )
        session.execute(text(f"ALTER TABLE message DROP CONSTRAINT {name}"))

    rows, people = _prepare_at_once(ctx)

    assert rows > people
