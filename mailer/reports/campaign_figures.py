"""Figures of campaigns: what runs now, the report of one. Unique means distinct messages (FEATURES M15)."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Integer, case, cast, func, select
from sqlalchemy.orm import Session

from mailer.actions.queries import count_outcomes, list_actions
from mailer.delivery.queries import count_states, display_state
from mailer.privacy.queries import get_kept_figures
from mailer.reports.figures import count_bounced_later, count_reactions
from mailer.reputation.counting import was_transmitted
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import ConsentEvent
from mailer.schema.contacts import Address, Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Event, Message, Sending
from mailer.schema.followups import FollowUp
from mailer.statuses import (
    ConsentVerdict,
    EventKind,
    FollowUpStatus,
    HitClass,
    MessageState,
    SendingState,
)

HOURS = 72
STEPS = (1, 5, 15, 60, 300, 900, 3600, 7200)
SERIES = ("human_opens", "human_clicks", "machine_opens", "machine_clicks")
_RUNNING = (SendingState.PREPARING.value, SendingState.SENDING.value, SendingState.PAUSED.value)


@dataclass(frozen=True)
class RunningLine:
    """A campaign on its way."""

    public_id: uuid.UUID
    name: str
    status: str
    reason: str
    total: int
    finished: int
    accepted: int


def list_running(session: Session, *, limit: int = 10) -> list[RunningLine]:
    """Return campaigns that are preparing, sending or held, newest first."""
    rows = session.execute(
        select(Campaign, Sending)
        .join(Sending, Sending.id == Campaign.sending_id)
        .where(Sending.state.in_(_RUNNING))
        .order_by(Sending.id.desc())
        .limit(limit)
    ).all()
    lines = []
    for campaign, sending in rows:
        states, _skipped = count_states(session, sending.id)
        status, reason = display_state(session, sending)
        total = sum(states.values()) - states[MessageState.SKIPPED]
        waiting = states[MessageState.QUEUED] + states[MessageState.TRANSMITTING]
        accepted = states[MessageState.ACCEPTED]
        lines.append(
            RunningLine(campaign.public_id, campaign.name, status.value, reason, total, total - waiting, accepted)
        )
    return lines


@dataclass(frozen=True)
class LinkFigures:
    """Clicks on one link: distinct messages, people and machines apart."""

    ordinal: int
    url: str
    label: str
    response: str
    human: int
    machine: int
    actions: int = 0
    done: int = 0
    not_done: int = 0


@dataclass(frozen=True)
class CampaignFigures:
    """The report of a sending; counts are of distinct messages."""

    states: dict[str, int]
    skipped: dict[str, int]
    transmitted: int
    bounced_later: int
    events: dict[tuple[str, str], int]
    unsubscribed: int
    follow_ups: dict[str, int]
    links: Sequence[LinkFigures] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Taken by the next server; that proves no more (RFC 5321)."""
        return self.states[MessageState.ACCEPTED]

    @property
    def delivered(self) -> int:
        """Accepted less what bounced later."""
        return self.accepted - self.bounced_later

    @property
    def audience(self) -> int:
        """Everybody there is a row for."""
        return sum(self.states.values())

    def event(self, kind: str, hit_class: str = "") -> int:
        """Return messages with at least one such event."""
        return self.events.get((kind, hit_class), 0)


Counted = tuple[dict[str, int], dict[str, int]]
"""What `count_states` returns."""


def get_campaign_figures(session: Session, sending_id: int, counted: Counted | None = None) -> CampaignFigures:
    """Return the report of a sending; `counted`: its states, where the caller has counted them already."""
    states, skipped = counted or count_states(session, sending_id)
    kept = get_kept_figures(session, sending_id)
    if ("transmitted", "") in kept:
        return _kept_figures(session, sending_id, kept, (states, skipped))
    transmitted = session.scalar(
        select(func.count()).select_from(Message).where(Message.sending_id == sending_id, was_transmitted())
    )
    return CampaignFigures(
        states=states,
        skipped=skipped,
        transmitted=transmitted or 0,
        bounced_later=count_bounced_later(session, Event.sending_id == sending_id),
        events=count_reactions(session, [sending_id]),
        unsubscribed=_count_unsubscribed(session, sending_id),
        follow_ups=_count_follow_ups(session, sending_id, kept),
        links=list_links(session, sending_id, kept),
    )


