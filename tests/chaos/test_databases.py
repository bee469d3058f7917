"""PostgreSQL restarted, sessions ended, writes refused, its disk full, in the middle of sending (C6, C7, C13)."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from mailer.database import Database
from mailer.migrations.runner import migrate
from tests.chaos.rig import Field, StableProcess, open_field, wait_for
from tests.chaos.scene import Scene, count_states, make_crowd, set_limits
from tests.support.fault_sink import read_log
from tests.support.postgres import Postgres, start_postgres

WORKERS = 3
ROOM_MB = 200
FAILING = """
CREATE FUNCTION fail_sometimes() RETURNS trigger AS $$
BEGIN
  IF random() < 0.002 THEN RAISE EXCEPTION 'made up' USING ERRCODE = '40P01'; END IF;
  IF random() < 0.002 THEN RAISE EXCEPTION 'made up' USING ERRCODE = '40001'; END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER fail_sometimes BEFORE UPDATE ON message FOR EACH ROW EXECUTE FUNCTION fail_sometimes();
"""
FULL = """
CREATE FUNCTION find_no_room() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$ LANGUAGE plpgsql;
CREATE TRIGGER find_no_room BEFORE UPDATE ON message FOR EACH ROW EXECUTE FUNCTION find_no_room();
"""
FREED = "DROP TRIGGER find_no_room ON message"


@pytest.fixture
def durable() -> Iterator[Postgres]:
    """A PostgreSQL that keeps its word through a crash, with a migrated database `mailer`."""
    server = start_postgres(durable=True)
    _make_database(server)
    yield server
    server.stop()


def _make_database(server: Postgres) -> None:
    server.execute("CREATE DATABASE mailer")
    database = Database(server.url("mailer"))
    migrate(database)
    database.dispose()


def _start(field: Field, messages: int, rate: int) -> Scene:
    set_limits(field.ctx, rate_per_second=rate, relay_connections=6)
    scene = make_crowd(field.ctx, messages)
    field.stable.start("reap")
    for _ in range(WORKERS):
        field.stable.start("send")
    return scene


def _end_sessions(server: Postgres) -> None:
    with suppress(psycopg.Error):
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mailer'")


def _set_read_only(server: Postgres, *, on: bool) -> None:
    server.execute(f"ALTER DATABASE mailer SET default_transaction_read_only = {'on' if on else 'off'}")
    _end_sessions(server)


@pytest.mark.parametrize("size", ["short", "long"])
def test_a_database_that_crashes_again_and_again_loses_nobody(
    tmp_path: Path, stable_process: StableProcess, durable: Postgres, redis_url: str, seed: int, size: str
) -> None:
    messages, restarts, rate = (8_000, 20, 200) if size == "long" else (500, 2, 150)
    with open_field(tmp_path, stable_process, durable.url("mailer"), redis_url, seed) as field:
        scene = _start(field, messages, rate)
        for _ in range(restarts):
            time.sleep(field.chance.uniform(0.2, 1.0))
            _end_sessions(durable)
            time.sleep(field.chance.uniform(0.2, 1.0))
            durable.crash()
            durable.launch()
        field.wait_finished(scene, seconds=messages / rate + 60)

        assert field.verdict(scene) == []
        print(f"restarts={restarts} states={dict(count_states(field.ctx, scene))}")


def test_a_database_that_refuses_to_write_for_a_while_loses_nobody(
    tmp_path: Path, stable_process: StableProcess, durable: Postgres, redis_url: str, seed: int
) -> None:
    """As after a fail-over to a replica: what was accepted meanwhile is written down once it can be."""
    with open_field(tmp_path, stable_process, durable.url("mailer"), redis_url, seed) as field:
        scene = _start(field, 400, 150)
        time.sleep(1)
        _set_read_only(durable, on=True)
        time.sleep(1.5)
        _set_read_only(durable, on=False)
        field.wait_finished(scene, seconds=60)

        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene)["accepted"] == 400


def test_a_server_without_room_stops_sending_and_costs_nobody_a_mail(
    tmp_path: Path, stable_process: StableProcess, durable: Postgres, redis_url: str, seed: int
) -> None:
    """It answers every write of a message as PostgreSQL does on a full disk: no gate opens, no result is lost."""
    with open_field(tmp_path, stable_process, durable.url("mailer"), redis_url, seed) as field:
        scene = _start(field, 400, 150)
        time.sleep(1)
        with field.ctx.write() as session:
            session.execute(text(FULL))
        full_at = len(read_log(field.sink.log))
        time.sleep(2)
        taken_meanwhile = len(read_log(field.sink.log)) - full_at
        with field.ctx.write() as session:
            session.execute(text(FREED))
        field.wait_finished(scene, seconds=60)

        assert taken_meanwhile <= 2 * 6 * WORKERS  # what had passed its gate before; the rate would have sent 300
        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene)["accepted"] == 400


def test_a_disk_that_is_full_stops_sending_and_costs_nobody_a_mail(
    tmp_path: Path, stable_process: StableProcess, redis_url: str, seed: int
) -> None:
    """The real thing: no table of PostgreSQL's can grow by a page."""
    messages, rate = 3_000, 400
    server = start_postgres(durable=True, room_mb=ROOM_MB)
    try:
        _make_database(server)
        with open_field(tmp_path, stable_process, server.url("mailer"), redis_url, seed) as field:
            scene = _start(field, messages, rate)
            wait_for("the first mails", lambda: len(read_log(field.sink.log)) > rate)
            _pack_messages(server)
            server.fill_disk()
            with pytest.raises(psycopg.errors.DiskFull):
                server.execute("CREATE TABLE much AS SELECT generate_series(1, 100000)")
            time.sleep(3)
            full_at = len(read_log(field.sink.log))
            time.sleep(3)
            taken_meanwhile = len(read_log(field.sink.log)) - full_at
            server.free_disk()
            field.wait_finished(scene, seconds=90)

            assert full_at < messages
            assert taken_meanwhile < 3 * rate / 4  # a page with room is found here and there
            assert field.verdict(scene) == []
    finally:
        server.stop()


def _pack_messages(server: Postgres) -> None:
    """Leave no room in the pages of the table: every change needs a new one from now on."""
    with psycopg.connect(server.url("mailer").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER TABLE message SET (fillfactor = 100)")
        connection.execute("VACUUM FULL message")


def test_deadlocks_and_serialization_failures_repeat_only_the_database_part(
    tmp_path: Path, stable_process: StableProcess, durable: Postgres, redis_url: str, seed: int
) -> None:
    with open_field(tmp_path, stable_process, durable.url("mailer"), redis_url, seed) as field:
        scene = _start(field, 500, 250)
        with field.ctx.write() as session:
            session.execute(text(FAILING))
        field.wait_finished(scene, seconds=90)

        assert field.verdict(scene) == []
        assert count_states(field.ctx, scene)["accepted"] == 500
