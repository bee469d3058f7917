"""What a person does with a link of ours and no login: leave (RFC 8058), choose topics, pause, come back.

The token is the only proof: it names contact, topic and message; ids in addresses or forms are never read. Every change
is committed before it is answered, and no message whose gate comes later leaves against it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.addresses import mask_address
from mailer.clock import utc_now
from mailer.consent import queries, service
from mailer.consent.queries import TopicChoice
from mailer.consent.service import Cause
from mailer.consent.tracking import TrackingMode, decide_tracking
from mailer.consent.undo import find_line, make_undo, undo_change
from mailer.contacts.changes import set_field
from mailer.context import Context
from mailer.errors import InputError, UntrustedRequestError
from mailer.schema.consent import ConsentEvent, LeaveAnswer, Topic
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message, Sending
from mailer.schema.workspace import Sender
from mailer.statuses import ConsentVerdict, LeaveReason, Permission, Purpose, SubscriptionStatus
from mailer.tokens import ManageToken, read_mail_manage_local, read_manage_token
from mailer.workspace.queries import get_limit, get_workspace

ONE_CLICK, MAILTO = "one-click", "unsubscribe mail"
ONE_CLICK_SPAN = timedelta(days=90)
PAUSES = (7, 30, 90)
"""Days of quiet that a person can choose."""
MAX_PAUSE_DAYS = 365
MAX_NOTE = 500
LANGUAGES = {
    "en": "English", "nb": "Norsk", "sv": "Svenska", "da": "Dansk", "fi": "Suomi", "de": "Deutsch", "nl": "Nederlands",
    "fr": "Français", "es": "Español", "it": "Italiano", "pl": "Polski",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What a public page may show: the address masked, no name (FEATURES M5). `topic` is the one of the token.

    `paused_until` is None where no pause runs; `is_tracked`: opens and clicks are kept; `sender` is who sent the mail
    that the link stood in, if that is known.
    """

    workspace: str
    masked: str
    topic: str
    choices: list[TopicChoice]
    permission: Permission
    paused_until: datetime | None
    language: str
    is_tracked: bool
    sender: Sender | None

    @property
    def is_subscribed(self) -> bool:
        """Whether any topic comes."""
        return any(choice.status is SubscriptionStatus.SUBSCRIBED for choice in self.choices)


def read_preferences(ctx: Context, token: str) -> Preferences:
    """Return what the page of a token shows; UntrustedRequestError where it is none of ours."""
    read = read_manage_token(ctx.keys, token)
    with ctx.read() as session:
        contact = _contact(session, read)
        address = session.get(Address, contact.address_id) if contact.address_id else None
        topic = session.get(Topic, read.topic_id) if read.topic_id else None
        row = service.find_consent(session, contact.id)
        paused = row.paused_until if row and row.paused_until and row.paused_until > utc_now() else None
        return Preferences(
            workspace=get_workspace(session).name,
            masked=mask_address(address.email) if address and address.email else "",
            topic=topic.name if topic else "",
            choices=queries.list_choices(session, contact.id),
            permission=Permission(row.permission) if row else Permission.NONE,
            paused_until=paused,
            language=contact.language,
            is_tracked=all(find_tracked(session, contact)),
            sender=_find_sender(session, read.message_id),
        )


def find_tracked(session: Session, contact: Contact) -> tuple[bool, bool]:
    """Return whether opens, and whether clicks, are kept with this person."""
    row = service.find_consent(session, contact.id, Purpose.TRACKING)
    mode = TrackingMode(int(get_limit(session, "tracking_unasked")))
    word = Permission(row.permission) if row else None
    opens, clicks = (decide_tracking(word, contact.country, mode, is_click=is_click) for is_click in (False, True))
    return opens, clicks


def unsubscribe_by_link(ctx: Context, token: str, *, channel: str, everything: bool = False) -> str:
    """End the token's topic, or all e-marketing where `everything` or no topic is named. Safe to repeat.

    Returns a token that undoes it; empty where it was so before.
    """
    read = read_manage_token(ctx.keys, token)
    with ctx.write() as session:
        contact = _contact(session, read)
        lines = _leave(session, read, contact, channel, everything=everything)
        return make_undo(ctx, contact, lines)


def unsubscribe_by_mail(session: Session, ctx: Context, local: str) -> bool:
    """Do what a mail to the address of a List-Unsubscribe header asks for; False where its contact is gone.

    Raises:
        UntrustedRequestError: the local part is none of ours.
    """
    read = read_mail_manage_local(ctx.keys, local)
    contact = session.get(Contact, read.contact_id)
    if contact is None:
        return False
    _leave(session, read, contact, MAILTO)
    return True


def _leave(
    session: Session, read: ManageToken, contact: Contact, channel: str, *, everything: bool = False
) -> list[int]:
    cause = _cause(read, channel)
    service.lock_addresses(session, [contact.address_id])
    topic = session.get(Topic, read.topic_id) if read.topic_id else None
    if everything or topic is None:
        return service.withdraw_all(session, service.list_sharing(session, contact), cause)
    lines = service.unsubscribe(session, contact, topic.id, cause)
    if lines and channel == ONE_CLICK and _has_ended_enough(session, contact):
        lines += service.withdraw_all(session, service.list_sharing(session, contact), cause)
    return lines


