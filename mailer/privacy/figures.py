"""The figures of a sending, written down before its rows go, so that its report stays true.

They are those of the report (reports/campaign_figures.py), counted in the same way; a test compares the two.
"""

from collections.abc import Iterator

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mailer.database import any_row
from mailer.privacy.wiping import ACTIONS, add_figure
from mailer.schema.actions import ActionRun
from mailer.schema.consent import ConsentEvent
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.privacy import KeptFigure
from mailer.statuses import ConsentVerdict, EventKind, HitClass, MessageState

Figure = tuple[str, str, int]
"""Name, word and count (docs/reference/retention.md)."""
_BOUNCES = (EventKind.HARD_BOUNCE.value, EventKind.SOFT_BOUNCE.value)
_LEFT = (ConsentVerdict.UNSUBSCRIBED.value, ConsentVerdict.WITHDRAWN.value)


def is_written(session: Session, sending_id: int) -> bool:
    """Whether the figures of a sending are written down."""
    there = select(KeptFigure.count).where(KeptFigure.sending_id == sending_id, KeptFigure.name == "transmitted")
    return session.scalar(there) is not None


def count_figures(session: Session, sending_id: int) -> list[Figure]:
    """Count the report of a sending from its rows."""
    counted = (_states, _events, _links, _actions)
    return [figure for count in counted for figure in count(session, sending_id)]


def write_figures(session: Session, sending_id: int, figures: list[Figure]) -> None:
    """Write the figures of a sending down."""
    for name, word, count in figures:
        add_figure(session, sending_id, name, word, count)


def _states(session: Session, sending_id: int) -> Iterator[Figure]:
    mine = Message.sending_id == sending_id
    states = select(Message.state, func.count()).where(mine).group_by(Message.state)
    yield from (("state", state, count) for state, count in session.execute(states))
    skipped = select(Message.reason, func.count()).where(mine, Message.state == MessageState.SKIPPED.value)
    yield from (("skipped", reason, count) for reason, count in session.execute(skipped.group_by(Message.reason)))
    accepted = Message.state == MessageState.ACCEPTED.value
    blamed = any_row(Event, Event.message_id == Message.id, Event.kind.in_(_BOUNCES))
    failed = (Message.state == MessageState.FAILED.value) & blamed
    transmitted = select(func.count()).select_from(Message).where(mine, or_(accepted, failed))
    yield "transmitted", "", session.scalar(transmitted) or 0
    left = (
        select(func.count(ConsentEvent.ledger_id.distinct()))
        .join(Message, Message.id == ConsentEvent.message_id)
        .where(mine, ConsentEvent.verdict.in_(_LEFT), ConsentEvent.channel != EventKind.COMPLAINT.value)
    )
    yield "unsubscribed", "", session.scalar(left) or 0


def _events(session: Session, sending_id: int) -> Iterator[Figure]:
    mine = Event.sending_id == sending_id
    distinct = func.count(Event.message_id.distinct())
    events = select(Event.kind, Event.hit_class, distinct).where(mine).group_by(Event.kind, Event.hit_class)
    yield from (("event", f"{kind}/{word or ''}", count) for kind, word, count in session.execute(events))
    later = (
        select(distinct)
        .join(Message, Message.id == Event.message_id)
        .where(mine, Event.kind.in_(_BOUNCES), Message.state == MessageState.ACCEPTED.value)
    )
    yield "bounced_later", "", session.scalar(later) or 0


def _links(session: Session, sending_id: int) -> Iterator[Figure]:
    is_human = Event.hit_class == HitClass.HUMAN.value
    distinct = func.count(Event.message_id.distinct())
    rows = session.execute(
        select(TrackedLink.ordinal, distinct.filter(is_human), distinct.filter(~is_human))
        .join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        .join(Event, (Event.tracked_link_id == TrackedLink.id) & (Event.sending_id == Sending.id))
        .where(Sending.id == sending_id, Event.kind == EventKind.CLICK.value)
        .group_by(TrackedLink.ordinal)
    )
    for ordinal, human, machine in rows:
        yield "link", f"{ordinal}/human", human
        yield "link", f"{ordinal}/machine", machine


def _actions(session: Session, sending_id: int) -> Iterator[Figure]:
    rows = session.execute(
        select(TrackedLink.ordinal, ActionRun.state, func.count())
        .join(LinkAction, LinkAction.tracked_link_id == TrackedLink.id)
        .join(ActionRun, ActionRun.link_action_id == LinkAction.id)
        .join(Message, Message.id == ActionRun.message_id)
        .where(Message.sending_id == sending_id)
        .group_by(TrackedLink.ordinal, ActionRun.state)
    )
    for ordinal, state, count in rows:
        yield ACTIONS, f"{ordinal}/{state}", count
