"""Figures follow FEATURES M15 on both engines: what counts as transmitted, delivered, unique, left."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.reports import campaign_figures, figures
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Topic
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Event, Message, Sending
from mailer.statuses import SendingState
from tests.support.make import make_reader, make_sending, make_topic, make_workspace


@pytest.fixture
def sent(ctx: Context) -> Sending:
    """Ten messages, all accepted just now, and a campaign that points to them."""
    now = utc_now()
    with ctx.write() as session:
        make_workspace(session)
        topic = make_topic(session)
        people = [make_reader(session, topic, key=ctx.keys.suppression) for _ in range(10)]
        sending = make_sending(session, ctx, people, topic)
        sending.started_at = now - timedelta(minutes=30)
        for message in session.scalars(select(Message).where(Message.sending_id == sending.id)):
            message.state, message.accepted_at, message.gate_at = "accepted", now, now
        session.add(
            Campaign(
                name="Seminar",
                subject="Join us",
                sending_id=sending.id,
                status="sending",
                created_at=now,
                updated_at=now,
            )
        )
    return sending


def list_ids(session: Session, sending: Sending) -> list[int]:
    return list(session.scalars(select(Message.id).where(Message.sending_id == sending.id).order_by(Message.id)))


def add_event(session: Session, message_id: int, kind: str, hit_class: str | None = None, **values: object) -> None:
    message = session.get_one(Message, message_id)
    number = len(session.scalars(select(Event.id)).all())
    columns = {"at": utc_now(), **values}
    session.add(
        Event(
            message_id=message_id,
            sending_id=message.sending_id,
            contact_id=message.contact_id,
            kind=kind,
            hit_class=hit_class,
            dedupe_key=f"{kind}:{message_id}:{number}",
            **columns,
        )
    )
    session.flush()


def test_opens_count_a_message_once_and_machines_apart(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        first, second, *_ = list_ids(session, sent)
        for _ in range(3):
            add_event(session, first, "open", "human")
        add_event(session, first, "open", "machine")
        add_event(session, second, "open", "machine")

    with ctx.read() as session:
        found = campaign_figures.get_campaign_figures(session, sent.id)

    assert (found.event("open", "human"), found.event("open", "machine")) == (1, 2)


def test_people_who_were_erased_are_counted_by_their_messages(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        named, *erased = list_ids(session, sent)[:4]
        for message_id in (named, *erased, *erased):
            add_event(session, message_id, "open", "human")
        session.execute(update(Event).where(Event.message_id.in_(erased)).values(contact_id=None))

    with ctx.read() as session:
        found = campaign_figures.get_campaign_figures(session, sent.id)
        overview = figures.get_overview(session)

    assert (found.event("open", "human"), overview.opened) == (4, 4)


def test_delivered_is_accepted_less_what_bounced_later(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        hard, soft, delayed, refused, *_ = list_ids(session, sent)
        add_event(session, hard, "hard_bounce")
        add_event(session, hard, "hard_bounce")
        add_event(session, soft, "soft_bounce")
        add_event(session, delayed, "delayed")
        add_event(session, refused, "hard_bounce")
        session.get_one(Message, refused).state = "failed"

    with ctx.read() as session:
        found = campaign_figures.get_campaign_figures(session, sent.id)
        overview = figures.get_overview(session)

    assert (found.transmitted, found.accepted, found.delivered) == (10, 9, 7)
    assert (overview.transmitted, overview.accepted, overview.delivered, overview.hard) == (10, 9, 7, 2)


def test_who_left_by_a_link_counts_once_and_a_complaint_apart(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        first, second, *_ = list_ids(session, sent)
        topic_id = session.scalars(select(Topic.id)).one()
        for message_id, channel in ((first, "one-click"), (second, "complaint")):
            person = session.get_one(Contact, session.get_one(Message, message_id).contact_id)
            cause = Cause(source="link", channel=channel, message_id=message_id)
            consent.unsubscribe(session, person, topic_id, cause)
            consent.withdraw_all(session, [person], cause)

    with ctx.read() as session:
        assert campaign_figures.get_campaign_figures(session, sent.id).unsubscribed == 1
        assert figures.get_overview(session).unsubscribed == 1


def test_the_dashboard_counts_reactions_of_the_mails_it_counts(ctx: Context, sent: Sending) -> None:
    """A test mail that was opened, or an open of a campaign of last quarter, is in no share of this month's mails."""
    with ctx.write() as session:
        topic = make_topic(session)
        others = [make_sending(session, ctx, [make_reader(session, topic, key=ctx.keys.suppression)], topic)
                  for _ in range(2)]  # fmt: skip
        others[0].sending_class, others[0].started_at = "test", utc_now()
        others[1].started_at = utc_now() - timedelta(days=90)
        for sending in (sent, *others):
            first, *_ = list_ids(session, sending)
            session.get_one(Message, first).state = "accepted"
            add_event(session, first, "open", "human")
            add_event(session, first, "hard_bounce")

        found = figures.get_overview(session)

    assert (found.opened, found.hard, found.bounced_later, found.transmitted) == (1, 1, 1, 10)


