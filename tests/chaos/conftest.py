"""Fixtures of fault trials: fields of processes on each engine, seeds that are printed and can be given."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.chaos.rig import Field, StableProcess, open_field, run_stable
from tests.support.valkey import run_valkey

LONG_ONLY = (
    ("test_guards", "guard_holds[postgresql"),
    ("test_guards", "trial_fails[postgresql"),
    ("test_limits", "postgresql"),
    ("test_breaker", "postgresql"),
    ("test_leaving", "sqlite"),
    ("test_broker", "postgresql-short"),
    ("test_control", "postgresql"),
    ("test_kill_points", "postgresql-marketing"),
    ("test_kill_points", "sqlite-transactional"),
    ("test_scanners", "postgresql"),
    ("test_hits", "worker_lose_and_double_nothing[postgresql"),
    ("test_databases", "deadlocks"),
    ("test_databases", "without_room"),
    ("test_databases", "disk_that_is_full"),
)
"""Files and what names their tests: left to `make chaos`, so that `make test` stays short."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is chaos. `-m chaos` runs all of it in its long form, other runs a short form of most."""
    mine = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in mine:
        item.add_marker(pytest.mark.chaos)
    has_long_form = {item.name.replace("long", "short") for item in mine if "long" in _parameters(item)}
    is_long_run = "chaos" in (config.option.markexpr or "")
    unwanted = {
        item
        for item in mine
        if (is_long_run and item.name in has_long_form and "short" in _parameters(item))
        or (not is_long_run and ("long" in _parameters(item) or _is_long_only(item)))
    }
    if unwanted:
        config.hook.pytest_deselected(items=list(unwanted))
        items[:] = [item for item in items if item not in unwanted]


def _parameters(item: pytest.Item) -> list[str]:
    return item.name.partition("[")[2].rstrip("]").split("-")


def _is_long_only(item: pytest.Item) -> bool:
    return any(item.path.stem == file and word in item.name for file, word in LONG_ONLY)


@pytest.fixture
def seed() -> int:
    """The seed of a trial: `SEED=…` of the environment, else a new one; it is printed with the test's output."""
    return int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> int:
    """How long a trial is: `--trials`."""
    return int(request.config.getoption("--trials"))


OpenField = Callable[..., AbstractContextManager[Field]]


@pytest.fixture(scope="session")
def stable_process() -> Iterator[StableProcess]:
    """What forks the workers of all trials of this test process."""
    with run_stable() as process:
        yield process


@pytest.fixture
def new_field(tmp_path: Path, stable_process: StableProcess, database_url: str, seed: int) -> Iterator[OpenField]:
    """Open fields on a database and a broker of the test's own."""
    with run_valkey() as redis_url:

        def make(faults: dict[str, object] | None = None, **more: str) -> AbstractContextManager[Field]:
            return open_field(tmp_path, stable_process, database_url, redis_url, seed, faults, **more)

        yield make
