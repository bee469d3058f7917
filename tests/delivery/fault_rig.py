"""One cell of the fault matrix: three messages, one server that plays one fault, and what came of it.

Cells run side by side, each on a stand of its own: a database that is put back to the scene before every cell.
"""

import queue
import ssl
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Table, func, select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import Database
from mailer.delivery.loop import reap_now, send_due
from mailer.delivery.smtp_wire import Timeouts
from mailer.jobs import SilentBell
from mailer.schema.base import Base
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Event, Message, SendBatch, Sending
from mailer.settings import Settings
from mailer.tokens import Keys
from mailer.workspace.service import ensure_workspace
from tests.support.fault_sink import FaultServer, Sinks, Taken
from tests.support.make import STARTER_MJML, make_reader, make_sending, make_topic

MESSAGES = 3
LONG = "".join(f"<mj-text>{'what there is to say ' * 200}</mj-text>" for _ in range(35))  # more than a socket holds
PATIENCE = Timeouts(connect=10, greeting=4, command=4, body=4, dot=4)


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
    replies: set[str] = field(default_factory=set)
    is_slowed: bool = False
    later: dict[str, int] = field(default_factory=dict)
    taken_in_all: dict[str, int] = field(default_factory=dict)


@dataclass
class Stand:
    """Where one cell is played at a time: a database with the scene, the scene's rows, a limiter of its own."""

    database: Database
    redis_url: str
    rows: list[tuple[Table, list[dict[str, Any]]]]

    def reset(self) -> None:
        """Put the scene back as it was."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushdb()
        with self.database.write() as session:
            for table, _ in reversed(self.rows):
                session.execute(table.delete())
            for table, rows in self.rows:
                if rows:
                    session.execute(table.insert(), rows)


def make_stand(database: Database, redis_url: str) -> Stand:
    """Remember what a cell may change."""
    names = ("sending", "send_batch", "message", "event", "suppression", "consent", "subscription", "relay_state",
             "policy_refusal", "provider_hold", "engagement")  # fmt: skip
    tables = [table for table in Base.metadata.sorted_tables if table.name in names]
    with database.read() as session:
        return Stand(
            database,
            redis_url,
            [(table, [dict(row._mapping) for row in session.execute(table.select())]) for table in tables],
        )


@dataclass
class Rig:
    """What all cells share; `stands` are taken and given back."""

    folder: Path
    sinks: Sinks
    keys: Keys
    certificate: Path
    tls: ssl.SSLContext
    stands: "queue.SimpleQueue[Stand]" = field(default_factory=queue.SimpleQueue)

    def play(self, phase: str, rule: dict[str, Any]) -> Seen:
        """Send the scene's messages to a server with that fault, then, without it, what is due hours later."""
        has_tls, has_auth = phase == "starttls", phase == "auth"
        log = self.folder / f"{uuid.uuid4()}.log"
        server = self.sinks.start(log, {"rules": [rule]}, tls=self.tls if has_tls else None, auth=has_auth)
        login = "ann:secret@" if has_auth else ""
        options = f"?starttls=yes&ca_file={self.certificate}" if has_tls else "?starttls=no"
        stand = self.stands.get()
        try:
            stand.reset()
            return self._play(make_cell_context(self, stand, f"smtp://{login}127.0.0.1:{server.port}{options}"), server)
        finally:
            self.stands.put(stand)
            self.sinks.stop(server)

    def _play(self, ctx: Context, server: FaultServer) -> Seen:
        send_due(ctx, seconds=5, timeouts=PATIENCE)
        reap_now(ctx)
        seen = look(ctx, server.taken())
        seen = Seen(**{**vars(seen), "is_slowed": _is_slowed(ctx)})
        ctx.redis.flushdb()  # the limiter's memory of it fades in the hours that pass now
        if seen.states == {"accepted": MESSAGES}:
            return Seen(**{**vars(seen), "later": seen.states, "taken_in_all": seen.taken})
        server.play({})
        ctx.clock.offset = timedelta(hours=3)
        send_due(ctx, seconds=5, timeouts=PATIENCE)
        reap_now(ctx)
        later = look(ctx, server.taken())
        return Seen(**{**vars(seen), "later": later.states, "taken_in_all": later.taken})


def make_cell_context(rig: Rig, stand: Stand, smtp_url: str) -> Context:
    """A context on one cell's database, limiter and server."""
    settings = Settings(
        data_dir=rig.folder, database_url=str(stand.database.url), public_url="http://127.0.0.1:8000",
        bounce_domain="bounce.localhost", smtp_url=smtp_url, redis_url=stand.redis_url,
    )  # type: ignore[call-arg,arg-type]  # fmt: skip
    return Context(settings=settings, database=stand.database, keys=rig.keys, bell=SilentBell())


def make_scene(ctx: Context) -> None:
    """Three readers of one topic, and a long mail to them; limits that make nobody wait."""
    with ctx.write() as session:
        topic = make_topic(session)
        readers = [
            make_reader(session, topic, f"p{number}@example.com", key=ctx.keys.suppression)
            for number in range(MESSAGES)
        ]
        make_sending(session, ctx, readers, topic, mjml=STARTER_MJML.replace("</mj-column>", f"{LONG}</mj-column>"))
    workspace = ensure_workspace(ctx)
    with ctx.write() as session:
        kept = session.get_one(type(workspace), workspace.id)
        kept.limits = {"rate_per_second": 50_000, "relay_connections": 6}


def _is_slowed(ctx: Context) -> bool:
    """Whether a bucket of the limiter has a cap now."""
    return any(ctx.redis.type(key) == b"hash" and ctx.redis.hexists(key, "cap") for key in ctx.redis.keys("*rate*"))


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
            replies=set(session.scalars(select(Message.reply))),
        )
