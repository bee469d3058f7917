"""Hits become rows and facts: judged, told to delivery, and, for people's clicks, actions put into quarantine.

`take_in` writes the offset reached in the spool and everything that follows from the hits in one transaction, so each
hit counts exactly once, whatever is killed when.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.actions.service import Click, schedule_actions, void_actions
from mailer.context import Context
from mailer.database import allocate_ids, insert_rows, stored_instant
from mailer.delivery.hits import HitFact, record_hits
from mailer.delivery.service import revise_hits
from mailer.errors import ConflictError
from mailer.schema.tracking import Hit as HitRow
from mailer.schema.tracking import SpoolPosition
from mailer.segments.chosen import is_among
from mailer.statuses import HitClass
from mailer.tracking import queries
from mailer.tracking.evidence import Agent, cut_ip, find_network, read_agent
from mailer.tracking.machines import HEAD_SPAN, RULES_VERSION, Hit, HitVerdict, judge_hit, judge_mail
from mailer.tracking.queries import LinkRow, MessageFacts, StoredHit
from mailer.tracking.records import HEAD, MAX_IP, METHOD_NAMES, POST, PREFETCH, RawHit
from mailer.workspace.queries import get_limit


@dataclass(frozen=True)
class Known:
    """What the database knows about the messages of a page of hits."""

    messages: Mapping[int, MessageFacts]
    links: Mapping[tuple[int, int], LinkRow]

    def link_of(self, message_id: int, link: int) -> LinkRow | None:
        """Return the link that a click was on."""
        facts = self.messages.get(message_id)
        return self.links.get((facts.version_id, link)) if facts else None

    @property
    def sent_at(self) -> Mapping[int, datetime | None]:
        """When each message was handed over."""
        return {message_id: facts.sent_at for message_id, facts in self.messages.items()}


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
        queries.lock_verdicts(session, is_shared=True)
        known = load_known(session, {hit.message_id for hit in hits})
        pairs = [(hit, known.messages[hit.message_id]) for hit in hits if hit.message_id in known.messages]
        if not pairs:
            return 0
        judged = _judge(session, known, pairs)
        stored = _insert_hits(session, judged.new, keeps_ip=get_limit(session, "keep_ip_days") > 0)
        _revise(session, known, judged, stored)
        record_hits(session, [_fact(hit, known) for hit in stored if hit.method != "HEAD"])
        _schedule(session, known, stored)
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


def load_known(session: Session, message_ids: Collection[int]) -> Known:
    """Return what the database knows about messages and their links."""
    messages = queries.facts_of_messages(session, message_ids)
    links = queries.links_of_versions(session, {facts.version_id for facts in messages.values()})
    return Known(messages, links)


# ------------------------------------------------------------------ verdicts


@dataclass(frozen=True)
class NewHit:
    """A hit of a page with its verdict."""

    raw: RawHit
    facts: MessageFacts
    verdict: HitVerdict


@dataclass(frozen=True)
class Judged:
    """The verdicts of a page of hits, and of hits that came before and are seen otherwise now."""

    new: Sequence[NewHit]
    revised: Sequence[tuple[StoredHit, HitVerdict]]
    before: Mapping[int, Sequence[tuple[StoredHit, HitVerdict]]]


def _judge(session: Session, known: Known, pairs: Sequence[tuple[RawHit, MessageFacts]]) -> Judged:
    """Judge each hit beside all others of its mail; a mail of which only the pixel was fetched has no others."""
    by_mail: dict[int, list[RawHit]] = defaultdict(list)
    for hit, facts in pairs:
        by_mail[facts.id].append(hit)
    there = _list_there(session, by_mail)
    verdicts: dict[int, HitVerdict] = {}
    before: dict[int, list[tuple[StoredHit, HitVerdict]]] = {}
    for message_id, mine in by_mail.items():
        facts, old = known.messages[message_id], there.get(message_id, ())
        if len(mine) == 1 and not old:
            verdicts[id(mine[0])] = judge_hit(_raw_evidence(mine[0], facts))
            continue
        found = judge_mail([_raw_evidence(hit, facts) for hit in mine] + [stored_evidence(hit, facts) for hit in old])
        verdicts |= {id(hit): verdict for hit, verdict in zip(mine, found, strict=False)}
        before[message_id] = list(zip(old, found[len(mine) :], strict=True))
    revised = [
        (hit, verdict)
        for mails in before.values()
        for hit, verdict in mails
        if (hit.hit_class, hit.reason) != (verdict.hit_class.value, verdict.reasons)
    ]
    return Judged([NewHit(hit, facts, verdicts[id(hit)]) for hit, facts in pairs], revised, before)


def _list_there(session: Session, by_mail: Mapping[int, Sequence[RawHit]]) -> dict[int, list[StoredHit]]:
    """Return what is there of mails and bears upon new hits: all where a link or a HEAD is new, else pixels' HEADs."""
    many = {
        message_id
        for message_id, hits in by_mail.items()
        if any(hit.kind != tokens.OPEN or hit.method == HEAD for hit in hits)
    }
    found = queries.list_hits(session, many) if many else []
    if few := by_mail.keys() - many:
        since = datetime.fromtimestamp(min(hit.at for message_id in few for hit in by_mail[message_id]), UTC)
        found += queries.list_pixel_heads(session, few, since - HEAD_SPAN)
    there: dict[int, list[StoredHit]] = defaultdict(list)
    for hit in found:
        there[hit.message_id].append(hit)
    return there


