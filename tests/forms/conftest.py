"""One database an engine for all tests of forms, emptied of sign-ups before each: forms do not know each other."""

import shutil
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, update

from mailer.app import create_app
from mailer.context import Context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.schema.forms import FormRefusal, SignUp, SignUpAddress
from mailer.schema.workspace import Workspace
from mailer.settings import Settings
from mailer.tokens import new_keys
from tests.conftest import ENGINES
from tests.support.postgres import Postgres


@pytest.fixture(scope="session", params=ENGINES)
def shared(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Context]:
    """A context on a database of each engine."""
    folder = tmp_path_factory.mktemp("forms")
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "mailer.sqlite")
        url = f"sqlite:///{folder / 'mailer.sqlite'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.url(server.create("migrated"))
    settings = Settings(
        data_dir=folder,
        database_url=url,
        redis_url=redis_url,
        public_url="http://127.0.0.1:8000",
        bounce_domain="bounce.localhost",
        smtp_url="smtp://127.0.0.1:9",
    )
    context = Context(settings=settings, database=Database(url), keys=new_keys(), bell=SilentBell())
    yield context
    context.database.dispose()


@pytest.fixture
def ctx(shared: Context) -> Context:
    """The shared context as nobody has signed up yet; people of other tests are contacts: use fresh addresses."""
    shared.redis.flushdb()
    shared.clock.offset *= 0
    with shared.write() as session:
        for table in (SignUp, SignUpAddress, FormRefusal):
            session.execute(delete(table))
        session.execute(update(Workspace).values(limits={}))
    return shared


@pytest.fixture(scope="session")
def app(shared: Context) -> Flask:
    """The pages, made once."""
    return create_app(shared)


@pytest.fixture
def client(app: Flask, ctx: Context) -> FlaskClient:
    """A stranger's browser."""
    return app.test_client()
