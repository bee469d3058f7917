"""Hits become rows and facts: judged, told to delivery, and, for people's clicks, actions put into quarantine.

`take_in` writes the offset reached in the spool and everything that follows from the hits in one transaction, so each
hit counts exactly once, whatever is killed when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.actions.service import Click, schedule_actions
from mailer.context import Context
from mailer.database import allocate_ids, insert_rows, spare_flush, stored_instant
from mailer.delivery.hits import Sign, record_hits
from mailer.errors import ConflictError
from mailer.schema.tracking import SpoolPosition
from mailer.statuses import HitClass
from mailer.tracking import queries
from mailer.tracking.evidence import cut_ip, find_network, read_agent
from mailer.tracking.lanes import file_of
from mailer.tracking.machines import RULES_VERSION
from mailer.tracking.queries import Stamp
from mailer.tracking.records import MAX_IP, METHOD_NAMES, RawHit
from mailer.tracking.verdicts import (
    Judged,
    Known,
    NewHit,
    acts,
    became_machine,
    judge_page,
    void_clicks,
    write_verdicts,
)
from mailer.workspace.queries import get_limit


def positions_of(ctx: Context, host: str) -> dict[str, int]:
    """Return the offset reached at each place in the spool files of a host (`lanes`)."""
    with ctx.read() as session:
        return queries.positions_of_host(session, host)


def take_in(ctx: Context, hits: Sequence[RawHit], *, host: str, place: str, start: int, end: int) -> int:
    """Write a page of hits that a lane has from byte `start` to `end`; return how many were about our messages.

    `place` is the lane's in its spool file. On SQLite, where one writes and all others wait, the page is judged before
    the lock is taken, and once more in the rare case that something has changed meanwhile. On PostgreSQL nobody waits
    for the disk: what a crash takes back takes its offset with it, and the file is there until `settle_file`.

    Raises:
        ConflictError: the database says that another offset than `start` was reached; nothing is written.
    """
    early = _prepare_early(ctx, hits) if ctx.database.is_sqlite else None
    with ctx.write() as session:
        spare_flush(session)
        _advance(session, host, place, start, end)
        queries.lock_mails(session, (hit.message_id for hit in hits))
        page = early if early is not None and early.stamp == _stamp(session, early) else _prepare(session, hits)
        if page.rows:
            _write(session, page)
        return len(page.rows)


@dataclass(frozen=True)
class Page:
    """Hits as they are to be written: their rows without ids, and what they rest on where that may change."""

    judged: Judged
    rows: Sequence[tuple[Any, ...]]
    stamp: Stamp | None = None


def _prepare_early(ctx: Context, hits: Sequence[RawHit]) -> Page:
    with ctx.read() as session:
        page = _prepare(session, hits)
        return replace(page, stamp=_stamp(session, page))


def _stamp(session: Session, page: Page) -> Stamp:
    return queries.stamp_of(session, page.judged.known.messages)


def _prepare(session: Session, hits: Sequence[RawHit]) -> Page:
    judged = judge_page(session, hits)
    keeps_ip, is_sqlite = get_limit(session, "keep_ip_days") > 0, session.get_bind().dialect.name == "sqlite"
    rows = [
        (
            hit.raw.message_id, hit.kind, hit.raw.link, METHOD_NAMES.get(hit.raw.method, "GET"),
            stored_instant(session, hit.at) if is_sqlite else hit.at.isoformat(), hit.raw.flags,
            *_traces(hit, keeps_ip=keeps_ip), hit.verdict.hit_class.value, hit.verdict.reasons, RULES_VERSION,
            (hit.at - hit.facts.sent_at).total_seconds() if hit.facts.sent_at else None,
        )
        for hit in judged.new
    ]  # fmt: skip
    return Page(judged, rows)


_COLUMNS = (
    "id", "message_id", "kind", "link", "method", "at", "flags", "ip", "user_agent", "program", "device", "network",
    "class", "reason", "rules", "seconds_after",
)  # fmt: skip
_NOBODY = ("",) * 5


def _traces(hit: NewHit, *, keeps_ip: bool) -> tuple[str, ...]:
    """Return what says who asked; nothing where the mail is nobody's, or a person's who was erased."""
    if hit.facts.contact_id is None:
        return _NOBODY
    raw = hit.raw
    ip = raw.ip.replace("\0", "")[:MAX_IP]
    agent = raw.user_agent.replace("\0", "")
    read = read_agent(agent)
    return ip if keeps_ip else cut_ip(ip), agent, read.program, read.device, find_network(ip)


# ------------------------------------------------------------------ writing


def _write(session: Session, page: Page) -> None:
    """Write hits and what follows from them."""
    judged, ids = page.judged, allocate_ids(session, "hit", len(page.rows))
    insert_rows(session, "hit", _COLUMNS, [(hit_id, *row) for hit_id, row in zip(ids, page.rows, strict=True)])
    write_verdicts(session, judged.revised)
    gone = [hit for hit, verdict in judged.revised if became_machine(hit, verdict)]
    void_clicks(session, judged.known, gone, judged.humans)
    people = [hit for hit in judged.new if hit.verdict.hit_class is HitClass.HUMAN]
    record_hits(session, ids, [Sign(hit.facts.id, hit.facts.address_id, hit.facts.state, hit.at) for hit in people])
    _schedule(session, judged.known, zip(ids, judged.new, strict=True))


def settle_file(ctx: Context, host: str, file: str) -> None:
    """Have the database keep on its disk what came from a spool file: from then on the file may go.

    A commit that is waited for brings everything before it to the disk; one that writes nothing would not.
    """
    with ctx.write() as session:
        places = _places_in(session, host, file)
        session.execute(update(SpoolPosition).where(SpoolPosition.id.in_(places)).values(file=SpoolPosition.file))


def forget_file(ctx: Context, host: str, file: str) -> None:
    """Drop the positions in a spool file that is gone."""
    with ctx.write() as session:
        session.execute(delete(SpoolPosition).where(SpoolPosition.id.in_(_places_in(session, host, file))))


def _places_in(session: Session, host: str, file: str) -> list[int]:
    rows = session.execute(select(SpoolPosition.id, SpoolPosition.file).where(SpoolPosition.host == host))
    return [number for number, place in rows if file_of(place) == file]


def _advance(session: Session, host: str, place: str, start: int, end: int) -> None:
    moved = session.execute(
        update(SpoolPosition)
        .where(SpoolPosition.host == host, SpoolPosition.file == place, SpoolPosition.offset == start)
        .values(offset=end)
    )
    if moved.rowcount == 1:  # type: ignore[attr-defined]
        return
    there = queries.positions_of_host(session, host)
    if place in there or start != there.get(file_of(place), 0):
        raise ConflictError(f"spool file {place} was read by somebody else")
    session.add(SpoolPosition(host=host, file=place, offset=end))
    session.flush()


def _schedule(session: Session, known: Known, hits: Iterable[tuple[int, NewHit]]) -> None:
    """Put the actions of people's clicks into quarantine."""
    clicks = []
    acting = queries.links_with_actions(session, (link.id for link in known.links.values()))
    for hit_id, hit in hits:
        if hit.verdict.hit_class is not HitClass.HUMAN or hit.raw.kind == tokens.OPEN or hit.facts.contact_id is None:
            continue
        link = known.link_of(hit.raw.message_id, hit.raw.link)
        if link is not None and link.id in acting and acts(link, hit.kind):
            clicks.append(Click(link.id, hit.facts.contact_id, hit.raw.message_id, hit_id, hit.at))
    schedule_actions(session, clicks)
