"""The timeline tells everything that happened with a person, newest first (FEATURES K6)."""

from datetime import UTC, datetime, timedelta

from mailer.clock import utc_now
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.followups.service import TaskSpec, create_for_contact
from mailer.reports.timeline import list_timeline
from tests.support.make import make_activity, make_reader, make_sending, make_staff, make_topic, make_workspace


def test_it_brings_mails_tasks_consent_and_activities_together(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        make_staff(session)
        topic = make_topic(session, name="News")
        person = make_reader(session, topic, key=ctx.keys.suppression)
        stranger = make_reader(session, topic, key=ctx.keys.suppression)
        make_sending(session, ctx, [person, stranger], topic)
        make_activity(session, person, kind="purchase", days_ago=400, amount=1250, currency="NOK")
        create_for_contact(session, person.id, TaskSpec(title="Call", due_on=utc_now().date()))
        consent.unsubscribe(session, person, topic.id, Cause(source="link", channel="page"))
        consent.unsubscribe(session, stranger, topic.id, Cause(source="link", channel="page"))

    with ctx.read() as session:
        timeline = list_timeline(session, person)
        tasks = list_timeline(session, person, kind="task")

    assert sorted(entry.kind for entry in timeline) == ["activity", "consent", "contact", "mail", "task"]
    assert timeline[-1].kind == "activity"
    assert (timeline[-1].amount, timeline[-1].currency) == (1250, "NOK")
    assert [entry.at for entry in timeline] == sorted((entry.at for entry in timeline), reverse=True)
    assert [entry.title for entry in tasks] == ["Call"]


def test_meeting_is_there_with_its_hour_and_length(ctx: Context) -> None:
    start = datetime(2031, 3, 3, 9, tzinfo=UTC)
    with ctx.write() as session:
        make_workspace(session)
        make_staff(session)
        person = make_reader(session, make_topic(session), key=ctx.keys.suppression)
        spec = TaskSpec(title="Meet", kind="meeting", due_on=start.date(), starts_at=start, minutes=45)
        create_for_contact(session, person.id, spec)

        (entry,) = list_timeline(session, person, kind="task")

    assert (entry.starts_at, entry.minutes) == (start, 45)


def test_it_stops_at_its_limit_with_the_newest(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        person = make_reader(session, make_topic(session), key=ctx.keys.suppression)
        for days in range(1, 20):
            make_activity(session, person, kind="visit", days_ago=days)

    with ctx.read() as session:
        timeline = list_timeline(session, person, kind="activity", limit=5)

    assert len(timeline) == 5
    assert timeline[0].at > utc_now() - timedelta(days=2)
