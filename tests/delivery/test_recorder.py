"""Outcomes on their way to the database: plain acceptances ride along, nothing is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from mailer.clock import utc_now
from mailer.delivery.claim import Claim
from mailer.delivery.outcome import Outcome
from mailer.delivery.recorder import Recorder
from mailer.delivery.results import Result
from mailer.delivery.states import Fact

Written = list[list[int]]


def _outcome(number: int, fact: Fact = Fact.ACCEPTED) -> Outcome:
    return Outcome(Result(number, Claim(1, 1, 1, "other", 1, 1), fact, utc_now()))


def _ids(outcomes: Sequence[Outcome]) -> list[int]:
    return [outcome.result.message_id for outcome in outcomes]


def _play(scene: Callable[[Recorder], Awaitable[None]]) -> Written:
    """Play `scene` with a recorder and return the groups that were written by themselves."""
    written: Written = []

    async def record(group: Sequence[Outcome]) -> frozenset[tuple[int, str]]:
        written.append(_ids(group))
        return frozenset()

    async def run() -> None:
        await scene(Recorder(record, lambda _: None))

    asyncio.run(run())
    return written


def test_only_acceptances_are_lent_and_what_was_lent_is_written_once() -> None:
    async def scene(recorder: Recorder) -> None:
        recorder.note(_outcome(1))
        recorder.note(_outcome(2, Fact.REFUSED))
        with recorder.lend() as lent:
            assert _ids(lent) == [1]
        await recorder.flush()

    assert _play(scene) == [[2]]


def test_what_a_failed_transaction_was_lent_is_written_by_itself() -> None:
    async def scene(recorder: Recorder) -> None:
        recorder.note(_outcome(1))
        with pytest.raises(RuntimeError), recorder.lend():
            raise RuntimeError("no lock")
        with recorder.lend() as lent:
            assert lent == []
        await recorder.flush()

    assert _play(scene) == [[1]]


def test_a_flush_waits_for_what_is_lent() -> None:
    async def scene(recorder: Recorder) -> None:
        recorder.note(_outcome(1))
        recorder.note(_outcome(2, Fact.REFUSED))
        with recorder.lend():
            flushing = asyncio.ensure_future(recorder.flush())
            await asyncio.sleep(0.02)
            assert not flushing.done()
        await flushing

    assert _play(scene) == [[2]]


def test_what_nobody_takes_along_is_written_soon() -> None:
    async def scene(recorder: Recorder) -> None:
        recorder.start()
        recorder.note(_outcome(1))
        await asyncio.sleep(0.3)
        recorder.note(_outcome(2))
        await recorder.stop()

    assert _play(scene) == [[1], [2]]
