"""Hits become rows and facts: judged, told to delivery, and, for people's clicks, actions put into quarantine.

`take_in` writes the offset reached in the spool and everything that follows from the hits in one transaction, so each
hit counts exactly once, whatever is killed when.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.actions.service import quarantine_seconds, schedule_actions, void_actions
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import apply_events, revise_hits
from mailer.errors import ConflictError
from mailer.schema.tracking import Hit as HitRow
from mailer.schema.tracking import SpoolPosition
from mailer.statuses import EventKind, HitClass
from mailer.tracking import queries
from mailer.tracking.machines import BURST_SPAN, Hit, HitVerdict, find_burst, judge_hit
from mailer.tracking.queries import LinkRow, MessageFacts
from mailer.tracking.records import METHOD_NAMES, POST, PREFETCH, RawHit

BURST = HitVerdict(HitClass.MACHINE, "many_links")


@dataclass(frozen=True)
class Known:
    """What the database knows about the messages of a page of hits."""

    messages: Mapping[int, MessageFacts]
    links: Mapping[tuple[int, int], LinkRow]

    def link_of(self, message_id: int, link: int) -> LinkRow | None:
        """Return the link that a click was on."""
        facts = self.messages.get(message_id)
        return self.links.get((facts.version_id, link)) if facts else None


def find_recipient(ctx: Context, message_id: int) -> str | None:
    """Return the address a message went to; None where it is not known or the database is away."""
    try:
        with ctx.read() as session:
            return queries.find_recipient(session, message_id)
    except SQLAlchemyError:
        return None


def position_of(ctx: Context, host: str, file: str) -> int:
    """Return the offset reached in a spool file."""
    with ctx.read() as session:
        return queries.positions_of_host(session, host).get(file, 0)


def take_in(ctx: Context, hits: Sequence[RawHit], *, host: str, file: str, start: int, end: int) -> int:
    """Write a page of hits that stands in `file` from byte `start` to `end`; return how many were about our messages.

    Raises:
        ConflictError: the database says that another offset than `start` was reached; nothing is written.
    """
    with ctx.write() as session:
        _advance(session, host, file, start, end)
        known = _load_known(session, hits)
        pairs = [(hit, known.messages[hit.message_id]) for hit in hits if hit.message_id in known.messages]
        if not pairs:
            return 0
        rows = _insert_hits(session, pairs)
        burst = _revise_bursts(session, known, rows)
        apply_events(session, [event for row in rows if (event := _event(row, known)) is not None])
        _schedule(session, known, rows, burst)
        return len(rows)


def forget_file(ctx: Context, host: str, file: str) -> None:
    """Drop the position of a spool file that is gone."""
    with ctx.write() as session:
        session.execute(delete(SpoolPosition).where(SpoolPosition.host == host, SpoolPosition.file == file))


def _advance(session: Session, host: str, file: str, start: int, end: int) -> None:
    if start == 0 and file not in queries.positions_of_host(session, host):
        session.add(SpoolPosition(host=host, file=file, offset=end))
        session.flush()
        return
    moved = session.execute(
        update(SpoolPosition)
        .where(SpoolPosition.host == host, SpoolPosition.file == file, SpoolPosition.offset == start)
        .values(offset=end)
    )
    if moved.rowcount != 1:  # type: ignore[attr-defined]
        raise ConflictError(f"spool file {file} was read by somebody else")


def _load_known(session: Session, hits: Sequence[RawHit]) -> Known:
    messages = queries.facts_of_messages(session, {hit.message_id for hit in hits})
    links = queries.links_of_versions(session, {facts.version_id for facts in messages.values()})
    return Known(messages, links)


def _insert_hits(session: Session, pairs: Sequence[tuple[RawHit, MessageFacts]]) -> list[HitRow]:
    rows = [_hit_values(hit, facts) for hit, facts in pairs]
    added = session.scalars(insert(HitRow).returning(HitRow, sort_by_parameter_order=True), rows)
    return list(added)


def _hit_values(hit: RawHit, facts: MessageFacts) -> dict[str, object]:
    at = datetime.fromtimestamp(hit.at, UTC)
    is_open = hit.kind == tokens.OPEN
    method = METHOD_NAMES.get(hit.method, "GET")
    agent = hit.user_agent.replace("\0", "")
    verdict = judge_hit(
        Hit(at, is_open, method, hit.link, agent, facts.sent_at, is_prefetch=bool(hit.flags & PREFETCH))
    )
    return {
        "message_id": hit.message_id,
        "kind": "open" if is_open else "confirm" if hit.method == POST else "click",
        "link": hit.link,
        "method": method,
        "at": at,
        "ip": hit.ip.replace("\0", "")[:45],
        "user_agent": agent,
        "hit_class": verdict.hit_class.value,
        "reason": verdict.reason,
    }


# ------------------------------------------------------------------ verdicts revised


def _revise_bursts(session: Session, known: Known, rows: Sequence[HitRow]) -> set[int]:
    """Make machines of every click in a burst, earlier ones too, and return the hits' ids: their actions are void."""
    clicks = [row for row in rows if row.kind != "open" and row.method != "HEAD"]
    if not clicks:
        return set()
    since = min(row.at for row in clicks) - BURST_SPAN
    by_message: dict[int, list[HitRow]] = defaultdict(list)
    for row in queries.list_clicks_since(session, {row.message_id for row in clicks}, since):
        by_message[row.message_id].append(row)
    burst: set[int] = set()
    for message_id, mine in by_message.items():
        found = [mine[index] for index in find_burst([(row.at, row.link) for row in mine])]
        burst |= {row.id for row in found}
        _revise(session, known, message_id, [row for row in found if row.hit_class != HitClass.MACHINE])
    return burst


