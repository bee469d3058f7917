"""What the endpoint polls and what ingest needs to know about messages."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.schema.contacts import Address
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.tracking import Hit, SpoolPosition, VerdictRun
from mailer.segments.chosen import is_among
from mailer.statuses import SendingState
from mailer.tracking.lanes import lane_of

_MOST_HITS = 20_000
_MOST_OF_MAIL = 20_000
_VERDICT_LOCK = 0x6D61_696C_0001
_LANE_LOCK = 0x6D61_696C_0100
"""Our numbers among PostgreSQL's advisory locks."""


@dataclass(frozen=True, slots=True)
class Run:
    """Message ids `first` to `last`, all there and all of one content version."""

    first: int
    last: int
    version_id: int


class LinkRow(NamedTuple):
    """A tracked link as the endpoint needs it."""

    id: int
    version_id: int
    ordinal: int
    url: str
    label: str
    response: str
    text: str


class MessageFacts(NamedTuple):
    """What ingest needs to know of a message."""

    id: int
    contact_id: int | None
    version_id: int
    sent_at: datetime | None
    address_id: int | None
    state: str


class StoredHit(NamedTuple):
    """A row of `hit`."""

    id: int
    message_id: int
    kind: str
    link: int
    method: str
    at: datetime
    flags: int
    ip: str
    user_agent: str
    hit_class: str
    reason: str
    rules: int

    @property
    def is_click(self) -> bool:
        """A link was asked for, other than by HEAD."""
        return self.kind != "open" and self.method != "HEAD"

    @property
    def click(self) -> tuple[int, int, str]:
        """What was asked for: message, link and kind."""
        return self.message_id, self.link, self.kind

    @property
    def dedupe_key(self) -> str:
        """What names the event of this hit."""
        return f"hit:{self.id}"


def list_runs(session: Session, *, above: int, up_to: int) -> list[Run]:
    """Return runs of consecutive message ids above `above` up to `up_to`: a page of ids becomes a handful of rows."""
    return _runs(session, Message.id > above, Message.id <= up_to)


def list_runs_of_sending(session: Session, sending_id: int) -> list[Run]:
    """Return the runs of one sending."""
    return _runs(session, Message.sending_id == sending_id)


def _runs(session: Session, *conditions: object) -> list[Run]:
    place = func.row_number().over(partition_by=Message.sending_id, order_by=Message.id)
    inner = (
        select(Message.id.label("id"), Message.sending_id.label("sending_id"), (Message.id - place).label("island"))
        .where(*conditions)  # type: ignore[arg-type]
        .subquery()
    )
    query = (
        select(func.min(inner.c.id), func.max(inner.c.id), Sending.content_version_id)
        .join(Sending, Sending.id == inner.c.sending_id)
        .group_by(inner.c.sending_id, inner.c.island, Sending.content_version_id)
    )
    return [Run(first, last, version_id) for first, last, version_id in session.execute(query)]


def list_runs_of_messages(session: Session, message_ids: Iterable[int]) -> list[Run]:
    """Return runs of one for single messages: those that a request asked for in vain."""
    query = select(Message.id, Sending.content_version_id).join(Sending, Sending.id == Message.sending_id)
    rows = session.execute(query.where(Message.id.in_(sorted(message_ids))))
    return [Run(message_id, message_id, version_id) for message_id, version_id in rows]


def last_message_id(session: Session) -> int:
    """Return the highest message id, 0 where there is none."""
    return session.scalar(select(func.max(Message.id))) or 0


def list_prepared_sendings(session: Session, *, above: int) -> Sequence[int]:
    """Return ids above `above` of sendings whose messages are all there; ids still being prepared end the list."""
    preparing = select(func.min(Sending.id)).where(Sending.state == SendingState.PREPARING.value, Sending.id > above)
    end = session.scalar(preparing)
    query = select(Sending.id).where(Sending.id > above).order_by(Sending.id)
    return session.scalars(query if end is None else query.where(Sending.id < end)).all()


_LINK = (
    TrackedLink.id, TrackedLink.content_version_id, TrackedLink.ordinal, TrackedLink.url, TrackedLink.label,
    TrackedLink.response, TrackedLink.page_text,
)  # fmt: skip
"""The columns of a LinkRow."""


def list_links(session: Session, *, above: int) -> list[LinkRow]:
    """Return tracked links with an id above `above`, by id."""
    rows = session.execute(select(*_LINK).where(TrackedLink.id > above).order_by(TrackedLink.id).limit(20_000))
    return [LinkRow(*row) for row in rows]


def find_recipient(session: Session, message_id: int) -> str | None:
    """Return the address that a message went to, None where it is not known any more."""
    query = (
        select(func.coalesce(Message.to_address, Address.email))
        .outerjoin(Address, Address.id == Message.address_id)
        .where(Message.id == message_id)
    )
    return session.scalar(query)


def facts_of_messages(session: Session, message_ids: Iterable[int]) -> dict[int, MessageFacts]:
    """Return what is known of messages, by id; those that do not exist are left out."""
    sent_at = func.coalesce(Message.accepted_at, Message.gate_at)
    columns = (Message.id, Message.contact_id, Sending.content_version_id, sent_at, Message.address_id, Message.state)
    query = select(*columns).join(Sending, Sending.id == Message.sending_id)
    rows = session.execute(query.where(is_among(session, Message.id, sorted(set(message_ids)))))
    return {row[0]: MessageFacts(*row) for row in rows}


