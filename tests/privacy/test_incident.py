"""After a mistake: who was touched, quickly, by whom it was asked on record."""

import csv
import io
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import InputError, NotFoundError
from mailer.privacy.erasure import erase_person
from mailer.privacy.incident import Question, iter_touched, write_csv
from mailer.privacy.queries import find_person
from mailer.schema.accounts import AuditEvent
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message
from mailer.schema.segments import Segment, SegmentEvent, SegmentWatch, SegmentWatchMember
from tests.support.make import make_reader, make_sending, make_topic, make_workspace


@pytest.fixture
def campaign(ctx: Context) -> int:
    """A campaign to three people, one of whom calls herself a formula; return its number."""
    with ctx.write() as session:
        make_workspace(session, timezone="UTC")
        topic = make_topic(session)
        readers = [make_reader(session, topic, f"p{n}@example.com", key=ctx.keys.suppression) for n in range(3)]
        readers[1].first_name = "=1+1"
        sending = make_sending(session, ctx, readers, topic)
        session.execute(update(Message).values(state="accepted", accepted_at=utc_now()))
        now = utc_now()
        row = Campaign(name="Sale", sending_id=sending.id, status="sending", created_at=now, updated_at=now)
        session.add(row)
        session.flush()
        return row.id


def test_everybody_in_a_campaign_is_named_with_time_and_state(ctx: Context, campaign: int) -> None:
    rows = list(iter_touched(ctx, Question(campaign_id=campaign)))
    text = b"".join(write_csv(iter(rows))).decode("utf-8-sig")

    assert [(row["email"], row["state"]) for row in rows] == [(f"p{n}@example.com", "accepted") for n in range(3)]
    assert all(row["at"] for row in rows)
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["first_name"] for line in lines][1] == "'=1+1"
    with ctx.read() as session:
        line = session.scalars(select(AuditEvent).where(AuditEvent.action == "privacy.incident")).one()
    assert (line.subject_kind, line.subject_id) == ("campaign", campaign)


def test_who_was_erased_is_counted_and_not_named(ctx: Context, campaign: int) -> None:
    with ctx.read() as session:
        person = find_person(session, ctx, "p0@example.com")
    erase_person(ctx, person)

    rows = list(iter_touched(ctx, Question(campaign_id=campaign)))

    assert [row["email"] for row in rows] == [None, "p1@example.com", "p2@example.com"]
    assert rows[0]["contact_id"] is None


def test_a_watched_segment_is_told_as_it_was_on_a_day(ctx: Context, campaign: int) -> None:
    """p0 was in all the time, p1 left yesterday, p2 entered yesterday: two days ago there were p0 and p1."""
    now = utc_now()
    with ctx.write() as session:
        zero, one, two = session.scalars(select(Contact.id).order_by(Contact.id)).all()
        segment = Segment(name="VIP", kind="static", is_watched=True, created_at=now, updated_at=now)
        session.add(segment)
        session.flush()
        since = now - timedelta(days=9)
        session.add(SegmentWatch(segment_id=segment.id, since=since, due_at=now, looked_at=now, is_ready=True))
        session.add_all([SegmentWatchMember(segment_id=segment.id, contact_id=who) for who in (zero, two)])
        yesterday = now - timedelta(days=1)
        session.add_all([
            SegmentEvent(segment_id=segment.id, contact_id=one, kind="left", at=yesterday),
            SegmentEvent(segment_id=segment.id, contact_id=two, kind="entered", at=yesterday),
        ])  # fmt: skip

    def emails(days_ago: int | None) -> list[str]:
        on = None if days_ago is None else (now - timedelta(days=days_ago)).date()
        return [row["email"] for row in iter_touched(ctx, Question(segment_id=segment.id, on=on))]

    assert emails(None) == ["p0@example.com", "p2@example.com"]
    assert emails(2) == ["p0@example.com", "p1@example.com"]
    with pytest.raises(InputError, match="begins on"):
        emails(20)


def test_what_cannot_be_told_is_said(ctx: Context, campaign: int) -> None:
    with ctx.write() as session:
        now = utc_now()
        rule = {"version": 1, "all": []}
        segment = Segment(name="Rule", kind="dynamic", rule=rule, created_at=now, updated_at=now)
        session.add(segment)
    with pytest.raises(InputError, match="one campaign"):
        iter_touched(ctx, Question(campaign_id=1, import_id=1))
    with pytest.raises(NotFoundError, match="import 9"):
        iter_touched(ctx, Question(import_id=9))
    with pytest.raises(InputError, match="not watched"):
        iter_touched(ctx, Question(segment_id=segment.id))
    with pytest.raises(InputError, match="not watched"):
        iter_touched(ctx, Question(segment_id=segment.id, on=now.date()))
