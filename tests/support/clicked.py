"""Clicks on a finished campaign whose links do something, for pictures and pages: people, scanners, each outcome."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update

from mailer import tokens
from mailer.actions import service
from mailer.actions.webhooks import create_webhook
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun, Webhook
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.segments import Segment
from mailer.statuses import MessageState
from mailer.tracking.records import GET, HEAD, RawHit
from mailer.tracking.service import take_in
from tests.support.story import Story

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


@dataclass(frozen=True)
class Clicked:
    """The link, and somebody who clicked it."""

    ordinal: int
    contact_id: int


def make_clicked(ctx: Context, story: Story) -> Clicked:
    """Have some people and a scanner read the finished campaign of the story; what they set off is done or failed."""
    link = _give_actions(ctx, story)
    with ctx.read() as session:
        rows = session.execute(
            select(Message.id, Message.contact_id, Message.accepted_at)
            .where(Message.sending_id == story.finished.sending_id, Message.state == MessageState.ACCEPTED.value)
            .order_by(Message.id)
            .limit(12)
        )
        sent = [(message_id, contact_id or 0, at or utc_now()) for message_id, contact_id, at in rows]
    hits: list[RawHit] = []
    for number, (message_id, _contact, accepted_at) in enumerate(sent):
        agent = (PHONE, FIREFOX, GMAIL)[number % 3]
        at = (accepted_at + timedelta(minutes=7 + number)).timestamp()
        hits.append(RawHit(at, tokens.OPEN, GET, message_id, 0, 0, "192.0.2.17", agent))
        if number % 4 == 3:
            hits += [
                RawHit(at + at_once, tokens.CLICK, method, message_id, link, 0, "209.222.80.9", FIREFOX)
                for at_once, method in ((0.1, HEAD), (0.2, GET))
            ]
        elif agent is not GMAIL:
            hits.append(RawHit(at + 40, tokens.CLICK, GET, message_id, link, 0, "192.0.2.17", agent))
    take_in(ctx, hits, host="story", place=secrets.token_hex(8), start=0, end=1)
    _settle(ctx)
    return Clicked(link, sent[0][1])


def _give_actions(ctx: Context, story: Story) -> int:
    with ctx.read() as session:
        has_webhook = session.scalar(select(Webhook.id)) is not None
    if not has_webhook:
        create_webhook(ctx, "CRM", "https://crm.example.com/clicked")
    with ctx.write() as session:
        version = session.get_one(Sending, story.finished.sending_id).content_version_id
        link = session.scalars(
            select(TrackedLink).where(TrackedLink.content_version_id == version, TrackedLink.ordinal == 0)
        ).one()
        link.label = "Sign up for the seminar"
        if session.scalar(select(LinkAction.id).where(LinkAction.tracked_link_id == link.id)) is None:
            members = session.scalars(select(Segment.id).where(Segment.name == "Seminar participants")).one()
            kinds = (
                ("add_to_segment", {"segment_id": members}),
                ("add_tag", {"tag": "Interested"}),
                ("webhook", {"webhook_id": session.scalars(select(Webhook.id)).one()}),
            )
            for ordinal, (kind, params) in enumerate(kinds):
                ends_at = utc_now() + timedelta(days=60)
                session.add(
                    LinkAction(tracked_link_id=link.id, ordinal=ordinal, kind=kind, params=params, ends_at=ends_at)
                )
        return link.ordinal


def _settle(ctx: Context) -> None:
    """Let the quarantine be over; one of the webhooks does not answer."""
    with ctx.write() as session:
        session.execute(update(ActionRun).values(due_at=utc_now() - timedelta(seconds=1)))
    service.run_due(ctx)
    with ctx.read() as session:
        waiting = session.scalars(select(ActionRun.id).where(ActionRun.state == "pending").order_by(ActionRun.id)).all()
    for number, run_id in enumerate(waiting):
        service.settle(ctx, run_id, "failed" if number % 3 == 1 else "done", "answered 503" if number % 3 == 1 else "")
