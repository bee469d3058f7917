"""The commands of docs/operations/backup.md, tried on a running campaign: a copy that is held first sends nothing."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailer.accounts.control import stop_everything
from mailer.context import Context
from mailer.database import Database
from mailer.delivery.loop import send_due
from mailer.delivery.queries import count_states
from mailer.schema.consent import ConsentEvent
from mailer.schema.delivery import Sending
from tests.reputation.scene import make_sent
from tests.support.make import make_workspace
from tests.support.postgres import Postgres
from tests.support.sink import Sink

PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "backup.md").read_text()


def command(start: str) -> str:
    """Return the line of the page that begins so."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(start)]
    return line


def run(line: str, folder: Path, **environment: str) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        line, shell=True, cwd=folder, env={"PATH": path, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def running(ctx: Context) -> int:
    with ctx.write() as session:
        make_workspace(session)
    return make_sent(ctx, 20)


def is_whole(copy: Database, original: Context, sending_id: int) -> None:
    with copy.read() as session, original.read() as here:
        assert count_states(session, sending_id) == count_states(here, sending_id)
        assert session.get_one(Sending, sending_id).state == "sending"
        lines = select(func.count()).select_from(ConsentEvent)
        assert session.scalar(lines) == here.scalar(lines)


def sends_nothing(ctx: Context, sink: Sink, sending_id: int) -> None:
    stop_everything(ctx, note="restored from a backup")
    send_due(ctx, seconds=2)

    assert sink.bodies == 0
    with ctx.read() as session:
        assert count_states(session, sending_id)[0]["queued"] == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_running_sqlite_is_copied_whole_and_the_copy_waits(
    sending_ctx: Context, make_ctx: Callable[..., Context], sink: Sink, tmp_path: Path, redis_url: str
) -> None:
    sending_id = running(sending_ctx)
    with sending_ctx.write():  # somebody writes at that moment
        run(command("python3 -c"), tmp_path)
    copy = Database(f"sqlite:///{tmp_path}/mailer-backup.sqlite")
    is_whole(copy, sending_ctx, sending_id)

    other = make_ctx(smtp_url=f"smtp://127.0.0.1:{sink.port}", redis_url=redis_url)
    other.database = copy
    sends_nothing(other, sink, sending_id)
    copy.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_running_postgresql_is_dumped_whole_and_the_copy_waits(
    sending_ctx: Context,
    make_ctx: Callable[..., Context],
    sink: Sink,
    tmp_path: Path,
    redis_url: str,
    postgres: Postgres,
) -> None:
    sending_id = running(sending_ctx)
    programs = next(postgres.folder.rglob("bin/pg_dump")).parent
    libraries = {"LD_LIBRARY_PATH": str(programs.parent / "lib"), "PGHOST": str(postgres.folder), "PGUSER": "postgres"}
    name = str(sending_ctx.database.url.database)

    run(f"{programs}/{command('pg_dump ')}", tmp_path, DATABASE=name, **libraries)
    restored = f"{name}_copy"
    for start, other in (("createdb ", restored), ("pg_restore ", restored)):
        words = [restored if word == "mailer" else word for word in shlex.split(command(start))]
        words = [f"--dbname={other}" if word.startswith("--dbname=") else word for word in words]
        run(f"{programs}/{shlex.join(words)}", tmp_path, **libraries)

    copy = Database(postgres.url(restored))
    is_whole(copy, sending_ctx, sending_id)
    again = make_ctx(smtp_url=f"smtp://127.0.0.1:{sink.port}", redis_url=redis_url)
    again.database = copy
    sends_nothing(again, sink, sending_id)
    copy.dispose()
    postgres.drop(restored)