def links_of_versions(session: Session, version_ids: Iterable[int]) -> dict[tuple[int, int], LinkRow]:
    """Return the links of content versions by (version, ordinal)."""
    rows = session.execute(select(*_LINK).where(TrackedLink.content_version_id.in_(sorted(set(version_ids)))))
    links = [LinkRow(*row) for row in rows]
    return {(link.version_id, link.ordinal): link for link in links}


def links_with_actions(session: Session, link_ids: Iterable[int]) -> set[int]:
    """Return those of `link_ids` that do something."""
    ids = sorted(set(link_ids))
    if not ids:
        return set()
    query = select(LinkAction.tracked_link_id).where(is_among(session, LinkAction.tracked_link_id, ids)).distinct()
    return set(session.scalars(query))


def list_hits(session: Session, message_ids: Collection[int]) -> list[StoredHit]:
    """Return the hits of mails, newest first, at most 20,000 of a mail: more is a flood of repeats."""
    return _list_hits(session, message_ids)


def list_pixel_heads(session: Session, message_ids: Collection[int], since: datetime) -> list[StoredHit]:
    """Return HEADs for the pixels of mails since a time."""
    return _list_hits(session, message_ids, Hit.at >= since, Hit.kind == "open", Hit.method == "HEAD")


def _list_hits(session: Session, message_ids: Collection[int], *conditions: ColumnElement[bool]) -> list[StoredHit]:
    """Return hits of mails, all at once; one by one where there are so many that a flood on one would hide others."""
    ids = sorted(message_ids)
    found = _read_hits(session, is_among(session, Hit.message_id, ids), *conditions, limit=_MOST_HITS)
    if len(found) < _MOST_HITS:
        return found
    return [
        hit for each in ids for hit in _read_hits(session, Hit.message_id == each, *conditions, limit=_MOST_OF_MAIL)
    ]


def _read_hits(session: Session, *conditions: ColumnElement[bool], limit: int) -> list[StoredHit]:
    columns = (
        Hit.id, Hit.message_id, Hit.kind, Hit.link, Hit.method, Hit.at, Hit.flags, Hit.ip, Hit.user_agent,
        Hit.hit_class, Hit.reason, Hit.rules,
    )  # fmt: skip
    newest = (Hit.message_id.desc(), Hit.at.desc())  # as the index has them: by id, the whole table would be walked
    rows = session.execute(select(*columns).where(*conditions).order_by(*newest).limit(limit))
    return [StoredHit._make(row) for row in rows]


@dataclass(frozen=True, slots=True)
class HitEvidence:
    """What an open or click is judged by, as pages show it; after retention has taken the hit, its reason alone."""

    reasons: tuple[str, ...] = ()
    program: str = ""
    device: str = ""
    network: str = ""
    seconds_after: float | None = None
    rules: int = 0
    method: str = ""


_HIT_KEY = "hit:"


def load_evidence(session: Session, events: Sequence[Event]) -> dict[int, HitEvidence]:
    """Return the evidence of events by event id; something for each of them."""
    numbers = {
        int(event.dedupe_key.removeprefix(_HIT_KEY)): event
        for event in events
        if event.dedupe_key.startswith(_HIT_KEY) and event.dedupe_key.removeprefix(_HIT_KEY).isdecimal()
    }
    found = {event.id: HitEvidence(reasons=(event.reason,) if event.reason else ()) for event in events}
    if numbers:
        for hit in session.scalars(select(Hit).where(is_among(session, Hit.id, sorted(numbers)))):
            reasons = tuple(hit.reason.split()) or found[numbers[hit.id].id].reasons
            found[numbers[hit.id].id] = HitEvidence(
                reasons, hit.program, hit.device, hit.network, hit.seconds_after, hit.rules, hit.method
            )
    return found


def has_hits(session: Session) -> bool:
    """Return whether there is any hit."""
    return session.scalar(select(Hit.id).limit(1)) is not None


def lock_verdicts(session: Session) -> None:
    """Keep everybody from taking hits in, until the end of the transaction: old ones are judged anew, or go.

    SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_VERDICT_LOCK)))


def lock_mails(session: Session, message_ids: Iterable[int]) -> None:
    """Have these mails judged by nobody else until the end of the transaction, whatever the host.

    There is a lock for each lane, so two ingesters of the same half of the mails take turns. Of two transactions that
    judge one mail side by side, neither would see the other's hits.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock_shared(_VERDICT_LOCK)))
        for number in sorted({lane_of(message_id) for message_id in message_ids}):
            session.execute(select(func.pg_advisory_xact_lock(_LANE_LOCK + number)))


class Stamp(NamedTuple):
    """What a judged page rests on: the hits that were there, their verdicts, and that nobody was erased meanwhile."""

    last_hit: int
    last_run: tuple[object, ...]
    messages: int
    people: int


def stamp_of(session: Session, message_ids: Iterable[int]) -> Stamp:
    """Return what a page about these messages rests on now; the same stamp later says that nothing has changed."""
    run = select(VerdictRun.id, VerdictRun.after_message_id, VerdictRun.done_at.is_not(None))
    last_run = session.execute(run.order_by(VerdictRun.id.desc()).limit(1)).one_or_none()
    counts = select(func.count(), func.count(Message.contact_id)).select_from(Message)
    messages, people = session.execute(counts.where(is_among(session, Message.id, sorted(message_ids)))).one()
    last_hit = session.scalar(select(func.max(Hit.id))) or 0
    return Stamp(last_hit, tuple(last_run) if last_run else (), messages, people)


def positions_of_host(session: Session, host: str) -> dict[str, int]:
    """Return the offset reached in each spool file of a host."""
    rows = session.execute(select(SpoolPosition.file, SpoolPosition.offset).where(SpoolPosition.host == host))
    return {file: offset for file, offset in rows}
