"""Fixtures that every test may use: real databases of both engines, contexts, a moved clock."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.migrations.runner import migrate
from mailer.settings import Settings
from mailer.tokens import new_keys
from tests.browser.missing import pytest_unconfigure  # noqa: F401 - a hook of pytest's
from tests.support.memory import use_memory
from tests.support.postgres import Postgres, start_postgres
from tests.support.sink import Sink, run_sink
from tests.support.valkey import run_valkey

use_memory()
hypothesis_settings.register_profile("mailer", deadline=None)  # machines that run tests are busy
hypothesis_settings.load_profile("mailer")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--trials`: how often tests that kill processes are repeated."""
    parser.addoption("--trials", type=int, default=1, help="repeat what kills processes")


SLOW = ("e2e", "supervisor", "browser", "chaos")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: not set(SLOW) & set(item.path.parts))


ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server a test process, with a migrated database as template."""
    server = start_postgres()
    server.execute("CREATE DATABASE migrated")
    database = Database(server.url("migrated"))
    migrate(database)
    database.dispose()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "mailer.sqlite"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
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


@pytest.fixture
def make_ctx(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Context]]:
    """Make contexts on one database, as several processes would have them."""
    keys = new_keys()
    made: list[Context] = []

    def make(**overrides: object) -> Context:
        settings = Settings(
            **{
                "data_dir": tmp_path,
                "database_url": database_url,
                "public_url": "http://127.0.0.1:8000",
                "bounce_domain": "bounce.localhost",
                "smtp_url": "smtp://127.0.0.1:9",
                **overrides,
            }
        )  # type: ignore[arg-type]
        ctx = Context(settings=settings, database=Database(database_url), keys=keys, bell=SilentBell())
        made.append(ctx)
        return ctx

    yield make
    for ctx in made:
        ctx.database.dispose()


@pytest.fixture
def ctx(make_ctx: Callable[..., Context]) -> Context:
    """A context on a fresh database, once for each engine."""
    return make_ctx()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a private Valkey, one a test process."""
    with run_valkey() as url:
        yield url


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A real SMTP server that keeps what it takes."""
    with run_sink(Sink()) as running:
        yield running


@pytest.fixture
def sending_ctx(make_ctx: Callable[..., Context], redis_url: str, sink: Sink) -> Context:
    """A context whose relay is `sink`; what another test slowed down is forgotten."""
    ctx: Context = make_ctx(redis_url=redis_url, smtp_url=f"smtp://127.0.0.1:{sink.port}")
    ctx.redis.flushdb()
    return ctx
