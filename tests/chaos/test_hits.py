"""Readers press on while the database stands still and the ingester is killed: what was answered counts once (C15).

And forged tokens: each gets the same answer as any other page that is not there (C23).
"""

import asyncio
import os
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

import pytest
from sqlalchemy import func, select, update

from bench.track import command_of, server
from mailer import tokens
from mailer.clock import utc_now
from mailer.schema.actions import ActionRun
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.tracking import Hit
from mailer.tracking.endpoint import TrackingEndpoint
from mailer.tracking.link_map import LinkMap
from mailer.tracking.spool import SpoolWriter, list_segments
from tests.chaos.conftest import OpenField
from tests.chaos.readers import Readers
from tests.chaos.rig import Field, wait_for
from tests.chaos.scene import Scene, make_crowd, set_limits
from tests.support.make import make_staff

SIZES = {"short": (1_000, 100, 2.0, 6), "long": (10_000, 500, 20.0, 100)}
"""Hits, connections, seconds in which the database does nothing, kills of the ingester."""


def _paths(field: Field, scene: Scene, hits: int) -> list[str]:
    """Opens and clicks of the mails of a sending, in turn."""
    with field.ctx.read() as session:
        version = session.get_one(Sending, scene.sending_id).content_version_id
        messages = session.scalars(select(Message.id).where(Message.sending_id == scene.sending_id)).all()
        links = session.scalars(select(TrackedLink.ordinal).where(TrackedLink.content_version_id == version)).all()
    keys = field.ctx.keys
    paths = [f"/o/{tokens.track_token(keys, tokens.OPEN, message)}.gif" for message in messages]
    paths += [f"/c/{tokens.track_token(keys, tokens.CLICK, message, link)}" for message in messages for link in links]
    return [paths[number % len(paths)] for number in range(hits)]