def _raw_evidence(hit: RawHit, facts: MessageFacts) -> Hit:
    return Hit(
        at=datetime.fromtimestamp(hit.at, UTC),
        is_open=hit.kind == tokens.OPEN,
        method=METHOD_NAMES.get(hit.method, "GET"),
        link=hit.link,
        user_agent=hit.user_agent,
        sent_at=facts.sent_at,
        is_prefetch=bool(hit.flags & PREFETCH),
        network=find_network(hit.ip),
    )


def stored_evidence(hit: StoredHit, facts: MessageFacts) -> Hit:
    """Return a stored hit as the rules look at it; where its evidence was erased, its verdict stands."""
    return Hit(
        at=hit.at,
        is_open=hit.kind == "open",
        method=hit.method,
        link=hit.link,
        user_agent=hit.user_agent,
        sent_at=facts.sent_at,
        is_prefetch=bool(hit.flags & PREFETCH),
        network=find_network(hit.ip),
        stands=HitVerdict(HitClass(hit.hit_class), hit.reason) if facts.contact_id is None else None,
    )


# ------------------------------------------------------------------ rows

_COLUMNS = (
    "id", "message_id", "kind", "link", "method", "at", "flags", "ip", "user_agent", "class", "reason", "rules",
    "seconds_after", "program", "device", "network",
)  # fmt: skip


def _insert_hits(session: Session, hits: Sequence[NewHit], *, keeps_ip: bool) -> list[StoredHit]:
    ids = allocate_ids(session, "hit", len(hits))
    stored = [_stored(hit_id, hit, keeps_ip=keeps_ip) for hit_id, hit in zip(ids, hits, strict=True)]
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    rows = [
        _row(hit, one.facts.sent_at, stored_instant(session, hit.at) if is_sqlite else hit.at)
        for hit, one in zip(stored, hits, strict=True)
    ]
    insert_rows(session, "hit", _COLUMNS, rows)
    return stored


def _stored(hit_id: int, hit: NewHit, *, keeps_ip: bool) -> StoredHit:
    raw = hit.raw
    is_somebody = hit.facts.contact_id is not None  # else nobody's, or a person's who was erased: no IP, no program
    ip = raw.ip.replace("\0", "")[:MAX_IP] if is_somebody else ""
    return StoredHit(
        id=hit_id,
        message_id=raw.message_id,
        kind="open" if raw.kind == tokens.OPEN else "confirm" if raw.method == POST else "click",
        link=raw.link,
        method=METHOD_NAMES.get(raw.method, "GET"),
        at=datetime.fromtimestamp(raw.at, UTC),
        flags=raw.flags,
        ip=ip if keeps_ip else cut_ip(ip),
        user_agent=raw.user_agent.replace("\0", "") if is_somebody else "",
        hit_class=hit.verdict.hit_class.value,
        reason=hit.verdict.reasons,
        rules=RULES_VERSION,
    )


def _row(hit: StoredHit, sent_at: datetime | None, at: object) -> tuple[Any, ...]:
    agent = read_agent(hit.user_agent) if hit.user_agent else Agent()
    after = (hit.at - sent_at).total_seconds() if sent_at else None
    return (
        hit.id, hit.message_id, hit.kind, hit.link, hit.method, at, hit.flags, hit.ip,
        hit.user_agent, hit.hit_class, hit.reason, hit.rules, after, agent.program, agent.device,
        find_network(hit.ip),
    )  # fmt: skip


