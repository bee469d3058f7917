"""Verdicts computed anew when the rules have changed, or by command: mail by mail, in short pieces, after any kill.

A run is a row that says how far it is. What it changes are the verdicts of hits, their events, and engagement, which
is all that figures and segments are counted from; actions that ran stay done, those that wait for a machine are void.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.jobs import is_stopping
from mailer.log import get_logger
from mailer.schema.tracking import Hit as HitRow
from mailer.schema.tracking import VerdictRun
from mailer.statuses import HitClass
from mailer.tracking import queries
from mailer.tracking.evidence import find_network, read_agent
from mailer.tracking.machines import RULES_VERSION, judge_mail
from mailer.tracking.queries import StoredHit
from mailer.tracking.verdicts import (
    Known,
    became_machine,
    is_changed,
    load_known,
    stored_evidence,
    void_clicks,
    write_verdicts,
)

log = get_logger("tracking")
PAGE_HITS = 1_000
_PAGE_MAILS = 500
_RUN_SECONDS = 50.0


@dataclass(frozen=True)
class Recomputed:
    """A run: how many hits were looked at, and how many opens and clicks are of another class now."""

    id: int
    rules: int
    hits: int
    changed: int
    is_done: bool


def start_recompute(ctx: Context) -> int:
    """Begin a run over all hits, or find the one that is under way; return its id."""
    with ctx.write() as session:
        open_id = session.scalar(select(VerdictRun.id).where(VerdictRun.done_at.is_(None)).limit(1))
        if open_id is not None:
            return open_id
        run = VerdictRun(rules=RULES_VERSION, started_at=utc_now())
        session.add(run)
        session.flush()
        return run.id


def continue_recompute(ctx: Context, run_id: int, *, seconds: float | None = None) -> Recomputed:
    """Go on with a run until it is done, or for some seconds. Several processes may do so at once."""
    end = None if seconds is None else time.monotonic() + seconds
    while _page(ctx, run_id):
        if is_stopping() or (end is not None and time.monotonic() > end):
            break
    return get_run(ctx, run_id)


def recompute_due(ctx: Context) -> None:
    """Go on with the run under way; begin one where there are hits judged by older rules."""
    with ctx.read() as session:
        last = session.scalars(select(VerdictRun).order_by(VerdictRun.id.desc()).limit(1)).first()
        is_open = last is not None and last.done_at is None
        is_outdated = last is None or last.rules < RULES_VERSION
        if not is_open and not (is_outdated and queries.has_hits(session)):
            return
    continue_recompute(ctx, start_recompute(ctx), seconds=_RUN_SECONDS)


def get_run(ctx: Context, run_id: int) -> Recomputed:
    """Return how far a run is."""
    with ctx.read() as session:
        row = session.get_one(VerdictRun, run_id)
        return Recomputed(row.id, row.rules, row.hits, row.changed, row.done_at is not None)


def _page(ctx: Context, run_id: int) -> bool:
    """Judge the next mails in one transaction; False where the run is done."""
    with ctx.write() as session:
        queries.lock_verdicts(session)
        run = session.get_one(VerdictRun, run_id, with_for_update=True)
        if run.done_at is not None:
            return False
        message_ids = _next_mails(session, run.after_message_id)
        if not message_ids:
            run.done_at, run.rules = utc_now(), RULES_VERSION
            log.info("verdicts_recomputed", hits=run.hits, changed=run.changed)
            return False
        hits, changed = _judge_again(session, message_ids)
        run.after_message_id = message_ids[-1]
        run.hits += hits
        run.changed += changed
        return True


def _next_mails(session: Session, after: int) -> list[int]:
    """Return the next mails with hits, as many as have PAGE_HITS together, one at least."""
    rows = session.execute(
        select(HitRow.message_id, func.count())
        .where(HitRow.message_id > after)
        .group_by(HitRow.message_id)
        .order_by(HitRow.message_id)
        .limit(_PAGE_MAILS)
    )
    chosen: list[int] = []
    total = 0
    for message_id, count in rows:
        total += count
        if chosen and total > PAGE_HITS:
            break
        chosen.append(message_id)
    return chosen


def _judge_again(session: Session, message_ids: Sequence[int]) -> tuple[int, int]:
    known = load_known(session, message_ids)
    by_mail: dict[int, list[StoredHit]] = defaultdict(list)
    for hit in queries.list_hits(session, message_ids):
        by_mail[hit.message_id].append(hit)
    judged = {
        hit: verdict
        for message_id, hits in by_mail.items()
        for hit, verdict in zip(
            hits, judge_mail([stored_evidence(hit, known.messages[message_id]) for hit in hits]), strict=True
        )
    }
    changed = write_verdicts(session, [pair for pair in judged.items() if is_changed(*pair)])
    gone = [hit for hit, verdict in judged.items() if became_machine(hit, verdict)]
    people = [hit for hit, verdict in judged.items() if verdict.hit_class is HitClass.HUMAN]
    void_clicks(session, known, gone, {hit.click for hit in people})
    _write_evidence(session, [hit for hit in judged if hit.rules < RULES_VERSION], known)
    return len(judged), changed


def _write_evidence(session: Session, hits: Sequence[StoredHit], known: Known) -> None:
    """Write what is read from a hit now: its program, device and network, and the version of the rules."""
    if not hits:
        return
    rows = []
    for hit in hits:
        agent, sent = read_agent(hit.user_agent), known.messages[hit.message_id].sent_at
        rows.append(
            {
                "id": hit.id,
                "rules": RULES_VERSION,
                "program": agent.program,
                "device": agent.device,
                "network": find_network(hit.ip),
                "seconds_after": (hit.at - sent).total_seconds() if sent else None,
            }
        )
    session.execute(update(HitRow), rows)
