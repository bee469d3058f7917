"""Bodies wait for their gate in groups: full ones at once, others after a moment, one gate at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.gatekeeper import Gatekeeper

Ask = Callable[[int], Awaitable[bool]]


def _play(scene: Callable[[Ask], Awaitable[None]], *, group: int = 3, gate_seconds: float = 0.0) -> list[list[int]]:
    """Play `scene`, which asks for messages by number, and return the groups that were judged; 13 ends its gate."""
    groups: list[list[int]] = []
    inside = 0

    async def judge(candidates: Sequence[Candidate]) -> GateResult:
        nonlocal inside
        inside += 1
        assert inside == 1, "two gates at once"
        groups.append([candidate.message_id for candidate in candidates])
        await asyncio.sleep(gate_seconds)
        inside -= 1
        if 13 in groups[-1]:
            raise RuntimeError("the database is away")
        return GateResult(frozenset(groups[-1]))

    async def run() -> None:
        keeper = Gatekeeper(judge, group)

        async def ask(number: int) -> bool:
            return (await keeper.ask(Candidate(number, 1, 1, 1, number))).is_permitted

        await scene(ask)

    asyncio.run(asyncio.wait_for(run(), 10))
    return groups


def test_a_full_group_is_judged_at_once_and_what_is_left_a_moment_later() -> None:
    async def scene(ask: Ask) -> None:
        assert await asyncio.gather(*(ask(number) for number in range(5))) == [True] * 5

    assert _play(scene) == [[0, 1, 2, 3, 4]]  # all had asked before the first gate began


def test_a_single_body_does_not_wait_for_others_that_never_come() -> None:
    async def scene(ask: Ask) -> None:
        assert await ask(1)

    assert _play(scene) == [[1]]


def test_after_a_gate_the_next_group_has_a_moment_to_fill() -> None:
    async def scene(ask: Ask) -> None:
        first = [asyncio.ensure_future(ask(number)) for number in range(3)]
        await asyncio.sleep(0.02)
        early = asyncio.ensure_future(ask(3))  # while the first gate is on its way
        await asyncio.gather(*first)
        assert await ask(4)
        assert await early

    assert _play(scene, gate_seconds=0.05) == [[0, 1, 2], [3, 4]]


def test_a_gate_that_fails_is_told_to_its_own_group_only() -> None:
    async def scene(ask: Ask) -> None:
        first = [asyncio.ensure_future(ask(number)) for number in (12, 13, 14)]
        await asyncio.sleep(0.02)
        later = asyncio.ensure_future(ask(15))
        for waiter in first:
            with pytest.raises(RuntimeError):
                await waiter
        assert await later

    assert _play(scene, gate_seconds=0.05) == [[12, 13, 14], [15]]
