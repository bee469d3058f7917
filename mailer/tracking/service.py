"""Hits become rows and facts: judged, told to delivery, and, for people's clicks, actions put into quarantine.

`take_in` writes the offset reached in the spool and everything that follows from the hits in one transaction, so each
hit counts exactly once, whatever is killed when.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

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
from mailer.tracking.queries import LinkRow, MessageFacts, StoredHit
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
        stored = _insert_hits(session, pairs)
        burst = _revise_bursts(session, known, stored)
        apply_events(session, [event for hit in stored if (event := _event(hit, known, burst)) is not None])
        _schedule(session, known, stored, burst)
        return len(stored)


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


def _insert_hits(session: Session, pairs: Sequence[tuple[RawHit, MessageFacts]]) -> list[StoredHit]:
    rows = [_hit_values(hit, facts) for hit, facts in pairs]
    ids = session.scalars(insert(HitRow).returning(HitRow.id, sort_by_parameter_order=True), rows)
    columns = ("kind", "link", "method", "at", "hit_class", "reason", "user_agent")
    return [
        StoredHit(hit_id, row["message_id"], *(row[column] for column in columns))
        for hit_id, row in zip(ids, rows, strict=True)
    ]


def _hit_values(hit: RawHit, facts: MessageFacts) -> dict[str, Any]:
    at = datetime.fromtimestamp(hit.at, UTC)
    is_open = hit.kind == tokens.OPEN
    method = METHOD_NAMES.get(hit.method, "GET")
    agent = hit.user_agent.replace("\0", "")
    is_somebody = facts.contact_id is not None  # else nobody's, or a person's who was erased: no IP, no program
    verdict = judge_hit(
        Hit(at, is_open, method, hit.link, agent, facts.sent_at, is_prefetch=bool(hit.flags & PREFETCH))
    )
    return {
        "message_id": hit.message_id,
        "kind": "open" if is_open else "confirm" if hit.method == POST else "click",
        "link": hit.link,
        "method": method,
        "at": at,
        "ip": hit.ip.replace("\0", "")[:45] if is_somebody else "",
        "user_agent": agent if is_somebody else "",
        "hit_class": verdict.hit_class.value,
        "reason": verdict.reason,
    }


# ------------------------------------------------------------------ verdicts revised


def _revise_bursts(session: Session, known: Known, hits: Sequence[StoredHit]) -> set[int]:
    """Make machines of every click in a burst, earlier ones too, and return the hits' ids: their actions are void."""
    clicks = [hit for hit in hits if hit.is_click]
    if not clicks:
        return set()
    since = min(hit.at for hit in clicks) - BURST_SPAN
    by_message: dict[int, list[StoredHit]] = defaultdict(list)
    for hit in queries.list_clicks_since(session, {hit.message_id for hit in clicks}, since):
        by_message[hit.message_id].append(hit)
    found = [mine[index] for mine in by_message.values() for index in find_burst([(hit.at, hit.link) for hit in mine])]
    _revise(session, known, [hit for hit in found if hit.hit_class != HitClass.MACHINE])
    return {hit.id for hit in found}


def _revise(session: Session, known: Known, hits: Sequence[StoredHit]) -> None:
    if not hits:
        return
    session.execute(
        update(HitRow)
        .where(HitRow.id.in_([hit.id for hit in hits]))
        .values(hit_class=BURST.hit_class.value, reason=BURST.reason)
        .execution_options(synchronize_session=False)
    )
    revise_hits(session, [hit.dedupe_key for hit in hits], BURST.hit_class, BURST.reason)
    for message_id, link in sorted({(hit.message_id, hit.link) for hit in hits}):
        if (target := known.link_of(message_id, link)) is not None:
            void_actions(session, message_id=message_id, tracked_link_id=target.id)


# ------------------------------------------------------------------ what follows


def _event(hit: StoredHit, known: Known, burst: set[int]) -> DeliveryEvent | None:
    """Return what delivery is told; HEAD changes nothing beyond the log of hits."""
    if hit.method == "HEAD":
        return None
    link = known.link_of(hit.message_id, hit.link) if hit.is_click else None
    verdict = BURST if hit.id in burst and hit.hit_class != HitClass.MACHINE else None
    reason = hit.reason or ("confirmed" if hit.kind == "confirm" else "")
    return DeliveryEvent(
        message_id=hit.message_id,
        kind=EventKind.CLICK if hit.is_click else EventKind.OPEN,
        at=hit.at,
        dedupe_key=hit.dedupe_key,
        hit_class=verdict.hit_class if verdict else HitClass(hit.hit_class),
        link=link.id if link else None,
        reason=verdict.reason if verdict else reason,
        detail={"user_agent": hit.user_agent[:200], "method": hit.method},
    )


def _schedule(session: Session, known: Known, hits: Sequence[StoredHit], burst: set[int]) -> None:
    """Put the actions of people's clicks into quarantine; a link that asks first acts on its button only."""
    wait = timedelta(seconds=quarantine_seconds(session))
    acting = queries.links_with_actions(session, (link.id for link in known.links.values()))
    for hit in hits:
        if hit.hit_class != HitClass.HUMAN or not hit.is_click or hit.id in burst:
            continue
        link, facts = known.link_of(hit.message_id, hit.link), known.messages[hit.message_id]
        if link is None or link.id not in acting or facts.contact_id is None:
            continue
        if (link.response == "confirm") == (hit.kind == "confirm"):
            schedule_actions(
                session,
                tracked_link_id=link.id,
                contact_id=facts.contact_id,
                message_id=hit.message_id,
                hit_at=hit.at,
                due_at=utc_now() + wait,
            )
