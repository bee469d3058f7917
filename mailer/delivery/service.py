"""Messages of sendings: added, what is told of them taken in, an unknown one sent again. Sendings: sendings.py."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, case, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from mailer.addresses import hash_address
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.database import insert_into
from mailer.delivery import soft_bounces
from mailer.delivery.claim import build_batch_row
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.jobs import SEND_DUE
from mailer.delivery.sendings import lock_sending
from mailer.delivery.states import Fact, next_status, states_before
from mailer.errors import ConflictError
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Engagement, Event, Message, SendBatch, Sending
from mailer.segments.chosen import is_among
from mailer.statuses import (
    EventKind,
    HitClass,
    MessageState,
    SendingState,
    SuppressionReason,
)

RESEND_SPAN = timedelta(hours=1)
Insert = postgresql.Insert | sqlite.Insert


def add_batches(session: Session, rows: Sequence[dict[str, object]]) -> list[int]:
    """Insert batches (columns of `send_batch`) and return their ids in the order given."""
    return list(session.scalars(insert(SendBatch).returning(SendBatch.id, sort_by_parameter_order=True), list(rows)))


def add_messages(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """Insert message rows; one that is there already (same sending, recipient, occurrence) is left alone."""
    if rows:
        session.connection().execute(_insert_ignoring(session, Message), list(rows))


def add_messages_from(session: Session, rows: Select[Any], *, may_repeat: bool) -> None:
    """Insert the rows of a select whose columns are called as those of `message`.

    With `may_repeat` one that is there already is left alone, which costs a third more; without, it is an error.
    """
    columns = [str(column.key) for column in rows.selected_columns]
    insert_rows = _insert_ignoring(session, Message) if may_repeat else insert_into(session, Message)
    session.execute(insert_rows.from_select(columns, rows))


def add_direct_messages(
    session: Session, ctx: Context, sending_id: int, emails: Sequence[str], *, contact_id: int | None
) -> None:
    """Add a message to each typed address, with a contact's data where one is named: tests and staff notices."""
    (batch_id,) = add_batches(session, [build_batch_row(sending_id, "other", 0, not_before=ctx.clock.now())])
    rows: list[dict[str, object]] = [
        {
            "sending_id": sending_id,
            "contact_id": contact_id,
            "address_id": None,
            "to_address": email,
            "recipient_key": -int.from_bytes(hash_address(email, ctx.keys.suppression)[:7]),
            "occurrence": 0,
            "batch_id": batch_id,
            "state": MessageState.QUEUED.value,
            "reason": "",
            "attempts": 0,
            "reply": "",
        }
        for email in dict.fromkeys(emails)
    ]
    add_messages(session, rows)


# ------------------------------------------------------------------ facts about messages


def apply_event(session: Session, event: DeliveryEvent) -> bool:
    """Take in one fact; True where it is new. SMTP-time replies, reports and tracking all come through here."""
    return apply_events(session, [event]) == 1


def apply_events(session: Session, events: Sequence[DeliveryEvent]) -> int:
    """Take in facts and return how many are new: event rows, state, engagement, suppression and consent in one go.

    Facts about messages that do not exist are dropped; repeats change nothing.
    """
    messages = _messages_of(session, events)
    known = [event for event in events if event.message_id in messages]
    well = soft_bounces.list_suppressed(session, _addresses(known, messages, _is_sign_of_life))
    consent.lock_addresses(session, [*_addresses(known, messages, _is_grave), *well])
    new = _insert_events(session, known, messages)
    _note_engagement(session, new, messages)
    for event in new:
        _apply(session, event, messages[event.message_id])
    for address_id in well if new else ():
        soft_bounces.judge_address(session, address_id)
    return len(new)


def _messages_of(session: Session, events: Iterable[DeliveryEvent]) -> dict[int, Message]:
    ids = sorted({event.message_id for event in events})
    return {message.id: message for message in session.scalars(select(Message).where(Message.id.in_(ids)))}


_GRAVE = (EventKind.HARD_BOUNCE, EventKind.SOFT_BOUNCE, EventKind.COMPLAINT, EventKind.UNSUBSCRIBE)


def _is_grave(event: DeliveryEvent) -> bool:
    return event.kind in _GRAVE