def test_the_curve_holds_every_reaction_in_its_step(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        start = session.get_one(Sending, sent.id).started_at
        assert start is not None
        first, second, third, *_ = list_ids(session, sent)
        add_event(session, first, "open", "human", at=start + timedelta(seconds=30))
        add_event(session, second, "open", "human", at=start + timedelta(minutes=20))
        add_event(session, third, "click", "machine", at=start + timedelta(seconds=2))
        add_event(session, third, "open", "human", at=start + timedelta(hours=80))

    with ctx.read() as session:
        curve = campaign_figures.list_reactions(session, session.get_one(Sending, sent.id))

    assert sum(curve.series["human_opens"]) == 2
    assert curve.series["human_opens"][curve.labels.index("+0:20")] == 1
    assert curve.series["machine_clicks"][0] == 1
    assert len(curve.labels) <= 62


def test_the_curve_of_a_minute_is_not_one_point(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        start = session.get_one(Sending, sent.id).started_at
        assert start is not None
        for second, message_id in enumerate(list_ids(session, sent)):
            add_event(session, message_id, "open", "human", at=start + timedelta(seconds=4 * second))

    with ctx.read() as session:
        curve = campaign_figures.list_reactions(session, session.get_one(Sending, sent.id))

    assert len(curve.labels) == 38
    assert sum(curve.series["human_opens"]) == 10


def test_reactions_before_the_start_stand_at_it(ctx: Context, sent: Sending) -> None:
    """As after a clock was set back: the page says what it can, and does not fail."""
    with ctx.write() as session:
        start = session.get_one(Sending, sent.id).started_at
        assert start is not None
        for hours, message_id in enumerate(list_ids(session, sent), 5):
            add_event(session, message_id, "open", "human", at=start - timedelta(hours=hours))

    with ctx.read() as session:
        curve = campaign_figures.list_reactions(session, session.get_one(Sending, sent.id))

    assert curve.series["human_opens"] == [10, 0]


def test_recipients_are_paged_by_state_and_by_reaction(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        ids = list_ids(session, sent)
        add_event(session, ids[4], "click", "human")
        session.get_one(Message, ids[0]).state = "unknown"

    with ctx.read() as session:
        page = campaign_figures.list_recipients(session, sent.id, show="accepted", limit=4)
        rest = campaign_figures.list_recipients(session, sent.id, show="accepted", after_id=page[-1].message_id)
        clicked = campaign_figures.list_recipients(session, sent.id, show="clicked")

    assert [line.message_id for line in [*page, *rest]] == ids[1:]
    assert [line.message_id for line in clicked] == [ids[4]]


def test_a_running_campaign_shows_its_progress(ctx: Context, sent: Sending) -> None:
    with ctx.write() as session:
        session.get_one(Message, list_ids(session, sent)[0]).state = "queued"

    with ctx.read() as session:
        (line,) = campaign_figures.list_running(session)

    assert (line.name, line.status, line.finished, line.total) == ("Seminar", SendingState.SENDING.value, 9, 10)
