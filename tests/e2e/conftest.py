"""Installations on both engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation, installed
from tests.support.postgres import Postgres
from tests.support.valkey import run_valkey


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat what kills processes as often as `--trials` says."""
    if "trial" in metafunc.fixturenames:
        metafunc.parametrize("trial", list(range(metafunc.config.getoption("--trials"))))


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """An installation that is not started: the embedded default, or PostgreSQL and Redis of their own."""
    if request.param == "sqlite":
        with installed(tmp_path) as ready:
            yield ready
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    with run_valkey() as redis_url, installed(tmp_path, database_url=server.url(name), redis_url=redis_url) as ready:
        yield ready
    server.drop(name)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Installation]:
    """An installation of the embedded default."""
    with installed(tmp_path) as ready:
        yield ready