def _has_ended_enough(session: Session, contact: Contact) -> bool:
    """Whether so many topics were ended by one click lately that the person means all of them (FEATURES M5)."""
    enough = get_limit(session, "one_click_withdraws")
    ended = session.scalar(
        select(func.count(ConsentEvent.topic_id.distinct())).where(
            ConsentEvent.ledger_id == contact.ledger_id,
            ConsentEvent.verdict == ConsentVerdict.UNSUBSCRIBED.value,
            ConsentEvent.channel == ONE_CLICK,
            ConsentEvent.at > utc_now() - ONE_CLICK_SPAN,
        )
    )
    return 0 < enough <= (ended or 0)


def save_choices(
    ctx: Context,
    token: str,
    topic_ids: Collection[int],
    *,
    language: str | None = None,
    allows_tracking: bool | None = None,
) -> str:
    """Make the person's subscriptions those in `topic_ids`, and language and tracking what is given.

    Only what differs is written and recorded. Returns a token that undoes it; empty where nothing differs.
    """
    read = read_manage_token(ctx.keys, token)
    cause = _cause(read, "preference page")
    with ctx.write() as session:
        contact = _contact(session, read)
        service.lock_addresses(session, [contact.address_id])
        before = session.scalar(select(func.max(ConsentEvent.id))) or 0
        for choice in queries.list_choices(session, contact.id):
            is_subscribed = choice.status is SubscriptionStatus.SUBSCRIBED
            if choice.topic_id in topic_ids and not is_subscribed:
                service.subscribe(session, contact, choice.topic_id, cause)
            elif choice.topic_id not in topic_ids and is_subscribed:
                service.unsubscribe(session, contact, choice.topic_id, cause)
        if language in LANGUAGES and language != contact.language:
            set_field(session, [contact.id], "language", language, utc_now())
        tracked = find_tracked(session, contact)
        if allows_tracking is not None and any(kept is not allows_tracking for kept in tracked):
            service.decide_tracking(session, contact, cause, is_allowed=allows_tracking)
        return make_undo(ctx, contact, _own_lines(session, contact, before))


def _own_lines(session: Session, contact: Contact, after: int) -> list[int]:
    ids = [each.ledger_id for each in service.list_sharing(session, contact)]
    query = select(ConsentEvent.id).where(ConsentEvent.ledger_id.in_(ids), ConsentEvent.id > after)
    return list(session.scalars(query))


def pause_by_link(ctx: Context, token: str, days: int) -> datetime | None:
    """Send the person nothing for so many days, from now; 0 ends a pause. Return when it ends.

    Raises:
        InputError: more than a year.
    """
    if not 0 <= days <= MAX_PAUSE_DAYS:
        raise InputError("a pause lasts a year at most", where="days")
    read = read_manage_token(ctx.keys, token)
    until = utc_now() + timedelta(days=days) if days else None
    with ctx.write() as session:
        service.pause(session, _contact(session, read), until, _cause(read, "preference page"))
    return until


def undo_by_link(ctx: Context, token: str, undo: str) -> int:
    """Take back what `undo` names; return how many lines that wrote. Raises as `undo_change` does."""
    read = read_manage_token(ctx.keys, token)
    with ctx.write() as session:
        return undo_change(session, ctx, _contact(session, read), undo)


def record_answer(ctx: Context, token: str, undo: str, reason: str, note: str) -> None:
    """Keep why the person left, if they say so; a later answer about the same change replaces it.

    Raises:
        InputError: the reason is none of ours.
    """
    read = read_manage_token(ctx.keys, token)
    if reason not in list(LeaveReason):
        raise InputError("choose one of the answers", where="reason")
    with ctx.write() as session:
        line = find_line(session, ctx, _contact(session, read), undo)
        row = session.get(LeaveAnswer, line.id, with_for_update=True)
        if row is None:
            row = LeaveAnswer(consent_event_id=line.id)
            session.add(row)
        row.reason, row.note, row.at = reason, note.strip()[:MAX_NOTE], utc_now()


def _contact(session: Session, read: ManageToken) -> Contact:
    contact = session.get(Contact, read.contact_id)
    if contact is None:
        raise UntrustedRequestError("this link is no longer in use")
    return contact


def _find_sender(session: Session, message_id: int) -> Sender | None:
    if message_id:
        query = (
            select(Sender).join(Sending, Sending.sender_id == Sender.id).join(Message, Message.sending_id == Sending.id)
        )
        return session.scalars(query.where(Message.id == message_id)).one_or_none()
    only = session.scalars(select(Sender).where(Sender.archived_at.is_(None)).limit(2)).all()
    return only[0] if len(only) == 1 else None


def _cause(read: ManageToken, channel: str) -> Cause:
    return Cause(source="link in a mail", channel=channel, message_id=read.message_id or None)
