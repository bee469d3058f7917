"""Hits from the spool into the database: judged, told to delivery, counted; beside it plain ORM rows, one commit a hit.

`python -m bench.ingest [--database URL] [--size N]`. Two in three hits are opens, of people, proxies and scanners; the
others are clicks; each mail has two hits. The last line is as in docs/reference (Benchmarks).
"""

import argparse
import json
import os
import platform
import random
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from bench.segments_data import fill
from mailer import tokens
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import stored_instant
from mailer.schema.consent import Topic
from mailer.schema.delivery import Event, Message
from mailer.schema.tracking import Hit
from mailer.statuses import EventKind, HitClass
from mailer.tracking.ingest import ingest_once
from mailer.tracking.records import GET, HEAD, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter
from tests.support.make import make_sending

REFERENCE_HITS = 2_000
HITS_A_MAIL = 2
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0",
    "Barracuda Sentinel (EE)",
)


def make_mails(ctx: Context, count: int) -> list[int]:
    """Make `count` mails of one sending, handed over an hour ago; return their ids."""
    handed_over = utc_now() - timedelta(hours=1)
    with ctx.write() as session:
        topic = session.scalars(select(Topic)).first()
        assert topic is not None
        sending = make_sending(session, ctx, [], topic)
        session.execute(
            text(
                "INSERT INTO message (sending_id, contact_id, address_id, recipient_key, occurrence, state, reason,"
                " attempts, reply, accepted_at, gate_at)"
                " SELECT :sending, id, address_id, id, 0, 'accepted', '', 0, '', :at, :at FROM contact ORDER BY id"
                " LIMIT :count"
            ),
            {"sending": sending.id, "at": stored_instant(session, handed_over), "count": count},
        )
        return list(session.scalars(select(Message.id).where(Message.sending_id == sending.id).order_by(Message.id)))


def make_hits(message_ids: list[int], count: int) -> list[RawHit]:
    """Return hits on the mails in the order of time, as many readers make them."""
    chance = random.Random(4)
    start = (utc_now() - timedelta(minutes=50)).timestamp()
    hits = []
    for number in range(count):
        is_open = chance.random() < 2 / 3
        kind = tokens.OPEN if is_open else tokens.CLICK
        method = HEAD if chance.random() < 0.03 else GET
        message_id, ip = chance.choice(message_ids), f"192.0.2.{chance.randrange(250)}"
        at = start + number * 2400 / count
        hits.append(RawHit(at, kind, method, message_id, 0, 0, ip, chance.choice(AGENTS)))
    return hits


def run(ctx: Context, hits: list[RawHit]) -> float:
    """Take hits in from a spool; return seconds."""
    writer = SpoolWriter(ctx.settings.spool_dir, durable=False)
    for hit in hits:
        writer.append(pack_hit(hit))
    writer.close()
    started = time.perf_counter()
    assert ingest_once(ctx) == len(hits)
    return time.perf_counter() - started


def run_reference(ctx: Context, hits: list[RawHit]) -> float:
    """Write a hit and its event as objects, a transaction each; return hits a second."""
    started = time.perf_counter()
    for number, raw in enumerate(hits):
        at = datetime.fromtimestamp(raw.at, UTC)
        with ctx.write() as session:
            message = session.get_one(Message, raw.message_id)
            session.add(Hit(message_id=message.id, kind="open", method="GET", at=at, ip=raw.ip,
                            user_agent=raw.user_agent, hit_class=HitClass.HUMAN.value))  # fmt: skip
            session.add(Event(message_id=message.id, sending_id=message.sending_id, contact_id=message.contact_id,
                              kind=EventKind.OPEN.value, hit_class=HitClass.HUMAN.value, at=at,
                              dedupe_key=f"reference:{number}"))  # fmt: skip
    return len(hits) / (time.perf_counter() - started)


def main() -> None:
    """Run the benchmark and print its last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="")
    parser.add_argument("--size", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = arguments.database or f"sqlite:///{folder / 'bench.sqlite'}"
        ctx: Context = import_module("bench.import").make_context(url, folder)
        fill(ctx, arguments.size // HITS_A_MAIL)
        message_ids = make_mails(ctx, arguments.size // HITS_A_MAIL)
        hits = make_hits(message_ids, arguments.size)
        reference = run_reference(ctx, hits[:REFERENCE_HITS])
        seconds = run(ctx, hits)
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        ctx.database.dispose()
    print(json.dumps(_line(len(hits), seconds, rss, reference, url)))


def _line(hits: int, seconds: float, rss: int, reference: float, url: str) -> dict[str, Any]:
    return {
        "name": "ingest",
        "figures": {
            "events_per_second": round(hits / seconds),
            "events": hits,
            "seconds": round(seconds, 2),
            "peak_rss_mb": rss,
            "database": "sqlite" if url.startswith("sqlite") else "postgresql",
        },
        "reference": {"events_per_second": round(reference), "events": REFERENCE_HITS},
        "ratio": round(hits / seconds / reference, 2),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
    }


if __name__ == "__main__":
    main()