def _is_sign_of_life(event: DeliveryEvent) -> bool:
    """Whether an event shows that a mailbox takes mail: it ends the counting of soft bounces."""
    return event.kind is EventKind.DELIVERED or event.hit_class is HitClass.HUMAN


def _addresses(
    events: Iterable[DeliveryEvent], messages: dict[int, Message], picks: Callable[[DeliveryEvent], bool]
) -> list[int | None]:
    return [messages[event.message_id].address_id for event in events if picks(event)]


def _insert_events(
    session: Session, events: Sequence[DeliveryEvent], messages: dict[int, Message]
) -> list[DeliveryEvent]:
    if not events:
        return []
    by_key = {event.dedupe_key: event for event in events}
    rows = [_event_row(event, messages[event.message_id]) for event in by_key.values()]
    added = session.scalars(_insert_ignoring(session, Event).returning(Event.dedupe_key), rows)
    keys = set(added)
    return [event for key, event in by_key.items() if key in keys]


def _event_row(event: DeliveryEvent, message: Message) -> dict[str, object]:
    is_nobodys = message.contact_id is None and message.to_address is None  # its person was erased: the fact alone
    return {
        "message_id": message.id,
        "sending_id": message.sending_id,
        "contact_id": message.contact_id,
        "kind": event.kind.value,
        "hit_class": event.hit_class.value if event.hit_class else None,
        "at": event.at,
        "tracked_link_id": event.link,
        "reason": event.reason,
        "code": event.code,
        "dedupe_key": event.dedupe_key,
        "detail": {} if is_nobodys else dict(event.detail),
    }


def _insert_ignoring(session: Session, table: type[Event] | type[Message]) -> Insert:
    """INSERT … ON CONFLICT DO NOTHING."""
    return insert_into(session, table).on_conflict_do_nothing()


def _apply(session: Session, event: DeliveryEvent, message: Message) -> None:
    if event.proves_acceptance:
        resolve_unknown(message, event.at)
    if event.kind is EventKind.HARD_BOUNCE:
        _suppress_hard(session, event, message)
    elif event.kind is EventKind.SOFT_BOUNCE and message.address_id is not None:
        soft_bounces.judge_address(session, message.address_id, message_id=message.id)
    elif event.kind in (EventKind.COMPLAINT, EventKind.UNSUBSCRIBE):
        _change_consent(session, event, message)


def resolve_unknown(message: Message, at: datetime) -> None:
    """What happened later, at a time, proves that an unknown message was accepted."""
    if message.state == MessageState.QUEUED and message.gate_at is None:
        return  # nothing of it ever left
    becomes = next_status(MessageState(message.state), Fact.EVIDENCE)
    if becomes is MessageState.ACCEPTED and message.state != becomes:
        message.state, message.reason = MessageState.ACCEPTED.value, "by_evidence"
        message.accepted_at = message.gate_at or at


def _note_engagement(session: Session, events: Iterable[DeliveryEvent], messages: dict[int, Message]) -> None:
    """Keep the last open of a person or privacy proxy, and of a person alone, and the last click of a person."""
    rows: dict[int, dict[str, Any]] = {}
    for event in events:
        contact_id, columns = messages[event.message_id].contact_id, _ENGAGEMENT.get((event.kind, event.hit_class), ())
        if contact_id is None or not columns:
            continue
        row = rows.setdefault(contact_id, {"contact_id": contact_id, **dict.fromkeys(_LAST)})
        row |= {column: event.at if row[column] is None else max(row[column], event.at) for column in columns}
    if not rows:
        return
    statement = insert_into(session, Engagement)
    newest = {name: _newest(getattr(Engagement, name), statement.excluded[name]) for name in _LAST}
    statement = statement.on_conflict_do_update(index_elements=["contact_id"], set_=newest)
    session.connection().execute(statement, [rows[contact_id] for contact_id in sorted(rows)])


_LAST = ("last_open_at", "last_human_open_at", "last_click_at")
_ENGAGEMENT: dict[tuple[EventKind, HitClass | None], tuple[str, ...]] = {
    (EventKind.OPEN, HitClass.HUMAN): ("last_open_at", "last_human_open_at"),
    (EventKind.OPEN, HitClass.PROXY): ("last_open_at",),
    (EventKind.CLICK, HitClass.HUMAN): ("last_click_at",),
}


