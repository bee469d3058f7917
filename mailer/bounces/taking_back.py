"""A lesson that says "not dead after all" lifts what only the words that it is about have suppressed (decision 0030).

The event stays: that the server said so is a fact. What rests on anything else, a refusal at SMTP time, other words, a
later mail to the address, stays suppressed.
"""

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, aliased

from mailer.consent.release import lift_ids
from mailer.database import any_row
from mailer.schema.bounces import BounceReport
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address
from mailer.schema.delivery import Event, Message
from mailer.statuses import EventKind, SuppressionReason, Verdict

_CHUNK = 500


def lift_what_words_did(session: Session, wording: bytes, *, by: int | None) -> int:
    """Lift suppressions that rest on reports of one wording alone, before these are read again; return how many."""
    ids = session.scalars(_select_only_by(wording)).all()
    return sum(lift_ids(session, ids[begin : begin + _CHUNK], by=by) for begin in range(0, len(ids), _CHUNK))


def _select_only_by(wording: bytes) -> Select[int]:
    dead_by_words = select(BounceReport.message_id).where(_said_dead(), BounceReport.wording == wording)
    return (
        select(Suppression.id)
        .where(
            Suppression.reason == SuppressionReason.HARD_BOUNCE.value,
            Suppression.lifted_at.is_(None),
            Suppression.message_id.in_(dead_by_words),
            ~_has_other_report(wording),
            ~_has_other_event(dead_by_words),
        )
        .order_by(Suppression.id)
    )


def _said_dead() -> ColumnElement[bool]:
    return (BounceReport.verdict == Verdict.HARD.value) & BounceReport.message_id.is_not(None)


def _has_other_report(wording: bytes) -> ColumnElement[bool]:
    """Whether a report in other words calls the address of the same message dead."""
    other = BounceReport.wording.is_distinct_from(wording)
    return any_row(BounceReport, _said_dead(), other, BounceReport.message_id == Suppression.message_id)


def _has_other_event(dead_by_words: Select[int | None]) -> ColumnElement[bool]:
    """Whether the address bounced hard otherwise, since then: at SMTP time, or with a mail that the words are not of.

    What it did before was lifted, or there would be no newer suppression.
    """
    first = aliased(Event)
    began = (
        select(func.min(first.id))
        .where(first.message_id == Suppression.message_id, first.kind == EventKind.HARD_BOUNCE.value)
        .correlate_except(first)
        .scalar_subquery()
    )
    is_other = Event.message_id.not_in(dead_by_words) | ~Event.dedupe_key.startswith("report:")
    return (
        select(Event.id)
        .join(Message, Message.id == Event.message_id)
        .join(Address, Address.id == Message.address_id)
        .where(
            Address.email_hash == Suppression.address_hash,
            Event.kind == EventKind.HARD_BOUNCE.value,
            Event.id >= began,
            is_other,
        )
        .correlate_except(Event, Message, Address)
        .exists()
    )
