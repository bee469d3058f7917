"""One cell of the fault matrix: three messages, one server that plays one fault, and what came of it.

Each cell has a database of its own, copied from a template that holds the scene, so that cells run side by side.
"""

import shutil
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import Database
from mailer.delivery.loop import reap_now, send_due
from mailer.jobs import SilentBell
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Event, Message, SendBatch, Sending
from mailer.settings import Settings
from mailer.tokens import Keys
from mailer.workspace.service import ensure_workspace
from tests.support.fault_sink import FaultServer, Sinks, Taken
from tests.support.make import make_reader, make_sending, make_topic
from tests.support.postgres import Postgres

MESSAGES = 3


@dataclass(frozen=True)
class Seen:
    """What came of a cell. `retry`: seconds until the first of its messages is due again, None for never."""

    states: dict[str, int]
    reasons: set[str]
    attempts: set[int]
    events: set[str]
    suppressed: int
    hold: str
    retry: float | None
    taken: dict[str, int]
    later: dict[str, int] = field(default_factory=dict)
    taken_in_all: dict[str, int] = field(default_factory=dict)


@dataclass
class Rig:
    """What all cells share."""

    folder: Path
    sinks: Sinks
    keys: Keys
    redis_url: str
    certificate: Path
    tls: ssl.SSLContext
    postgres: Postgres | None
    template: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _database(self) -> tuple[str, Callable[[], None]]:
        if self.postgres is not None:
            with self.lock:  # PostgreSQL copies a template for one at a time
                postgres, name = self.postgres, self.postgres.create(self.template)
            return postgres.url(name), lambda: postgres.drop(name)
        path = self.folder / f"{uuid.uuid4()}.sqlite"
        shutil.copyfile(self.template, path)
        return f"sqlite:///{path}", path.unlink

    def play(self, phase: str, rule: dict[str, Any]) -> Seen:
        """Send the scene's messages to a server with that fault, then, without it, what is due hours later."""
        url, drop = self._database()
        has_tls, has_auth = phase == "starttls", phase == "auth"
        log = self.folder / f"{uuid.uuid4()}.log"
        server = self.sinks.start(log, {"rules": [rule]}, tls=self.tls if has_tls else None, auth=has_auth)
        login = "ann:secret@" if has_auth else ""
        options = f"?starttls=yes&ca_file={self.certificate}" if has_tls else "?starttls=no"
        ctx = make_cell_context(self, url, f"smtp://{login}127.0.0.1:{server.port}{options}")
        try:
            return self._play(ctx, server)
        finally:
            ctx.database.dispose()
            self.sinks.stop(server)
            drop()

    def _play(self, ctx: Context, server: FaultServer) -> Seen:
        send_due(ctx, seconds=5)
        reap_now(ctx)
        seen = look(ctx, server.taken())
        if seen.states == {"accepted": MESSAGES}:
            return Seen(**{**vars(seen), "later": seen.states, "taken_in_all": seen.taken})
        server.play({})
        ctx.clock.offset = timedelta(hours=3)
        send_due(ctx, seconds=5)
        reap_now(ctx)
        later = look(ctx, server.taken())
        return Seen(**{**vars(seen), "later": later.states, "taken_in_all": later.taken})


def make_cell_context(rig: Rig, url: str, smtp_url: str) -> Context:
    """A context on one cell's database and server."""
    settings = Settings(
        data_dir=rig.folder, database_url=url, public_url="http://127.0.0.1:8000", bounce_domain="bounce.localhost",
        smtp_url=smtp_url, redis_url=rig.redis_url,
    )  # type: ignore[call-arg,arg-type]  # fmt: skip
    return Context(settings=settings, database=Database(url), keys=rig.keys, bell=SilentBell())


def make_scene(ctx: Context) -> None:
    """Three readers of one topic, and a sending to them; limits that make nobody wait."""
    with ctx.write() as session:
        topic = make_topic(session)
        readers = [
            make_reader(session, topic, f"p{number}@example.com", key=ctx.keys.suppression)
            for number in range(MESSAGES)
        ]
        make_sending(session, ctx, readers, topic)
    workspace = ensure_workspace(ctx)
    with ctx.write() as session:
        kept = session.get_one(type(workspace), workspace.id)
        kept.limits = {"rate_per_second": 50_000, "relay_connections": 6}


def look(ctx: Context, log: list[Taken]) -> Seen:
    """Read what became of the messages."""
    with ctx.read() as session:
        counts = session.execute(select(Message.state, func.count()).group_by(Message.state))
        states = {state: count for state, count in counts}
        due = session.scalar(
            select(func.min(SendBatch.not_before))
            .join(Message, Message.batch_id == SendBatch.id)
            .where(Message.state == "queued")
        )
        taken: dict[str, int] = {}
        for line in log:
            if line.is_taken:
                taken[line.message_id] = taken.get(line.message_id, 0) + 1
        return Seen(
            states=states,
            reasons=set(session.scalars(select(Message.reason))),
            attempts=set(session.scalars(select(Message.attempts))),
            events=set(session.scalars(select(Event.kind))),
            suppressed=session.scalar(select(func.count()).select_from(Suppression)) or 0,
            hold=session.scalars(select(Sending.hold_reason)).one() or "",
            retry=None if due is None else (due - utc_now()).total_seconds(),
            taken=taken,
        )
