"""Opens and clicks in thousands become events, engagement and signs of life, set-based: what ingest brings in pages.

Each is new, because its hit is: nothing is looked for, unlike with other facts (`service.apply_events`).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from mailer.consent import service as consent
from mailer.database import insert_rows, stored_instant
from mailer.delivery import soft_bounces
from mailer.delivery.service import resolve_unknown
from mailer.schema.delivery import Message
from mailer.segments.chosen import is_among
from mailer.statuses import EventKind, HitClass, MessageState

_COLUMNS = (
    "message_id", "sending_id", "contact_id", "kind", "class", "at", "tracked_link_id", "reason", "code", "dedupe_key",
    "detail",
)  # fmt: skip
_ENGAGEMENT_COLUMNS = ("last_open_at", "last_human_open_at", "last_click_at")


class HitFact(NamedTuple):
    """An open or click, and what is known of its message; `detail` is left out where the person was erased."""

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
    detail: dict[str, str]


def record_hits(session: Session, hits: Sequence[HitFact]) -> None:
    """Write the events of new hits, the engagement of their readers, and what they prove about their messages."""
    if not hits:
        return
    people = [hit for hit in hits if hit.hit_class == HitClass.HUMAN.value]
    well = soft_bounces.list_suppressed(session, {hit.address_id for hit in people})
    if well:
        consent.lock_addresses(session, well)
    insert_rows(session, "event", _COLUMNS, [_row(session, hit) for hit in hits])
    _note_engagement(session, hits)
    _resolve(session, people)
    for address_id in well:
        soft_bounces.judge_address(session, address_id)


def _row(session: Session, hit: HitFact) -> tuple[Any, ...]:
    kind = EventKind.CLICK.value if hit.is_click else EventKind.OPEN.value
    return (
        hit.message_id, hit.sending_id, hit.contact_id, kind, hit.hit_class, stored_instant(session, hit.at),
        hit.link_id, hit.reason, "", hit.dedupe_key, json.dumps(hit.detail),
    )  # fmt: skip


def _resolve(session: Session, people: Sequence[HitFact]) -> None:
    """A person's hit proves that an unknown message was accepted."""
    doubtful = {hit.message_id: hit.at for hit in people if hit.state != MessageState.ACCEPTED.value}
    if doubtful:
        for message in session.scalars(select(Message).where(is_among(session, Message.id, sorted(doubtful)))):
            resolve_unknown(message, doubtful[message.id])


def _note_engagement(session: Session, hits: Sequence[HitFact]) -> None:
    """Keep the last open of a person or privacy proxy, and of a person alone, and the last click of a person."""
    rows: dict[int, list[datetime | None]] = {}
    for hit in hits:
        if hit.contact_id is None or hit.hit_class == HitClass.MACHINE.value:
            continue
        is_human = hit.hit_class == HitClass.HUMAN.value
        if hit.is_click and not is_human:
            continue
        row = rows.setdefault(hit.contact_id, [None, None, None])
        for place in (2,) if hit.is_click else (0, 1) if is_human else (0,):
            before = row[place]
            row[place] = hit.at if before is None or hit.at > before else before
    if rows:
        _write_engagement(session, sorted(rows.items()))


def _write_engagement(session: Session, rows: Sequence[tuple[int, list[datetime | None]]]) -> None:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    listed = ", ".join(_ENGAGEMENT_COLUMNS)
    written = ", ".join(f"{name} = {_later(name, is_sqlite=is_sqlite)}" for name in _ENGAGEMENT_COLUMNS)
    update = f"ON CONFLICT (contact_id) DO UPDATE SET {written}"
    if is_sqlite:
        statement = f"INSERT INTO engagement (contact_id, {listed}) VALUES (:id, :a, :b, :c) {update}"  # noqa: S608 - names are ours
        stored = [[None if at is None else stored_instant(session, at) for at in times] for _, times in rows]
        values = [{"id": number, "a": a, "b": b, "c": c} for (number, _), (a, b, c) in zip(rows, stored, strict=True)]
        session.connection().execute(text(statement), values)
        return
    arrays = "CAST(:ids AS bigint[]), CAST(:a AS timestamptz[]), CAST(:b AS timestamptz[]), CAST(:c AS timestamptz[])"
    statement = f"INSERT INTO engagement (contact_id, {listed}) SELECT * FROM unnest({arrays}) {update}"  # noqa: S608 - names are ours
    columns = [[times[place] for _, times in rows] for place in range(3)]
    session.execute(text(statement), {"ids": [number for number, _ in rows], **dict(zip("abc", columns, strict=True))})


def _later(name: str, *, is_sqlite: bool) -> str:
    """Return SQL for the later of what is there and what comes; nothing is earlier than everything."""
    if not is_sqlite:
        return f"greatest(engagement.{name}, excluded.{name})"
    there, new = f"coalesce(engagement.{name}, excluded.{name})", f"coalesce(excluded.{name}, engagement.{name})"
    return f"max({there}, {new})"