def _newest(there: SQLColumnExpression[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((there.is_(None), new), (new > there, new), else_=there)


def _suppress_hard(session: Session, event: DeliveryEvent, message: Message) -> None:
    if message.address_id is None:
        return
    address = session.get_one(Address, message.address_id)
    address.bounce_state = "hard"
    source = f"bounce: {event.reason or event.code}"
    consent.suppress(session, address.email_hash, SuppressionReason.HARD_BOUNCE, source, message_id=message.id)


def _change_consent(session: Session, event: DeliveryEvent, message: Message) -> None:
    contact = session.get(Contact, message.contact_id) if message.contact_id else None
    if contact is None:
        return
    source = str(event.detail.get("source", event.kind.value))
    cause = Cause(source=source, channel=event.kind.value, message_id=message.id)
    if event.kind is EventKind.COMPLAINT:
        consent.complain(session, contact, cause)
        return
    topic_id = session.scalar(select(Sending.topic_id).where(Sending.id == message.sending_id))
    if topic_id is not None:
        consent.unsubscribe(session, contact, topic_id, cause)


def revise_hits(session: Session, dedupe_keys: Sequence[str], hit_class: HitClass, reason: str) -> int:
    """Change the verdict of opens and clicks already taken in; engagement is computed anew. Return how many changed."""
    changed = session.execute(
        update(Event)
        .where(Event.dedupe_key.in_(dedupe_keys), Event.hit_class != hit_class.value)
        .values(hit_class=hit_class.value, reason=reason)
        .returning(Event.contact_id)
        .execution_options(synchronize_session=False)
    ).all()
    _recompute_engagement(session, sorted({contact_id for (contact_id,) in changed if contact_id is not None}))
    return len(changed)


def _recompute_engagement(session: Session, contact_ids: Sequence[int]) -> None:
    """Write the engagement of contacts anew from their events, in one statement."""
    if not contact_ids:
        return

    def newest(kind: EventKind, *conditions: ColumnElement[bool]) -> Any:
        query = select(func.max(Event.at)).where(Event.contact_id == Contact.id, Event.kind == kind.value, *conditions)
        return query.scalar_subquery()

    human = Event.hit_class == HitClass.HUMAN.value
    values = select(
        Contact.id,
        newest(EventKind.OPEN, Event.hit_class != HitClass.MACHINE.value),
        newest(EventKind.OPEN, human),
        newest(EventKind.CLICK, human),
    ).where(is_among(session, Contact.id, contact_ids))
    statement = insert_into(session, Engagement).from_select(["contact_id", *_LAST], values)
    written = {name: statement.excluded[name] for name in _LAST}
    session.execute(statement.on_conflict_do_update(index_elements=["contact_id"], set_=written))


def resend_unknown(session: Session, ctx: Context, message_id: int) -> bool:
    """Queue an unknown message again because a person asked for it; the caller writes the audit line.

    The second copy passes the same gate and carries the same Message-ID; its sending gets an hour where its time is
    over. False where it is not unknown any more.

    Raises:
        ConflictError: its sending was cancelled.
    """
    message = session.get(Message, message_id, with_for_update=True)
    if message is None or MessageState(message.state) not in states_before(Fact.RESEND):
        return False
    sending = lock_sending(session, message.sending_id)
    if sending.state == SendingState.CANCELLED:
        raise ConflictError("its sending was cancelled")
    if sending.send_until is not None:
        sending.send_until = max(sending.send_until, ctx.clock.now() + RESEND_SPAN)
    old = session.get_one(SendBatch, message.batch_id)
    again = build_batch_row(message.sending_id, old.provider, old.ordinal, not_before=ctx.clock.now())
    (batch_id,) = add_batches(session, [again])
    message.state, message.reason, message.batch_id = MessageState.QUEUED.value, "resend", batch_id
    message.gate_token, message.repeats = None, message.repeats + 1
    if sending.state == SendingState.FINISHED:
        sending.state, sending.finished_at = SendingState.SENDING.value, None
    session.flush()
    ctx.ring(session, SEND_DUE)
    return True
