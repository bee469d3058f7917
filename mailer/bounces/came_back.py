"""What came back, per campaign and overall: address, code, reason, and the report behind it (FEATURES B5).

Read from delivery's events, so refusals at SMTP time and reports that came later stand in one list. Keyset by event, on
an index of these events alone.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.consent.lifting import list_lifted_by
from mailer.consent.release import lift_ids
from mailer.context import Context
from mailer.database import any_row
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import TROUBLE, Event, Message
from mailer.segments.members import add_members
from mailer.statuses import EventKind, LiftAct

KINDS = (EventKind.HARD_BOUNCE, EventKind.SOFT_BOUNCE, EventKind.COMPLAINT, EventKind.DELAYED)
COLUMNS = ("at", "address", "kind", "reason", "code", "said", "campaign", "suppressed")
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which of them; empty: all. `email` is a whole address, as addresses are kept."""

    campaign: uuid.UUID | None = None
    kind: EventKind | None = None
    reason: str = ""
    provider: str = ""
    email: str = ""


@dataclass(frozen=True)
class Line:
    """One that came back. `email` is None where the person was erased; `report_id` where a report told of it."""

    event_id: int
    at: datetime
    kind: str
    reason: str
    code: str
    said: str
    email: str | None
    contact_id: int | None
    contact: uuid.UUID | None
    campaign: str | None
    report_id: int | None
    is_suppressed: bool


def list_lines(session: Session, choice: Choice, *, before: int | None = None, limit: int = 50) -> list[Line]:
    """Return what came back, newest first, with an event id below `before`."""
    suppressed = any_row(
        Suppression,
        Suppression.address_hash == Address.email_hash,
        Suppression.topic_id.is_(None),
        Suppression.lifted_at.is_(None),
    )
    query = (
        _chosen(session, choice)
        .add_columns(Address.email, Contact.public_id, Campaign.name, suppressed)
        .outerjoin(Contact, Contact.id == Event.contact_id)
        .outerjoin(Campaign, Campaign.sending_id == Event.sending_id)
        .order_by(Event.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Event.id < before)
    return [_line(*row) for row in session.execute(query)]


def _chosen(session: Session, choice: Choice) -> Select[Any]:
    query = (
        select(Event)
        .join(Message, Message.id == Event.message_id)
        .outerjoin(Address, Address.id == Message.address_id)
        .where(text(f"event.{TROUBLE}"))
    )
    if choice.campaign is not None:
        query = query.where(Event.sending_id == _sending_of(session, choice.campaign))
    if choice.kind is not None:
        query = query.where(Event.kind == choice.kind.value)
    if choice.reason:
        query = query.where(Event.reason == choice.reason)
    if choice.provider:
        query = query.where(Address.provider == choice.provider)
    if choice.email:
        query = query.where(Address.email == choice.email.strip().lower())
    return query


def _sending_of(session: Session, campaign: uuid.UUID) -> int:
    return session.scalar(select(Campaign.sending_id).where(Campaign.public_id == campaign)) or 0


def _line(
    event: Event, email: str | None, contact: uuid.UUID | None, campaign: str | None, is_suppressed: object
) -> Line:
    detail = event.detail
    report_id = detail.get("report_id")
    return Line(
        event.id, event.at, event.kind, event.reason, event.code, str(detail.get("reply", "")), email, event.contact_id,
        contact, campaign, report_id if isinstance(report_id, int) else None, bool(is_suppressed),
    )  # fmt: skip


def iter_rows(ctx: Context, choice: Choice) -> Iterator[tuple[str, ...]]:
    """Yield everything that `choice` means in the order of COLUMNS, as text, in pages."""
    before: int | None = None
    while True:
        with ctx.read() as session:
            lines = list_lines(session, choice, before=before, limit=_PAGE)
        for line in lines:
            yield (
                line.at.isoformat(), line.email or "", line.kind, line.reason, line.code, line.said,
                line.campaign or "", "yes" if line.is_suppressed else "no",
            )  # fmt: skip
        if len(lines) < _PAGE:
            return
        before = lines[-1].event_id


def find_campaign_name(session: Session, campaign: uuid.UUID | None) -> str:
    """Return the name of a campaign, empty where there is none."""
    return session.scalar(select(Campaign.name).where(Campaign.public_id == campaign)) or "" if campaign else ""


def clear_flags(ctx: Context, event_ids: Sequence[int], *, by: int | None) -> int:
    """Let the addresses behind events be mailed again, as far as staff may lift that; return how many suppressions."""
    liftable = [reason.value for reason in list_lifted_by(LiftAct.STAFF)]
    with ctx.write() as session:
        hashes = (
            select(Address.email_hash)
            .join(Message, Message.address_id == Address.id)
            .join(Event, Event.message_id == Message.id)
            .where(Event.id.in_(event_ids))
        )
        ids = session.scalars(
            select(Suppression.id).where(
                Suppression.address_hash.in_(hashes),
                Suppression.reason.in_(liftable),
                Suppression.lifted_at.is_(None),
            )
        ).all()
        lifted = lift_ids(session, ids, by=by) if ids else 0
        record_audit(session, "bounces.clear_flags", by=by, detail={"lifted": lifted})
    return lifted


def add_to_segment(ctx: Context, event_ids: Sequence[int], segment_id: int, *, by: int | None) -> int:
    """Put the contacts behind events into a static segment; return how many are new.

    Raises:
        ConflictError: the segment is none that is written by hand.
    """
    with ctx.write() as session:
        contacts = session.scalars(
            select(Event.contact_id).where(Event.id.in_(event_ids), Event.contact_id.is_not(None)).distinct()
        ).all()
        return add_members(session, segment_id, [one for one in contacts if one is not None], cause="bounces", by=by)