def _revise(session: Session, known: Known, message_id: int, rows: Sequence[HitRow]) -> None:
    for row in rows:
        row.hit_class, row.reason = BURST.hit_class.value, BURST.reason
    if not rows:
        return
    revise_hits(session, [_dedupe_key(row) for row in rows], BURST.hit_class, BURST.reason)
    for link in {row.link for row in rows}:
        if (target := known.link_of(message_id, link)) is not None:
            void_actions(session, message_id=message_id, tracked_link_id=target.id)


# ------------------------------------------------------------------ what follows


def _dedupe_key(row: HitRow) -> str:
    return f"hit:{row.id}"


def _event(row: HitRow, known: Known) -> DeliveryEvent | None:
    """Return what delivery is told; HEAD changes nothing beyond the log of hits."""
    if row.method == "HEAD":
        return None
    link = None if row.kind == "open" else known.link_of(row.message_id, row.link)
    return DeliveryEvent(
        message_id=row.message_id,
        kind=EventKind.OPEN if row.kind == "open" else EventKind.CLICK,
        at=row.at,
        dedupe_key=_dedupe_key(row),
        hit_class=HitClass(row.hit_class),
        link=link.id if link else None,
        reason=row.reason or ("confirmed" if row.kind == "confirm" else ""),
        detail={"user_agent": row.user_agent[:200], "method": row.method},
    )


def _schedule(session: Session, known: Known, rows: Sequence[HitRow], burst: set[int]) -> None:
    """Put the actions of people's clicks into quarantine; a link that asks first acts on its button only."""
    wait = timedelta(seconds=quarantine_seconds(session))
    for row in rows:
        if row.hit_class != HitClass.HUMAN or row.kind == "open" or row.id in burst:
            continue
        link, facts = known.link_of(row.message_id, row.link), known.messages[row.message_id]
        if link is None or facts.contact_id is None or (link.response == "confirm") != (row.kind == "confirm"):
            continue
        schedule_actions(
            session,
            tracked_link_id=link.id,
            contact_id=facts.contact_id,
            message_id=row.message_id,
            hit_at=row.at,
            due_at=utc_now() + wait,
        )
