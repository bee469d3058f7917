"""Fixtures of fault trials: fields of processes on each engine, seeds that are printed and can be given."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.chaos.rig import Field, StableProcess, open_field, run_stable
from tests.conftest import ENGINES
from tests.support.postgres import Postgres
from tests.support.valkey import run_valkey


@pytest.fixture
def seed() -> int:
    """The seed of a trial: `SEED=…` of the environment, else a new one; it is printed with the test's output."""
    return int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> int:
    """How long a trial is: `--trials`."""
    return int(request.config.getoption("--trials"))


@pytest.fixture(params=ENGINES)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database, once for each engine."""
    if request.param == "sqlite":
        path = tmp_path / "mailer.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create("migrated")
    yield server.url(name)
    server.drop(name)


OpenField = Callable[..., AbstractContextManager[Field]]


@pytest.fixture(scope="session")
def stable_process() -> Iterator[StableProcess]:
    """What forks the workers of all trials of this test process."""
    with run_stable() as process:
        yield process


@pytest.fixture
def new_field(tmp_path: Path, stable_process: StableProcess, empty_database: str, seed: int) -> Iterator[OpenField]:
    """Open fields on a database and a broker of the test's own."""
    with run_valkey() as redis_url:

        def make(faults: dict[str, object] | None = None, **more: str) -> AbstractContextManager[Field]:
            return open_field(tmp_path, stable_process, empty_database, redis_url, seed, faults, **more)

        yield make
