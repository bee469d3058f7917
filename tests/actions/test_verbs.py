"""Each verb does what it says, is told apart when it cannot, and leaves the others alone."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.actions import service
from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.queries import get_permission
from mailer.consent.service import Cause
from mailer.contacts.queries import list_tags
from mailer.contacts.service import create_field
from mailer.context import Context
from mailer.schema.consent import ConsentEvent, Subscription, Topic
from mailer.schema.content import LinkAction
from mailer.schema.followups import FollowUp
from mailer.schema.segments import SegmentMember
from mailer.segments import service as segments
from mailer.statuses import FieldType, Permission
from tests.actions.clicks import Clicks


def test_a_plain_field_an_own_field_and_the_owner_are_set_and_cleared(ctx: Context) -> None:
    create_field(ctx, "seats", "Seats", FieldType.NUMBER)
    clicks = Clicks(
        ctx,
        [
            ("set_field", {"field": "category", "value": "hot"}),
            ("set_field", {"field": "seats", "value": "3"}),
            ("set_field", {"field": "first_name", "value": ""}),
        ],
    )

    clicks.run()

    contact = clicks.contact()
    assert clicks.states() == ["done"] * 3
    assert (contact.category, contact.data["seats"], contact.first_name) == ("hot", 3, "")


def test_tags_are_given_and_taken(ctx: Context) -> None:
    clicks = Clicks(ctx, [("add_tag", {"tag": "Cold"}), ("add_tag", {"tag": "Hot"}), ("remove_tag", {"tag": "Cold"})])

    clicks.run()

    with ctx.read() as session:
        assert list_tags(session, clicks.contact_id) == ["Hot"]


def test_a_static_segment_is_joined_and_left(ctx: Context) -> None:
    one, two = segments.create_static(ctx, "One"), segments.create_static(ctx, "Two")
    actions = [("add_to_segment", one.id), ("add_to_segment", two.id), ("remove_from_segment", one.id)]
    clicks = Clicks(ctx, [(kind, {"segment_id": number}) for kind, number in actions])

    clicks.run()

    with ctx.read() as session:
        assert session.scalars(select(SegmentMember.segment_id)).all() == [two.id]


def test_subscribing_is_recorded_in_the_ledger_with_its_evidence(ctx: Context) -> None:
    topic = consent.create_topic(ctx, "Breakfasts")
    clicks = Clicks(ctx, [("subscribe", {"topic_id": topic.id})])
    with ctx.write() as session:
        contact = consent.get_contact(session, clicks.contact_id)
        consent.withdraw_all(session, [contact], Cause(source="test", channel="test"))

    clicks.run()

    with ctx.read() as session:
        row = session.get_one(Subscription, (clicks.contact_id, topic.id))
        line = session.scalars(
            select(ConsentEvent).where(ConsentEvent.topic_id == topic.id).order_by(ConsentEvent.id.desc())
        ).first()
        assert get_permission(session, clicks.contact_id) is Permission.CONSENT
    assert row.status == "subscribed"
    assert line is not None
    assert (line.channel, line.source, line.message_id) == ("link", f"link:{clicks.link_id}", clicks.message_id)
    assert line.evidence_digest is not None


def test_an_archived_topic_is_refused(ctx: Context) -> None:
    topic = consent.create_topic(ctx, "Breakfasts")
    clicks = Clicks(ctx, [("subscribe", {"topic_id": topic.id})])
    with ctx.write() as session:
        session.get_one(Topic, topic.id).archived_at = utc_now()

    clicks.run()

    assert clicks.states() == ["refused"]
    assert "archived" in clicks.runs()[0].note


@pytest.mark.parametrize("kind", ["to_do", "call", "meeting"])
def test_a_task_of_each_kind_is_made(ctx: Context, kind: str) -> None:
    clicks = Clicks(ctx, [("follow_up", {"title": "Seats?", "kind": kind, "note": "n", "due_working_days": 0})])

    clicks.run()

    with ctx.read() as session:
        task = session.scalars(select(FollowUp)).one()
    assert (task.title, task.kind, task.note, task.owner_id) == ("Seats?", kind, "n", clicks.owner.id)


def test_each_time_means_each_click_and_not_each_ingest_of_it(ctx: Context) -> None:
    clicks = Clicks(ctx, [("follow_up", {"title": "Again"})], is_repeated=True)

    for hit_id in (7, 8, 8):
        clicks.click(hit_id=hit_id)
    clicks.wait()
    service.run_due(ctx)

    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(FollowUp)) == 2


def test_a_field_that_there_is_not_any_more_is_refused_and_the_rest_is_done(ctx: Context) -> None:
    clicks = Clicks(ctx, [("set_field", {"field": "gone", "value": "1"}), ("add_tag", {"tag": "Hot"})])

    clicks.run()

    assert clicks.states() == ["refused", "done"]
    assert "gone" in clicks.runs()[0].note


def test_an_action_that_had_ended_when_the_click_came_is_refused(ctx: Context) -> None:
    clicks = Clicks(ctx, [("add_tag", {"tag": "Hot"})], ends_at=utc_now() - timedelta(seconds=5))

    clicks.run()

    assert [(run.state, run.note) for run in clicks.runs()] == [("refused", "ended")]
    assert service.try_again(ctx, [run.id for run in clicks.runs()]) == 0


def test_what_cannot_be_taken_back_waits_longer(ctx: Context) -> None:
    clicks = Clicks(ctx, [("add_tag", {"tag": "Hot"}), ("subscribe", {"topic_id": 1}), ("webhook", {"webhook_id": 1})])

    clicks.click()

    waits = [round((run.due_at - run.hit_at).total_seconds() / 60) for run in clicks.runs()]
    assert waits == [1, 10, 10]


def test_what_goes_wrong_is_tried_with_growing_pauses_then_failed_and_may_be_tried_again(ctx: Context) -> None:
    broken = {"title": "Call", "due_working_days": "soon"}  # a row that no door lets in: int("soon") fails
    clicks = Clicks(ctx, [("follow_up", broken), ("add_tag", {"tag": "Hot"})])
    clicks.click()
    pauses = []
    while clicks.states()[0] == "pending":
        clicks.wait()
        service.run_due(ctx)
        run = clicks.runs()[0]
        pauses.append(round((run.due_at - utc_now()).total_seconds() / 60))

    assert pauses[:-1] == [1, 5, 15, 60, 180, 360, 720]
    assert [(run.state, run.note) for run in clicks.runs()] == [("failed", "ValueError"), ("done", "")]

    with ctx.write() as session:
        action = session.get_one(LinkAction, clicks.runs()[0].link_action_id)
        action.params = {"title": "Call"}
    assert service.try_again(ctx, [run.id for run in clicks.runs()]) == 1
    service.run_due(ctx)

    assert clicks.states() == ["done", "done"]


def test_a_worker_that_dies_between_two_actions_leaves_the_second_to_the_next(ctx: Context) -> None:
    clicks = Clicks(ctx, [("follow_up", {"title": "One"}), ("follow_up", {"title": "Two"})])
    clicks.click()
    clicks.wait()
    first, second = clicks.runs()
    service._run(ctx, first.id)
    with ctx.write() as session:
        found = service.claim_run(session, second.id)
        assert found is not None
        service.perform_verb(session, ctx, service._verb(*found), clicks.contact_id)
        session.rollback()  # before the outcome is written: nothing of it is

    service.run_due(ctx)

    assert clicks.states() == ["done", "done"]
    with ctx.read() as session:
        assert sorted(session.scalars(select(FollowUp.title))) == ["One", "Two"]


def test_meeting_of_a_link_is_in_the_first_free_hour_of_the_day_that_the_rule_gives(ctx: Context) -> None:
    ctx.clock.offset = datetime(2026, 12, 3, 10, tzinfo=UTC) - utc_now()  # a Thursday; two working days on is Monday
    meeting = {"title": "Show the model", "kind": "meeting", "due_working_days": 2}
    clicks = Clicks(ctx, [("follow_up", {**meeting, "minutes": 45}), ("follow_up", meeting)])

    clicks.run()
    clicks.run()

    with ctx.read() as session:
        tasks = session.scalars(select(FollowUp).order_by(FollowUp.id)).all()
    assert clicks.states() == ["done", "done"]
    assert [(task.due_on, task.starts_at, task.minutes) for task in tasks] == [
        (date(2026, 12, 7), datetime(2026, 12, 7, 9, tzinfo=UTC), 45),
        (date(2026, 12, 7), datetime(2026, 12, 7, 9, 45, tzinfo=UTC), 30),
    ]
