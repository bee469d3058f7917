"""Opens and clicks in thousands become events, engagement and signs of life, set-based: what ingest brings in pages.

Each is new, because its hit is: nothing is looked for, unlike with other facts (`service.apply_events`). They are read
from the rows of `hit` that ingest has just written, so that nothing travels twice.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session

from mailer.consent import service as consent
from mailer.delivery import soft_bounces
from mailer.delivery.service import resolve_unknown
from mailer.schema.delivery import Message
from mailer.segments.chosen import is_among
from mailer.statuses import MessageState

_ACCEPTED = MessageState.ACCEPTED.value
_ENGAGEMENT_COLUMNS = ("last_open_at", "last_human_open_at", "last_click_at")


class Sign(NamedTuple):
    """A person's open or click, for what it proves about its message and address."""

    message_id: int
    address_id: int | None
    state: str
    at: datetime


def record_hits(session: Session, hit_ids: Sequence[int], signs: Sequence[Sign]) -> None:
    """Write the events of new hits, the engagement of their readers, and what `signs` prove; a HEAD is no event.

    `hit_ids` rise.
    """
    well = soft_bounces.list_suppressed(session, {sign.address_id for sign in signs})
    if well:
        consent.lock_addresses(session, well)
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    ids = json.dumps(list(hit_ids)) if is_sqlite else "{" + ",".join(map(str, hit_ids)) + "}"
    for statement in (_EVENTS[is_sqlite], _ENGAGEMENT[is_sqlite]):
        session.execute(statement, {"first": hit_ids[0], "last": hit_ids[-1], "ids": ids})
    _resolve(session, signs)
    for address_id in well:
        soft_bounces.judge_address(session, address_id)


def _resolve(session: Session, signs: Iterable[Sign]) -> None:
    """A person's hit proves that an unknown message was accepted."""
    doubtful = {sign.message_id: sign.at for sign in signs if sign.state != _ACCEPTED}
    if doubtful:
        for message in session.scalars(select(Message).where(is_among(session, Message.id, sorted(doubtful)))):
            resolve_unknown(message, doubtful[message.id])


# ------------------------------------------------------------------ statements


# The range is for the planner, which would read the whole table; another host's ids may lie between ours.
_AMONG = {
    True: "h.id BETWEEN :first AND :last AND h.id IN (SELECT value FROM json_each(:ids))",
    False: "h.id BETWEEN :first AND :last AND h.id = ANY(CAST(:ids AS bigint[]))",
}


def _events(*, is_sqlite: bool) -> TextClause:
    """Return SQL that makes the events of hits; the reason is the weightiest of theirs."""
    reason = "substr(h.reason, 1, instr(h.reason || ' ', ' ') - 1)" if is_sqlite else "split_part(h.reason, ' ', 1)"
    nothing = "'{}'" if is_sqlite else "CAST('{}' AS jsonb)"
    return text(f"""
      INSERT INTO event (message_id, sending_id, contact_id, kind, class, at, tracked_link_id, reason, code, dedupe_key,
        detail)
      SELECT h.message_id, m.sending_id, m.contact_id, CASE WHEN h.kind = 'open' THEN 'open' ELSE 'click' END, h.class,
        h.at, l.id, CASE WHEN h.reason = '' AND h.kind = 'confirm' THEN 'confirmed' ELSE {reason} END, '',
        'hit:' || h.id, {nothing}
      FROM hit h JOIN message m ON m.id = h.message_id JOIN sending s ON s.id = m.sending_id
        LEFT JOIN tracked_link l ON l.content_version_id = s.content_version_id AND l.ordinal = h.link
          AND h.kind <> 'open'
      WHERE {_AMONG[is_sqlite]} AND h.method <> 'HEAD' ORDER BY m.contact_id, h.id
    """)  # noqa: S608 - names and words are ours


def _engagement(*, is_sqlite: bool) -> TextClause:
    """Return SQL that keeps the last open of a person or privacy proxy, and of a person alone, and a person's click."""
    written = ", ".join(f"{name} = {_later(name, is_sqlite=is_sqlite)}" for name in _ENGAGEMENT_COLUMNS)
    return text(f"""
      INSERT INTO engagement (contact_id, {", ".join(_ENGAGEMENT_COLUMNS)})
      SELECT m.contact_id, max(CASE WHEN h.kind = 'open' THEN h.at END),
        max(CASE WHEN h.kind = 'open' AND h.class = 'human' THEN h.at END),
        max(CASE WHEN h.kind <> 'open' THEN h.at END)
      FROM hit h JOIN message m ON m.id = h.message_id
      WHERE {_AMONG[is_sqlite]} AND h.method <> 'HEAD' AND m.contact_id IS NOT NULL
        AND (h.class = 'human' OR (h.class = 'proxy' AND h.kind = 'open'))
      GROUP BY m.contact_id ORDER BY m.contact_id
      ON CONFLICT (contact_id) DO UPDATE SET {written}
    """)  # noqa: S608 - names and words are ours


def _later(name: str, *, is_sqlite: bool) -> str:
    """Return SQL for the later of what is there and what comes; nothing is earlier than everything."""
    if not is_sqlite:
        return f"greatest(engagement.{name}, excluded.{name})"
    there, new = f"coalesce(engagement.{name}, excluded.{name})", f"coalesce(excluded.{name}, engagement.{name})"
    return f"max({there}, {new})"


_EVENTS = {is_sqlite: _events(is_sqlite=is_sqlite) for is_sqlite in (True, False)}
_ENGAGEMENT = {is_sqlite: _engagement(is_sqlite=is_sqlite) for is_sqlite in (True, False)}
