"""Leave to send one campaign to named people without permission or subscription (FEATURES C3). A right of its own.

Audited, with a reason; above 50 people a second person has to agree. It names people, so nobody comes in later, and it
never beats a "no": withdrawal, a topic left or not confirmed, suppression, do-not-mail, a pause (conditions.py).
"""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, insert, literal, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.consent.conditions import has_said_no, is_active_override
from mailer.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from mailer.schema.consent import ConsentOverride, ConsentOverridePerson
from mailer.schema.delivery import Sending

ALONE = 50
"""As many people may be named by one member of staff alone."""
MOST = 2_000
"""More are no exception any more; as many rows fit into one short transaction."""
_SUBJECT = "consent_override"


def find_active(session: Session, campaign_id: int, topic_id: int | None) -> int | None:
    """Return the override of a campaign that counts now, made for the topic that it still has."""
    query = select(ConsentOverride.id).where(
        ConsentOverride.campaign_id == campaign_id, ConsentOverride.topic_id == (topic_id or 0), is_active_override()
    )
    return session.scalars(query.order_by(ConsentOverride.id.desc()).limit(1)).one_or_none()


def list_overrides(session: Session, campaign_id: int) -> Sequence[ConsentOverride]:
    """Return the overrides of a campaign, newest first, ended ones too."""
    query = select(ConsentOverride).where(ConsentOverride.campaign_id == campaign_id)
    return session.scalars(query.order_by(ConsentOverride.id.desc())).all()


def get_override(session: Session, public_id: uuid.UUID) -> ConsentOverride:
    """Return an override, its row locked, or raise NotFoundError."""
    query = select(ConsentOverride).where(ConsentOverride.public_id == public_id).with_for_update()
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFoundError("no such override")
    return found


def can_be_named(people: Select[Any, Any], topic_id: int) -> Select[int]:
    """Return the contacts of `people` (contact id, address id) whom an override may name: nobody said no."""
    rows = people.order_by(None).subquery("people")
    contact_id, address_id = rows.c
    return select(contact_id).where(address_id.is_not(None), ~has_said_no(address_id, literal(topic_id)))


def request_override(
    session: Session, campaign_id: int, topic_id: int, people: Select[Any, Any], *, reason: str, by: int
) -> ConsentOverride:
    """Name the people of `people` (contact id, address id) whom nobody forbids; it counts at once for few of them.

    Raises:
        InputError: no reason, nobody to name, or too many.
        ConflictError: the campaign has an override.
    """
    if not reason.strip():
        raise InputError("an override needs a reason", where="reason", mend="say why these people must get it")
    there = [one for one in list_overrides(session, campaign_id) if one.ended_at is None]
    if there:
        raise ConflictError("the campaign has an override already", mend="end it first")
    named = can_be_named(people, topic_id)
    count = session.scalar(select(func.count()).select_from(named.subquery())) or 0
    if count == 0:
        raise InputError("nobody lacks a permission that an override could stand in for", where="reason")
    if count > MOST:
        raise InputError(f"{count} people are no exception; {MOST} are the most", where="reason", mend="ask them")
    now = utc_now()
    override = ConsentOverride(
        campaign_id=campaign_id, topic_id=topic_id, reason=reason.strip(), headcount=count, requested_by=by,
        requested_at=now, approved_at=now if count <= ALONE else None,
    )  # fmt: skip
    session.add(override)
    session.flush()
    rows = named.add_columns(literal(override.id)).order_by(None)
    session.execute(insert(ConsentOverridePerson).from_select(["contact_id", "override_id"], rows))
    detail = {"campaign": campaign_id, "people": count, "reason": override.reason}
    record_audit(session, "consent.override_request", by=by, subject=(_SUBJECT, override.id), detail=detail)
    return override


def approve_override(session: Session, override: ConsentOverride, *, by: int) -> None:
    """Agree to an override as the second person.

    Raises:
        NotAllowedError: it is one's own.
        ConflictError: it was taken back. Safe to repeat else.
    """
    if override.ended_at is not None:
        raise ConflictError("this override was taken back")
    if override.approved_at is not None:
        return
    if override.requested_by == by:
        raise NotAllowedError("a second person has to agree", mend=f"above {ALONE} people nobody decides alone")
    override.approved_by, override.approved_at = by, utc_now()
    detail = {"campaign": override.campaign_id, "people": override.headcount}
    record_audit(session, "consent.override_approve", by=by, subject=(_SUBJECT, override.id), detail=detail)


def end_override(session: Session, override: ConsentOverride, *, by: int) -> None:
    """Take an override back: when this is committed, no later gate goes by it. Safe to repeat."""
    if override.ended_at is not None:
        return
    if override.sending_id is not None:  # every gate of the sending takes this row first
        session.execute(select(Sending.id).where(Sending.id == override.sending_id).with_for_update())
    override.ended_by, override.ended_at = by, utc_now()
    detail = {"campaign": override.campaign_id}
    record_audit(session, "consent.override_end", by=by, subject=(_SUBJECT, override.id), detail=detail)


def bind_override(session: Session, campaign_id: int, topic_id: int | None, sending_id: int) -> None:
    """Tie the override of a campaign, where it has one that counts, to the sending that its gate looks at."""
    override_id = find_active(session, campaign_id, topic_id)
    if override_id is not None:
        session.get_one(ConsentOverride, override_id, with_for_update=True).sending_id = sending_id