@contextmanager
def _paused(field: Field, request: pytest.FixtureRequest) -> Iterator[None]:
    """Have the database do nothing for a block: PostgreSQL is stopped, SQLite's one right to write is taken."""
    if field.ctx.database.is_sqlite:
        connection = sqlite3.connect(field.ctx.database.url.database or "", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()
        return
    group = request.getfixturevalue("postgres").process.pid
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@pytest.mark.parametrize("size", ["short", "long"])
def test_what_was_answered_is_in_the_database_once(
    new_field: OpenField, request: pytest.FixtureRequest, size: str
) -> None:
    hits, connections, pause, kills = SIZES[size]
    with new_field() as field:
        paths = _paths(field, make_crowd(field.ctx, 50), hits)
        field.chance.shuffle(paths)
        environment = {f"MAILER_{name.upper()}": value for name, value in field.stable.settings.items()}
        with server("ours", {**os.environ, **environment}) as (port, _):
            wait_for("the links", lambda: _knows_links(port, sorted({path for path in paths if "/c/" in path})))
            readers, stop = Readers(port), threading.Event()
            killer = threading.Thread(target=_kill_regularly, args=(field, ("ingest",), kills, stop))
            killer.start()
            reading = threading.Thread(target=lambda: asyncio.run(readers.read(paths, connections)))
            with _paused(field, request):
                reading.start()
                time.sleep(pause)
            reading.join(60)
            killer.join(kills * 0.5 + 10)
            wait_for("every hit", lambda: _count(field) >= len(readers.answered), 60, lambda: _count(field))
        wait_for("an empty spool", lambda: not list_segments(field.ctx.settings.spool_dir), 30)

        with field.ctx.read() as session:
            kept = Counter(session.scalars(select(Hit.user_agent).where(Hit.user_agent.contains(" reader/"))))
        print(f"{len(readers.answered)} answered, {sum(kept.values())} kept, others {readers.refused}")
        assert len(readers.answered) == hits
        assert readers.refused == {}
        assert kept == Counter(readers.answered)


def _knows_links(port: int, paths: list[str]) -> bool:
    """Whether the endpoint has read the links; one that it never saw it cannot answer without the database."""
    first = Readers(port, "first")
    asyncio.run(first.read(paths[:20], 1))
    return not first.refused


def _count(field: Field) -> int:
    with field.ctx.read() as session:
        return session.scalar(select(func.count()).where(Hit.user_agent.contains(" reader/"))) or 0


KILLS = {"short": (1_500, 2, 5), "long": (20_000, 34, 66)}
"""Hits, kills of the web process, kills of the ingester and of the worker that acts."""


@pytest.mark.parametrize("size", ["short", "long"])
def test_kills_of_web_ingester_and_worker_lose_and_double_nothing(new_field: OpenField, size: str) -> None:
    """What was answered is there once, what was not at most once; each action of each person ran once."""
    hits, web_kills, kills = KILLS[size]
    with new_field() as field:
        set_limits(field.ctx, quarantine_seconds=0)
        scene = make_crowd(field.ctx, 200)
        paths = _one_click_each(field, scene, hits)
        field.chance.shuffle(paths)
        environment = {f"MAILER_{name.upper()}": value for name, value in field.stable.settings.items()}
        with Web({**os.environ, **environment}) as web:
            wait_for("the links", lambda: _knows_links(web.port, [path for path in paths if "/c/" in path]), 30)
            readers, stop = Readers(web.port), threading.Event()
            killer = threading.Thread(target=_kill_regularly, args=(field, ("ingest", "act"), 2 * kills, stop))
            killer.start()
            reading = threading.Thread(target=lambda: asyncio.run(readers.read(paths, 40)))
            reading.start()
            for _ in range(web_kills):
                time.sleep(field.chance.uniform(0.01, 0.15))
                web.kill()
                wait_for("an answer", web.listens)
            reading.join(120)
            assert not reading.is_alive()
            killer.join(kills * 1.2 + 20)
            wait_for("every hit", lambda: _count(field) >= len(readers.answered), 60, lambda: _count(field))
        wait_for("an empty spool", lambda: not list_segments(field.ctx.settings.spool_dir), 30)
        wait_for("every action", lambda: _states(field).keys() <= {"done"}, 60, lambda: _states(field))

        with field.ctx.read() as session:
            kept = Counter(session.scalars(select(Hit.user_agent).where(Hit.user_agent.contains(" reader/"))))
            tasks = Counter(session.scalars(select(FollowUp.contact_id)))
            runs = session.scalar(select(func.count()).select_from(ActionRun))
        made = sum(tasks.values())
        print(f"{len(readers.answered)} answered, {readers.lost} lost, {sum(kept.values())} kept, {made} tasks")
        assert len(readers.answered) == hits
        assert readers.refused == {}
        assert set(readers.answered) <= set(kept)
        assert set(kept.values()) == {1}
        assert tasks == Counter(dict.fromkeys(scene.contacts, 2))
        assert runs == 2 * len(scene.contacts)


class Web:
    """The endpoint in a process of its own, which may be killed and is started again on the same port."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Self:
        self._start()
        return self

    def _start(self) -> None:
        self._process = subprocess.Popen(command_of("ours", self.port), env=self._environment, start_new_session=True)

    def kill(self) -> None:
        """End it without a word, and start another."""
        self.__exit__()
        self._start()

    def listens(self) -> bool:
        """Whether it answers again."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _one_click_each(field: Field, scene: Scene, hits: int) -> list[str]:
    """Opens, and clicks on the one link of each mail that does two things, of mails handed over a while ago."""
    with field.ctx.write() as session:
        make_staff(session)
        version = session.get_one(Sending, scene.sending_id).content_version_id
        link = session.scalars(
            select(TrackedLink).where(TrackedLink.content_version_id == version).order_by(TrackedLink.ordinal)
        ).first()
        assert link is not None
        for ordinal in (0, 1):
            params = {"title": f"Task {ordinal}"}
            session.add(LinkAction(tracked_link_id=link.id, ordinal=ordinal, kind="follow_up", params=params))
        handed_over = utc_now() - timedelta(minutes=10)
        session.execute(
            update(Message).where(Message.sending_id == scene.sending_id)
            .values(state="accepted", gate_at=handed_over, accepted_at=handed_over)
        )  # fmt: skip
        messages = session.scalars(select(Message.id).where(Message.sending_id == scene.sending_id)).all()
        ordinal = link.ordinal
    keys = field.ctx.keys
    paths = [f"/c/{tokens.track_token(keys, tokens.CLICK, message, ordinal)}" for message in messages]
    paths += [f"/o/{tokens.track_token(keys, tokens.OPEN, message)}.gif" for message in messages]
    return [paths[number % len(paths)] for number in range(hits)]


def _kill_regularly(field: Field, roles: Sequence[str], kills: int, stop: threading.Event) -> None:
    """Have a worker of each role, one of which is killed and replaced at random moments; the last ones stay.

    One thread for all: the stable takes orders one at a time.
    """
    pids = {role: field.stable.start(role) for role in roles}
    for number in range(kills):
        stop.wait(field.chance.uniform(0.02, 0.4) / len(roles))
        role = roles[number % len(roles)]
        field.stable.kill(pids[role])
        pids[role] = field.stable.start(role)


def _states(field: Field) -> Counter[str]:
    with field.ctx.read() as session:
        return Counter(session.scalars(select(ActionRun.state)))


@pytest.mark.parametrize("size", ["short", "long"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_forged_token_is_answered_like_any_page_that_is_not_there(
    new_field: OpenField, database_url: str, size: str
) -> None:
    """Flipped, cut, longer, of another kind, in other alphabets: the same 404, byte for byte, and nothing is kept."""
    del database_url
    with new_field() as field:
        spool = SpoolWriter(field.ctx.settings.spool_dir)
        endpoint = TrackingEndpoint(field.ctx.keys, spool, LinkMap(field.ctx))
        expected = _ask(endpoint, "/nowhere")
        for number, path in enumerate(_forge(field, 100_000 if size == "long" else 3_000)):
            assert _ask(endpoint, path) == expected, (number, path)

        assert list_segments(field.ctx.settings.spool_dir) == []


def _ask(endpoint: TrackingEndpoint, path: str) -> tuple[object, ...]:
    said: list[object] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.7"}
    body = b"".join(endpoint(environ, lambda status, headers: said.extend((status, sorted(headers)))))
    return (*said, body)


def _forge(field: Field, count: int) -> Iterator[str]:
    """Yield paths with a token that was genuine before something happened to it."""
    chance: random.Random = field.chance
    foreign = tokens.new_keys()
    for _ in range(count):
        kind = chance.choice((tokens.OPEN, tokens.CLICK))
        token = tokens.track_token(field.ctx.keys, kind, chance.randrange(1, 1 << 40), chance.randrange(20))
        place = chance.randrange(len(token))
        forged = chance.choice(
            (
                token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :],
                token[:place],
                token + chance.choice(("A", "=", "%3D", "\n", "\0")),
                token[::-1],
                token.translate({ord("-"): "+", ord("_"): "/"}) + "!",
                token.replace(token[place], "\u0661"),
                tokens.track_token(foreign, kind, 42, 1),
                tokens.track_token(field.ctx.keys, tokens.VIEW, 42),
                tokens.manage_token(field.ctx.keys, 1, 1, 1),
                tokens.verp_local(field.ctx.keys, 42, 1),
            )
        )
        yield chance.choice((f"/c/{forged}", f"/o/{forged}.gif"))
