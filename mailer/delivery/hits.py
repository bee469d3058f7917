"""Opens and clicks in thousands become events, engagement and signs of life, set-based: what ingest brings in pages.

Each is new, because its hit is: nothing is looked for, unlike with other facts (`service.apply_events`).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from mailer.consent import service as consent
from mailer.database import allocate_ids, insert_rows, stored_instant
from mailer.delivery import soft_bounces
from mailer.delivery.service import resolve_unknown
from mailer.schema.delivery import Message
from mailer.segments.chosen import is_among
from mailer.statuses import EventKind, HitClass, MessageState

_COLUMNS = (
    "id", "message_id", "sending_id", "contact_id", "kind", "class", "at", "tracked_link_id", "reason", "code",
    "dedupe_key", "detail",
)  # fmt: skip
_OPEN, _CLICK = EventKind.OPEN.value, EventKind.CLICK.value
_HUMAN, _ACCEPTED = HitClass.HUMAN.value, MessageState.ACCEPTED.value
_ENGAGEMENT_COLUMNS = ("last_open_at", "last_human_open_at", "last_click_at")


class HitFact(NamedTuple):
    """An open or click, and what is known of its message; `detail` is JSON, without the program of a person erased."""

    dedupe_key: str
    message_id: int
    sending_id: int
    contact_id: int | None
    address_id: int | None
    state: str
    is_click: bool
    at: datetime
    hit_class: str
    link_id: int | None
    reason: str
    detail: str


def record_hits(session: Session, hits: Sequence[HitFact]) -> None:
    """Write the events of new hits, the engagement of their readers, and what they prove about their messages."""
    if not hits:
        return
    people = [hit for hit in hits if hit.hit_class == _HUMAN]
    well = soft_bounces.list_suppressed(session, {hit.address_id for hit in people})
    if well:
        consent.lock_addresses(session, well)
    ids = allocate_ids(session, "event", len(hits))
    insert_rows(session, "event", _COLUMNS, _rows(session, hits, ids))
    _note_engagement(session, ids)
    _resolve(session, people)
    for address_id in well:
        soft_bounces.judge_address(session, address_id)


def _rows(session: Session, hits: Sequence[HitFact], ids: Iterable[int]) -> list[tuple[Any, ...]]:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return [
        (
            event_id, hit.message_id, hit.sending_id, hit.contact_id, _CLICK if hit.is_click else _OPEN, hit.hit_class,
            stored_instant(session, hit.at) if is_sqlite else hit.at, hit.link_id, hit.reason, "", hit.dedupe_key,
            hit.detail,
        )
        for event_id, hit in zip(ids, hits, strict=True)
    ]  # fmt: skip


def _resolve(session: Session, people: Sequence[HitFact]) -> None:
    """A person's hit proves that an unknown message was accepted."""
    doubtful = {hit.message_id: hit.at for hit in people if hit.state != _ACCEPTED}
    if doubtful:
        for message in session.scalars(select(Message).where(is_among(session, Message.id, sorted(doubtful)))):
            resolve_unknown(message, doubtful[message.id])


def _note_engagement(session: Session, event_ids: Sequence[int]) -> None:
    """Keep the last open of a person or privacy proxy, and of a person alone, and the last click of a person."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    among = "id IN (SELECT value FROM json_each(:ids))" if is_sqlite else "id = ANY(CAST(:ids AS bigint[]))"
    written = ", ".join(f"{name} = {_later(name, is_sqlite=is_sqlite)}" for name in _ENGAGEMENT_COLUMNS)
    statement = f"""
      INSERT INTO engagement (contact_id, {", ".join(_ENGAGEMENT_COLUMNS)})
      SELECT contact_id, max(CASE WHEN kind = 'open' THEN at END),
        max(CASE WHEN kind = 'open' AND class = 'human' THEN at END), max(CASE WHEN kind = 'click' THEN at END)
      FROM event WHERE {among} AND contact_id IS NOT NULL AND (class = 'human' OR (class = 'proxy' AND kind = 'open'))
      GROUP BY contact_id ORDER BY contact_id
      ON CONFLICT (contact_id) DO UPDATE SET {written}
    """  # noqa: S608 - names and words are ours
    ids = list(event_ids)
    session.execute(text(statement), {"ids": json.dumps(ids) if is_sqlite else ids})


def _later(name: str, *, is_sqlite: bool) -> str:
    """Return SQL for the later of what is there and what comes; nothing is earlier than everything."""
    if not is_sqlite:
        return f"greatest(engagement.{name}, excluded.{name})"
    there, new = f"coalesce(engagement.{name}, excluded.{name})", f"coalesce(excluded.{name}, engagement.{name})"
    return f"max({there}, {new})"