# ------------------------------------------------------------------ verdicts revised


def _revise(session: Session, known: Known, judged: Judged, stored: Sequence[StoredHit]) -> None:
    """Write verdicts that later hits changed, and void what waits because of clicks that are a machine's now."""
    write_verdicts(session, judged.revised)
    humans = {(hit.message_id, hit.link, hit.kind) for hit in stored if hit.hit_class == HitClass.HUMAN}
    for mails in judged.before.values():
        humans |= {
            (hit.message_id, hit.link, hit.kind) for hit, verdict in mails if verdict.hit_class is HitClass.HUMAN
        }
    void_clicks(session, known, [hit for hit, verdict in judged.revised if became_machine(hit, verdict)], humans)


def became_machine(hit: StoredHit, verdict: HitVerdict) -> bool:
    """Whether a click that was taken for something else is a machine's now."""
    return hit.is_click and hit.hit_class != verdict.hit_class and verdict.hit_class is HitClass.MACHINE


def write_verdicts(session: Session, changes: Sequence[tuple[StoredHit, HitVerdict]]) -> int:
    """Write other verdicts of hits, with their events and engagement; return how many changed their class."""
    together: dict[HitVerdict, list[StoredHit]] = defaultdict(list)
    for hit, verdict in changes:
        together[verdict].append(hit)
    changed = 0
    for verdict, hits in together.items():
        session.execute(
            update(HitRow)
            .where(is_among(session, HitRow.id, [hit.id for hit in hits]))
            .values(hit_class=verdict.hit_class.value, reason=verdict.reasons)
            .execution_options(synchronize_session=False)
        )
        others = [hit.dedupe_key for hit in hits if hit.hit_class != verdict.hit_class and hit.method != "HEAD"]
        if others:
            revise_hits(session, others, verdict.hit_class, verdict.reason)
            changed += len(others)
    return changed


def void_clicks(
    session: Session, known: Known, gone: Sequence[StoredHit], humans: Collection[tuple[int, int, str]]
) -> None:
    """Void the actions that wait because of clicks which are a machine's, but not those that a person asked for, too.

    `humans`: message, link and kind of the clicks that are still a person's.
    """
    for hit in gone:
        link = known.link_of(hit.message_id, hit.link)
        if link is not None and acts(link, hit):
            is_wanted = (hit.message_id, hit.link, hit.kind) in humans
            void_actions(session, hit.message_id, link.id, hit_id=hit.id, once=not is_wanted)


def acts(link: LinkRow, hit: StoredHit) -> bool:
    """Whether a click sets off the actions of its link: one that asks first acts on its button only."""
    return (link.response == "confirm") == (hit.kind == "confirm")


# ------------------------------------------------------------------ what follows


def _fact(hit: StoredHit, known: Known) -> HitFact:
    """Return what delivery is told; HEAD changes nothing beyond the log of hits."""
    facts, is_click = known.messages[hit.message_id], hit.kind != "open"
    link = known.link_of(hit.message_id, hit.link) if is_click else None
    return HitFact(
        hit.dedupe_key,
        hit.message_id,
        facts.sending_id,
        facts.contact_id,
        facts.address_id,
        facts.state,
        is_click,
        hit.at,
        hit.hit_class,
        link.id if link else None,
        hit.reason.partition(" ")[0] or ("confirmed" if hit.kind == "confirm" else ""),
        _detail(hit.user_agent, hit.method),
    )


@lru_cache(4_096)
def _detail(user_agent: str, method: str) -> str:
    return json.dumps({"user_agent": user_agent[:200], "method": method} if user_agent else {"method": method})


def _schedule(session: Session, known: Known, hits: Sequence[StoredHit]) -> None:
    """Put the actions of people's clicks into quarantine."""
    clicked = [hit for hit in hits if hit.hit_class == HitClass.HUMAN and hit.is_click]
    if not clicked:
        return
    acting = queries.links_with_actions(session, (link.id for link in known.links.values()))
    clicks = []
    for hit in clicked:
        link, facts = known.link_of(hit.message_id, hit.link), known.messages[hit.message_id]
        if link is None or link.id not in acting or facts.contact_id is None:
            continue
        if acts(link, hit):
            clicks.append(Click(link.id, facts.contact_id, hit.message_id, hit.id, hit.at))
    schedule_actions(session, clicks)