Kept = Mapping[tuple[str, str], int]


def _kept_figures(session: Session, sending_id: int, kept: Kept, counted: Counted) -> CampaignFigures:
    """Return the report of a sending whose rows are gone by retention: the figures that were written before."""
    states, skipped = counted
    events = {name: count for name, count in kept.items() if name[0] == "event"}
    return CampaignFigures(
        states=states,
        skipped=skipped,
        transmitted=kept["transmitted", ""],
        bounced_later=kept.get(("bounced_later", ""), 0),
        events={(word.partition("/")[0], word.partition("/")[2]): count for (_, word), count in events.items()},
        unsubscribed=kept.get(("unsubscribed", ""), 0),
        follow_ups=_count_follow_ups(session, sending_id, kept),
        links=[_kept_link(line, kept) for line in list_links(session, sending_id, kept)],
    )


def _kept_link(line: LinkFigures, kept: Kept) -> LinkFigures:
    human, machine = (kept.get(("link", f"{line.ordinal}/{who}"), 0) for who in ("human", "machine"))
    done, not_done = _kept_actions(line.ordinal, kept, "done"), _kept_actions(line.ordinal, kept, *_NOT_DONE)
    return replace(line, human=human, machine=machine, done=done, not_done=not_done)


_NOT_DONE = ("refused", "failed")


def _kept_actions(ordinal: int, kept: Kept, *states: str) -> int:
    """Return the actions of a link about people who were erased, or of a sending whose rows are gone."""
    return sum(kept.get(("action", f"{ordinal}/{state}"), 0) for state in states)


def _count_unsubscribed(session: Session, sending_id: int) -> int:
    """Return people who left by a link of this sending: the ledger carries the message's id (INTERFACES: states)."""
    query = (
        select(func.count(ConsentEvent.ledger_id.distinct()))
        .join(Message, Message.id == ConsentEvent.message_id)
        .where(
            Message.sending_id == sending_id,
            ConsentEvent.verdict.in_((ConsentVerdict.UNSUBSCRIBED.value, ConsentVerdict.WITHDRAWN.value)),
            ConsentEvent.channel != EventKind.COMPLAINT.value,  # counted apart
        )
    )
    return session.scalar(query) or 0


def _count_follow_ups(session: Session, sending_id: int, kept: Kept) -> dict[str, int]:
    """Return tasks that clicks made, by status; those about people who were erased are kept as counts."""
    rows = session.execute(
        select(FollowUp.status, func.count())
        .join(TrackedLink, TrackedLink.id == FollowUp.tracked_link_id)
        .join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        .where(Sending.id == sending_id)
        .group_by(FollowUp.status)
    )
    found = {status.value: 0 for status in FollowUpStatus}
    found |= {str(status): int(count) for status, count in rows}
    return {status: count + kept.get(("follow_up", status), 0) for status, count in found.items()}


