"""Hits of a page judged beside those that are there already, and verdicts that change, with all that follows from them.

What `judge_page` reads and computes needs no lock; ingest (`service`) and the computing anew (`recompute`) write.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer import tokens
from mailer.actions.service import void_actions
from mailer.delivery.service import revise_hits
from mailer.schema.tracking import Hit as HitRow
from mailer.segments.chosen import is_among
from mailer.statuses import HitClass
from mailer.tracking import queries
from mailer.tracking.evidence import find_network
from mailer.tracking.machines import HEAD_SPAN, Hit, HitVerdict, judge_hit, judge_mail
from mailer.tracking.queries import LinkRow, MessageFacts, StoredHit
from mailer.tracking.records import HEAD, METHOD_NAMES, POST, PREFETCH, RawHit

ClickOn = tuple[int, int, str]
"""Message, link and kind of a click."""


@dataclass(frozen=True)
class Known:
    """What the database knows about the messages of a page of hits."""

    messages: Mapping[int, MessageFacts]
    links: Mapping[tuple[int, int], LinkRow]

    def link_of(self, message_id: int, link: int) -> LinkRow | None:
        """Return the link that a click was on."""
        facts = self.messages.get(message_id)
        return self.links.get((facts.version_id, link)) if facts else None


class NewHit(NamedTuple):
    """A hit of a page with its verdict; `at` in UTC."""

    raw: RawHit
    facts: MessageFacts
    at: datetime
    verdict: HitVerdict

    @property
    def kind(self) -> str:
        """As the table has it: open, click, or confirm for the button of a page that asks."""
        if self.raw.kind == tokens.OPEN:
            return "open"
        return "confirm" if self.raw.method == POST else "click"

    @property
    def click(self) -> ClickOn:
        """What was asked for."""
        return self.raw.message_id, self.raw.link, self.kind


@dataclass(frozen=True)
class Judged:
    """The verdicts of a page of hits, and of hits that came before and are seen otherwise now.

    `humans` are the clicks of these mails that are a person's, old and new.
    """

    known: Known
    new: Sequence[NewHit]
    revised: Sequence[tuple[StoredHit, HitVerdict]]
    humans: Collection[ClickOn]


def load_known(session: Session, message_ids: Collection[int]) -> Known:
    """Return what the database knows about messages and their links."""
    messages = queries.facts_of_messages(session, message_ids)
    links = queries.links_of_versions(session, {facts.version_id for facts in messages.values()})
    return Known(messages, links)


def judge_page(session: Session, hits: Sequence[RawHit]) -> Judged:
    """Judge each hit beside all others of its mail; hits of messages that do not exist are left out."""
    known = load_known(session, {hit.message_id for hit in hits})
    by_mail: dict[int, list[RawHit]] = defaultdict(list)
    for hit in hits:
        if hit.message_id in known.messages:
            by_mail[hit.message_id].append(hit)
    there = _list_there(session, by_mail)
    new: list[NewHit] = []
    revised: list[tuple[StoredHit, HitVerdict]] = []
    humans: set[ClickOn] = set()
    for message_id, mine in by_mail.items():
        facts, old = known.messages[message_id], there.get(message_id, ())
        evidence = [_raw_evidence(hit, facts) for hit in mine]
        if len(evidence) == 1 and not old:
            new.append(NewHit(mine[0], facts, evidence[0].at, judge_hit(evidence[0])))
            continue
        verdicts = judge_mail(evidence + [stored_evidence(hit, facts) for hit in old])
        new += map(NewHit, mine, [facts] * len(mine), [one.at for one in evidence], verdicts)
        before = list(zip(old, verdicts[len(mine) :], strict=True))
        revised += [pair for pair in before if is_changed(*pair)]
        humans |= {hit.click for hit, verdict in before if verdict.hit_class is HitClass.HUMAN}
    new.sort(key=attrgetter("at"))
    humans |= {hit.click for hit in new if hit.verdict.hit_class is HitClass.HUMAN}
    return Judged(known, new, revised, humans)


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
        datetime.fromtimestamp(hit.at, UTC),
        hit.kind == tokens.OPEN,
        METHOD_NAMES.get(hit.method, "GET"),
        hit.link,
        hit.user_agent,
        facts.sent_at,
        bool(hit.flags & PREFETCH),
        find_network(hit.ip),
    )


def stored_evidence(hit: StoredHit, facts: MessageFacts) -> Hit:
    """Return a stored hit as the rules look at it; where its evidence was erased, its verdict stands."""
    return Hit(
        hit.at,
        hit.kind == "open",
        hit.method,
        hit.link,
        hit.user_agent,
        facts.sent_at,
        bool(hit.flags & PREFETCH),
        find_network(hit.ip),
        HitVerdict(HitClass(hit.hit_class), hit.reason) if facts.contact_id is None else None,
    )


# ------------------------------------------------------------------ verdicts that change


def is_changed(hit: StoredHit, verdict: HitVerdict) -> bool:
    """Whether a verdict is another than the one stored."""
    return (hit.hit_class, hit.reason) != (verdict.hit_class.value, verdict.reasons)


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


def void_clicks(session: Session, known: Known, gone: Sequence[StoredHit], humans: Collection[ClickOn]) -> None:
    """Void the actions that wait because of clicks which are a machine's, but not those that a person asked for, too.

    `humans`: the clicks that are still a person's.
    """
    for hit in gone:
        link = known.link_of(hit.message_id, hit.link)
        if link is not None and acts(link, hit.kind):
            void_actions(session, hit.message_id, link.id, hit_id=hit.id, once=hit.click not in humans)


def acts(link: LinkRow, kind: str) -> bool:
    """Whether a click sets off the actions of its link: one that asks first acts on its button only."""
    return (link.response == "confirm") == (kind == "confirm")
