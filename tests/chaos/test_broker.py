"""The broker emptied, stopped, full, cut off: nobody is lost, no rate exceeded by more than one burst (C4, C5)."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailer.errors import SetupError
from mailer.settings import Settings
from mailer.supervisor.parts.celery import check_broker
from tests.chaos.broker import Broker, run_broker
from tests.chaos.rig import Field, StableProcess, open_field
from tests.chaos.scene import make_crowd, set_limits
from tests.support.fault_sink import Taken, read_log

RATE = 60
WORKERS, CONNECTIONS = 3, 4


def _flush(broker: Broker) -> None:
    broker.order("FLUSHALL")


def _restart(broker: Broker) -> None:
    broker.stop()
    time.sleep(0.3)
    broker.start()


def _stay_away(broker: Broker) -> None:
    broker.stop()
    time.sleep(2.5)
    broker.start()


def _cut_off(broker: Broker) -> None:
    broker.order("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _fill_up(broker: Broker) -> None:
    broker.order("CONFIG", "SET", "maxmemory", "1")
    time.sleep(1.0)
    broker.order("CONFIG", "SET", "maxmemory", "0")


FAULTS: dict[str, Callable[[Broker], None]] = {
    "flush": _flush, "restart": _restart, "away": _stay_away, "cut off": _cut_off, "full": _fill_up,
}  # fmt: skip


def find_excess(taken: list[Taken], rate: float, allowance: float) -> str:
    """Return where more mails arrived than the rate and one burst permit; empty where nowhere.

    Over any stretch of time: at most `rate` times its length, plus one burst (a second's worth), plus `allowance`.
    """
    times = sorted(line.wall_ns / 1e9 for line in taken)
    lowest, began = 0.0, 0.0
    for number, at in enumerate(times):  # the largest sum of a stretch, in one pass
        level = number - rate * at
        if number == 0 or level < lowest:
            lowest, began = level, at
        over = number + 1 - rate * at - lowest
        if over > rate + allowance:
            return f"{over:.0f} more than {rate} a second permit, within {at - began:.2f} s"
    return ""


def play(field: Field, broker: Broker, *, messages: int, faults: int) -> None:
    """Send at a rate while the broker suffers."""
    set_limits(field.ctx, rate_per_second=RATE, relay_connections=CONNECTIONS)
    scene = make_crowd(field.ctx, messages)
    field.stable.start("reap")
    for _ in range(WORKERS):
        field.stable.start("send")
    names = [*FAULTS] * (1 + faults // len(FAULTS))
    field.chance.shuffle(names)
    for name in names[:faults]:
        time.sleep(field.chance.uniform(0.3, 1.0))
        FAULTS[name](broker)
    field.wait_finished(scene, seconds=2 * messages / RATE + 30)

    assert field.verdict(scene) == []
    # what was granted and is still in hand goes as fast as it can: two for each connection, in four batches
    in_hand = 4 * 2 * CONNECTIONS
    # a worker without a limiter sends one mail a second, three seconds at most each time here
    assert find_excess(read_log(field.sink.log), RATE, allowance=in_hand + 3 * WORKERS) == ""


@pytest.mark.parametrize("size", ["short", "long"])
def test_a_broker_that_suffers_loses_nobody_and_keeps_the_rate(
    tmp_path: Path, stable_process: StableProcess, database_url: str, seed: int, size: str
) -> None:
    messages, faults = (3_000, 30) if size == "long" else (400, 5)
    with run_broker() as broker, open_field(tmp_path, stable_process, database_url, broker.url, seed) as field:
        play(field, broker, messages=messages, faults=faults)


def test_a_worker_does_not_start_on_a_broker_that_throws_work_away(tmp_path: Path) -> None:
    with run_broker() as broker:
        settings = Settings(data_dir=tmp_path, redis_url=broker.url)  # type: ignore[call-arg]
        check_broker(settings)
        broker.order("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

        with pytest.raises(SetupError, match="allkeys-lru"):
            check_broker(settings)


def test_the_check_of_rates_finds_a_second_burst() -> None:
    def at(*seconds: float) -> list[Taken]:
        return [Taken(int(second * 1e9), "250", "", "", "") for second in seconds]

    chance = random.Random(1)
    steady = [number / 10 for number in range(300)]
    assert find_excess(at(*steady), 10, 1) == ""
    assert find_excess(at(*[0.0] * 9, *steady), 10, 1) == ""
    assert find_excess(at(*steady, *[chance.uniform(12, 12.1) for _ in range(15)]), 10, 1) != ""