def list_links(session: Session, sending_id: int, kept: Kept) -> list[LinkFigures]:
    """Return the links of a sending by human clicks, the most clicked first."""
    human = func.count(Event.message_id.distinct()).filter(Event.hit_class == HitClass.HUMAN.value)
    machine = func.count(Event.message_id.distinct()).filter(Event.hit_class != HitClass.HUMAN.value)
    rows = session.execute(
        select(TrackedLink, human, machine)
        .join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        .outerjoin(Event, (Event.tracked_link_id == TrackedLink.id) & (Event.sending_id == Sending.id))  # only clicks
        .where(Sending.id == sending_id)
        .group_by(TrackedLink.id)
        .order_by(human.desc(), TrackedLink.ordinal)
    )
    found = rows.all()
    version_id = found[0][0].content_version_id if found else 0
    actions, counts = list_actions(session, version_id), count_outcomes(session, version_id)

    def count(link: TrackedLink, *states: str) -> int:
        mine = [action.id for action in actions if action.tracked_link_id == link.id]
        there = sum(counts.get((action_id, state), 0) for action_id in mine for state in states)
        return there + _kept_actions(link.ordinal, kept, *states)

    return [
        LinkFigures(
            link.ordinal, link.url, link.label, link.response, people, machines,
            actions=sum(action.tracked_link_id == link.id for action in actions),
            done=count(link, "done"), not_done=count(link, *_NOT_DONE),
        )
        for link, people, machines in found
    ]  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Events by time since the start: one label and one count for each step and series."""

    labels: list[str]
    series: dict[str, list[int]]


def list_reactions(session: Session, sending: Sending) -> Curve:
    """Return opens and clicks over the first 72 hours, people and machines apart, in steps that suit what there is."""
    start = sending.started_at or sending.created_at
    reactions = (
        Event.sending_id == sending.id,
        Event.kind.in_((EventKind.OPEN.value, EventKind.CLICK.value)),
        Event.at < start + timedelta(hours=HOURS),
    )
    last = session.scalar(select(func.max(Event.at)).where(*reactions))
    step = _step(last - start if last else timedelta())
    since = _bucket_since(session, start, step)
    bucket = case((since < 0, 0), else_=since)  # a clock that was set back
    rows = session.execute(
        select(Event.kind, Event.hit_class, bucket, func.count())
        .where(*reactions)
        .group_by(Event.kind, Event.hit_class, bucket)
    ).all()
    size = 2 + max((at for _kind, _word, at, _count in rows), default=0)
    series = {name: [0] * size for name in SERIES}
    for kind, word, at, count in rows:
        who = "human" if word == HitClass.HUMAN else "machine"
        series[f"{who}_{kind}s"][at] += count
    return Curve([_label(step * number) for number in range(size)], series)


def _bucket_since(session: Session, start: datetime, step: int) -> ColumnElement[int]:
    """Return the whole steps of `step` seconds from `start` to an event, on both engines."""
    if session.get_bind().dialect.name == "sqlite":
        seconds = cast(func.strftime("%s", Event.at), Integer) - int(start.timestamp())
        return cast(seconds / step, Integer)
    return cast(func.floor((func.extract("epoch", Event.at) - start.timestamp()) / step), Integer)


def _step(span: timedelta) -> int:
    """Return the seconds of a step, so that there are about 60 of them at most."""
    return next((step for step in STEPS if span.total_seconds() <= step * 60), STEPS[-1])


def _label(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"+{hours}:{minutes:02}:{rest:02}" if rest else f"+{hours}:{minutes:02}"


@dataclass(frozen=True)
class RecipientLine:
    """A recipient as the report lists them."""

    message_id: int
    contact: uuid.UUID | None
    email: str | None
    name: str
    state: str
    reason: str
    accepted_at: datetime | None
    reply: str


def list_recipients(
    session: Session, sending_id: int, *, show: str = "", after_id: int = 0, limit: int = 50
) -> list[RecipientLine]:
    """Return recipients by message id, in keyset pages; `show` is a message state or an event such as `opened`."""
    query = (
        select(Message, Contact, func.coalesce(Message.to_address, Address.email))
        .outerjoin(Contact, Contact.id == Message.contact_id)
        .outerjoin(Address, Address.id == Message.address_id)
        .where(Message.sending_id == sending_id, Message.id > after_id)
        .order_by(Message.id)
        .limit(limit)
    )
    if show in set(MessageState):
        query = query.where(Message.state == show)
    elif show in REACTIONS:
        kind, word = REACTIONS[show]
        reacted = select(Event.message_id).where(Event.message_id == Message.id, Event.kind == kind)
        query = query.where((reacted.where(Event.hit_class == word) if word else reacted).exists())
    return [
        RecipientLine(
            message.id,
            contact.public_id if contact else None,
            email,
            f"{contact.first_name} {contact.last_name}".strip() if contact else "",
            message.state,
            message.reason,
            message.accepted_at,
            message.reply,
        )
        for message, contact, email in session.execute(query)
    ]


REACTIONS = {
    "opened": (EventKind.OPEN.value, HitClass.HUMAN.value),
    "clicked": (EventKind.CLICK.value, HitClass.HUMAN.value),
    "hard_bounce": (EventKind.HARD_BOUNCE.value, ""),
    "soft_bounce": (EventKind.SOFT_BOUNCE.value, ""),
    "complaint": (EventKind.COMPLAINT.value, ""),
}
