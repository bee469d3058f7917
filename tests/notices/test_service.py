"""Staff are told of their tasks once, by a real message of the delivery, and no mail names a contact."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.followups import service as followups
from mailer.followups.rules import Rules
from mailer.followups.service import TaskSpec
from mailer.followups.telling import take_turns
from mailer.notices.service import tell_staff
from mailer.schema.delivery import Message
from mailer.schema.followups import FollowUp
from mailer.statuses import TaskMail
from tests.support.make import make_contact, make_sender, make_staff, make_workspace
from tests.support.sink import Sink

MONDAY = date(2026, 12, 7)
LINK = TaskSpec(title="Call about the seminar", due_on=MONDAY, source="link:3")


def _go_to(ctx: Context, day: date, hour: int) -> None:
    """Move business time; the workspace is in Oslo, an hour before UTC in winter."""
    ctx.clock.offset = datetime(day.year, day.month, day.day, hour - 1, 5, tzinfo=UTC) - utc_now()


def _scene(ctx: Context, specs: Sequence[TaskSpec] = (LINK,), mode: TaskMail = TaskMail.DAILY) -> int:
    """A salesperson with tasks."""
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo")
        make_sender(session)
        owner = make_staff(session, email="ann@example.com").id
        for spec in specs:
            contact = make_contact(session, first_name="Canary", last_name="Contactname")
            followups.create_for_contact(session, contact.id, replace(spec, owner_id=owner))
    followups.choose_mails(ctx, owner, mode.value)
    return owner


def _addresses(ctx: Context) -> list[str | None]:
    with ctx.read() as session:
        return list(session.scalars(select(Message.to_address).order_by(Message.id)))


def test_morning_mail_comes_once_a_working_day(ctx: Context) -> None:
    _scene(ctx)
    told = []
    for day, hour in ((MONDAY, 6), (MONDAY, 7), (MONDAY, 8), (MONDAY + timedelta(days=1), 9)):
        _go_to(ctx, day, hour)
        told.append(tell_staff(ctx))

    assert told == [0, 1, 0, 1]
    assert _addresses(ctx) == ["ann@example.com"] * 2


@pytest.mark.parametrize("day", [date(2026, 12, 5), date(2026, 12, 6), date(2026, 12, 25)])
def test_nobody_is_told_on_a_day_on_which_nobody_works(ctx: Context, day: date) -> None:
    _scene(ctx)
    followups.change_rules(ctx, Rules(holidays=(date(2026, 12, 25),)))
    _go_to(ctx, day, 9)

    assert tell_staff(ctx) == 0


def test_each_new_task_is_told_at_once_and_only_to_who_wants_that(ctx: Context) -> None:
    owner = _scene(ctx, mode=TaskMail.EACH)
    _go_to(ctx, MONDAY, 3)
    assert [tell_staff(ctx), tell_staff(ctx)] == [1, 0]

    with ctx.write() as session:
        session.scalars(select(FollowUp)).one().told_at = None
    followups.choose_mails(ctx, owner, TaskMail.DAILY.value)
    assert tell_staff(ctx) == 0


def test_who_wants_no_mail_gets_none(ctx: Context) -> None:
    _scene(ctx, mode=TaskMail.NONE)
    _go_to(ctx, MONDAY, 9)

    assert tell_staff(ctx) == 0


def test_whoever_gets_a_task_handed_over_is_told(ctx: Context) -> None:
    _scene(ctx, mode=TaskMail.EACH)
    _go_to(ctx, MONDAY, 3)
    tell_staff(ctx)
    with ctx.write() as session:
        other = make_staff(session, email="bob@example.com").id
        task = session.scalars(select(FollowUp)).one()
    followups.choose_mails(ctx, other, TaskMail.EACH.value)

    followups.reassign(ctx, [task.public_id], other)

    assert tell_staff(ctx) == 1
    assert _addresses(ctx)[-1] == "bob@example.com"


def test_without_a_sender_nothing_counts_as_told(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        owner = make_staff(session).id
        followups.create_for_contact(session, make_contact(session).id, replace(LINK, owner_id=owner))
    _go_to(ctx, MONDAY, 9)
    assert tell_staff(ctx) == 0
    with ctx.write() as session:
        make_sender(session)

    assert tell_staff(ctx) == 1


def test_several_who_tell_at_once_tell_once(ctx: Context) -> None:
    _scene(ctx, mode=TaskMail.EACH)
    _go_to(ctx, MONDAY, 9)
    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(lambda _: tell_staff(ctx), range(4)))

    assert sum(told) == 1
    assert _addresses(ctx) == ["ann@example.com"]


def test_mail_counts_tasks_and_names_no_person(sending_ctx: Context, sink: Sink) -> None:
    late = replace(LINK, title="Send the offer", due_on=MONDAY - timedelta(days=4))
    by_hand = replace(LINK, title="Ask Canary Contactname <b>", source="hand")
    _scene(sending_ctx, [LINK, LINK, late, by_hand])
    _go_to(sending_ctx, MONDAY, 9)

    tell_staff(sending_ctx)
    send_due(sending_ctx, seconds=10)

    (mail,) = sink.mails
    parsed = message_from_bytes(mail.raw, policy=policy.default)
    text = " ".join(part.get_content() for part in parsed.walk() if part.get_content_maintype() == "text")
    assert parsed["Subject"] == "4 tasks due, 1 overdue"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert "New: Call about the seminar" in text
    assert "New: Send the offer" in text
    assert f"{sending_ctx.settings.public_url}/follow-ups" in text
    assert "Canary" not in mail.raw.decode() + text


def test_morning_mail_has_the_meetings_of_the_day_with_their_hours(sending_ctx: Context, sink: Sink) -> None:
    meeting = replace(LINK, kind="meeting", title="Show the new model", now=datetime(2026, 12, 4, 12, tzinfo=UTC))
    by_hand = replace(meeting, title="Lunch with Canary", source="hand", minutes=90)
    tomorrow = replace(meeting, due_on=MONDAY + timedelta(days=1))
    _scene(sending_ctx, [meeting, by_hand, tomorrow])
    _go_to(sending_ctx, MONDAY, 9)

    tell_staff(sending_ctx)
    send_due(sending_ctx, seconds=10)

    (mail,) = sink.mails
    parsed = message_from_bytes(mail.raw, policy=policy.default)
    text = " ".join(part.get_content() for part in parsed.walk() if part.get_content_type() == "text/plain")
    assert parsed["Subject"] == "2 tasks due"
    for words in ("09:00 Show the new model", "09:30 Meeting, made by hand", "New: Show the new model, 8 Dec 09:00"):
        assert words in text, text
    assert "30 min" in text
    assert "90 min" in text
    assert "Canary" not in text


def test_meeting_that_is_over_is_overdue_and_one_later_today_is_not(ctx: Context) -> None:
    meeting = replace(LINK, kind="meeting")
    hours = [datetime(2026, 12, 7, hour, tzinfo=UTC) for hour in (6, 15)]
    owner = _scene(ctx, [replace(meeting, starts_at=hour) for hour in hours])
    _go_to(ctx, MONDAY, 9)

    with ctx.write() as session:
        (summary,) = take_turns(session, ctx.clock.now(), "Europe/Oslo")

    assert (summary.staff_id, summary.overdue, summary.today) == (owner, 1, 1)
    assert [f"{line.starts:%H:%M}" for line in summary.meetings] == ["16:00"]


def test_new_meetings_beyond_the_lines_of_a_mail_are_counted(ctx: Context) -> None:
    meeting = replace(LINK, kind="meeting", now=datetime(2026, 12, 4, 12, tzinfo=UTC))
    _scene(ctx, [*[meeting] * 23, LINK, replace(meeting, source="hand")], mode=TaskMail.EACH)
    _go_to(ctx, MONDAY, 3)

    with ctx.write() as session:
        (summary,) = take_turns(session, ctx.clock.now(), "Europe/Oslo")

    starts = [line.starts for line in summary.new_meetings]
    assert (len(starts), starts) == (20, sorted(starts))
    assert (list(summary.new), summary.by_hand) == ([(LINK.title, 4)], 1)
