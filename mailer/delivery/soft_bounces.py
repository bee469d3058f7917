"""The soft bounces of an address, counted from events: suppressed, asleep, or fine again (FEATURES B4).

Nothing is counted up: what an address deserves is a function of its events, whatever the order in which they came. So
a report that comes twice, or a delivery that is told late, leaves the same behind.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.release import Scope, lift_ids, release_scope
from mailer.consent.service import suppress
from mailer.context import Context
from mailer.database import any_row
from mailer.delivery.policy import (
    ASLEEP_FOR,
    COUNTED,
    QUIET_AFTER,
    SoftBounce,
    SoftLimits,
    SoftVerdict,
    decide_soft_bounces,
)
from mailer.delivery.reasons import Reason
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event, Message
from mailer.schema.workspace import Workspace
from mailer.segments.chosen import is_among
from mailer.statuses import EventKind, HitClass, SuppressionReason
from mailer.workspace.limits import limit_value

ASLEEP = "mailbox full"
TIRED = "soft bounces in a row"
_TAKEN_BACK = "taken back"
_SOFT = SuppressionReason.SOFT_BOUNCES
_BOUNCES = (EventKind.HARD_BOUNCE.value, EventKind.SOFT_BOUNCE.value)
_HITS = (EventKind.OPEN.value, EventKind.CLICK.value)


def list_suppressed(session: Session, address_ids: Iterable[int | None]) -> list[int]:
    """Return those of the addresses that soft bounces suppress: what arrives there now may change that."""
    ids = {number for number in address_ids if number is not None}
    if not ids:
        return []
    query = select(Address.id).where(is_among(session, Address.id, sorted(ids)), any_row(Suppression, *_is_active()))
    return list(session.scalars(query))


def judge_address(session: Session, address_id: int, *, message_id: int | None = None) -> SoftVerdict:
    """Make of an address what its events ask for, and return that. The address must be locked."""
    address = session.get_one(Address, address_id)
    bounces, limits = _list_bounces(session, address_id), load_soft_limits(session)
    if len(bounces) < limits.count and not _was_suppressed(session, address):
        return SoftVerdict.FINE  # what most soft bounces come to
    reset_at, has_slept = _find_reset(session, address)
    verdict = decide_soft_bounces(bounces, reset_at, limits, has_slept=has_slept)
    active = session.scalars(select(Suppression).where(*_is_active(address))).all()
    mine = [row for row in active if row.source in (ASLEEP, TIRED)]
    if verdict is SoftVerdict.FINE:
        _take_back(session, mine)
    elif not active:
        source = ASLEEP if verdict is SoftVerdict.SLEEP else TIRED
        suppress(session, address.email_hash, _SOFT, source, message_id=message_id)
        if verdict is SoftVerdict.SLEEP and address.bounce_state == "ok":
            address.bounce_state = "asleep"
    return verdict


def load_soft_limits(session: Session) -> SoftLimits:
    """Return the limits of this workspace."""
    chosen = session.scalar(select(Workspace.limits)) or {}
    return SoftLimits(
        count=int(limit_value(chosen, "soft_bounces_in_row")),
        span=timedelta(days=limit_value(chosen, "soft_bounce_days")),
        full_span=timedelta(days=limit_value(chosen, "mailbox_full_days")),
    )


def _was_suppressed(session: Session, address: Address) -> bool:
    mine = (Suppression.address_hash == address.email_hash, Suppression.reason == _SOFT.value)
    return session.scalar(select(Suppression.id).where(*mine).limit(1)) is not None


def wake_addresses(ctx: Context) -> int:
    """Give mailboxes that were full their one more try, 90 days later; return how many."""
    due = ctx.clock.now() - ASLEEP_FOR
    scope = Scope(reasons=[_SOFT], until=due, source=ASLEEP)
    with ctx.read() as session:
        is_due = (Suppression.reason == _SOFT.value, Suppression.source == ASLEEP, Suppression.created_at < due)
        found = session.scalar(select(Suppression.id).where(*is_due, Suppression.lifted_at.is_(None)).limit(1))
    return release_scope(ctx, scope, why="one more try") if found is not None else 0


def _take_back(session: Session, rows: Sequence[Suppression]) -> None:
    """Lift what later evidence shows to have been wrong; it does not count as having slept."""
    if rows:
        ids = [row.id for row in rows]
        session.execute(
            update(Suppression)
            .where(Suppression.id.in_(ids))
            .values(source=_TAKEN_BACK)
            .execution_options(synchronize_session=False)
        )
        lift_ids(session, ids)


def _is_active(address: Address | None = None) -> tuple[ColumnElement[bool], ...]:
    whose = Address.email_hash if address is None else address.email_hash
    return (
        Suppression.address_hash == whose,
        Suppression.reason == _SOFT.value,
        Suppression.topic_id.is_(None),
        Suppression.lifted_at.is_(None),
    )


def _list_bounces(session: Session, address_id: int) -> list[SoftBounce]:
    """Return the messages that came back softly through the address's fault, one line each."""
    rows = session.execute(
        select(func.min(Event.at), func.max(Event.reason))
        .join(Message, Message.id == Event.message_id)
        .where(
            Event.contact_id.in_(_contacts_of(address_id)),
            Event.kind == EventKind.SOFT_BOUNCE.value,
            Event.reason.in_([reason.value for reason in COUNTED]),
            Message.address_id == address_id,
        )
        .group_by(Event.message_id)
    )
    return [SoftBounce(at, Reason(reason)) for at, reason in rows]


def _contacts_of(address_id: int) -> Select[int]:
    return select(Contact.id).where(Contact.address_id == address_id)


def _find_reset(session: Session, address: Address) -> tuple[datetime | None, bool]:
    """Return when the address was last known to be well, and whether it has just slept."""
    events = session.scalar(
        select(func.max(Event.at))
        .join(Message, Message.id == Event.message_id)
        .where(
            Event.contact_id.in_(_contacts_of(address.id)),
            or_(
                Event.kind == EventKind.DELIVERED.value,
                Event.kind.in_(_HITS) & (Event.hit_class == HitClass.HUMAN.value),
            ),
            Message.address_id == address.id,
        )
    )
    came_back = any_row(Event, Event.message_id == Message.id, Event.kind.in_(_BOUNCES))
    quiet = session.scalar(
        select(func.max(Message.accepted_at)).where(
            Message.contact_id.in_(_contacts_of(address.id)),
            Message.address_id == address.id,
            Message.accepted_at < utc_now() - QUIET_AFTER,
            ~came_back,
        )
    )
    well = max((at for at in (events, quiet) if at is not None), default=None)
    lifted = session.execute(
        select(Suppression.lifted_at, Suppression.lifted_by, Suppression.source)
        .where(
            Suppression.address_hash == address.email_hash,
            Suppression.reason.in_([_SOFT.value, SuppressionReason.HARD_BOUNCE.value]),
            Suppression.lifted_at.is_not(None),
            Suppression.source != _TAKEN_BACK,
        )
        .order_by(Suppression.lifted_at.desc())
        .limit(1)
    ).first()
    if lifted is None or lifted.lifted_at is None or (well is not None and well > lifted.lifted_at):
        return well, False
    return lifted.lifted_at, lifted.lifted_by is None and lifted.source == ASLEEP
