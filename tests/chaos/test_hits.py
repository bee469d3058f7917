"""Readers press on while the database stands still and the ingester is killed: what was answered counts once (C15).

And forged tokens: each gets the same answer as any other page that is not there (C23).
"""

import asyncio
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from bench.track import server
from mailer import tokens
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.tracking import Hit
from mailer.tracking.endpoint import TrackingEndpoint
from mailer.tracking.link_map import LinkMap
from mailer.tracking.spool import SpoolWriter, list_segments
from tests.chaos.conftest import OpenField
from tests.chaos.readers import Readers
from tests.chaos.rig import Field, wait_for
from tests.chaos.scene import Scene, make_crowd

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


def _kill_regularly(field: Field, kills: int, stop: threading.Event) -> None:
    """Have an ingester at work that is killed and replaced at random moments; the last one stays."""
    pid = field.stable.start("ingest")
    for _ in range(kills):
        stop.wait(field.chance.uniform(0.02, 0.4))
        field.stable.kill(pid)
        pid = field.stable.start("ingest")


@pytest.mark.parametrize("size", ["short", "long"])
def test_what_was_answered_is_in_the_database_once(
    new_field: OpenField, request: pytest.FixtureRequest, size: str
) -> None:
    hits, connections, pause, kills = SIZES[size]
    with new_field() as field:
        paths = _paths(field, make_crowd(field.ctx, 50), hits)
        field.chance.shuffle(paths)
        environment = {f"MAILER_{name.upper()}": value for name, value in field.stable.settings.items()}
        with server("durable", {**os.environ, **environment}) as (port, _):
            wait_for("the links", lambda: _knows_links(port, sorted({path for path in paths if "/c/" in path})))
            readers, stop = Readers(port), threading.Event()
            killer = threading.Thread(target=_kill_regularly, args=(field, kills, stop))
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
