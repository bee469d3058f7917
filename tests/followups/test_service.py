"""Tasks: never nobody's, closed with an outcome, moved and handed on."""

from datetime import date

import pytest
from sqlalchemy import select

from mailer.context import Context
from mailer.errors import ConflictError, InputError
from mailer.followups import queries, service
from mailer.followups.service import TaskSpec
from mailer.schema.followups import FollowUp
from mailer.statuses import FollowUpStatus
from tests.support.make import make_contact, make_staff

SPEC = TaskSpec(title="Call", due_on=date(2026, 12, 1))


def _task(ctx: Context) -> FollowUp:
    with ctx.write() as session:
        make_staff(session)
        contact = make_contact(session)
        service.create_for_contact(session, contact.id, SPEC)
        return session.scalars(select(FollowUp)).one()


def test_task_without_any_staff_is_refused_with_what_to_do(ctx: Context) -> None:
    with ctx.write() as session:
        contact = make_contact(session)
        with pytest.raises(ConflictError, match="nobody"):
            service.create_for_contact(session, contact.id, SPEC)


def test_same_cause_makes_one_task(ctx: Context) -> None:
    with ctx.write() as session:
        make_staff(session)
        contact = make_contact(session)
        made = [service.create_for_contact(session, contact.id, SPEC, dedupe_key="x") for _ in range(2)]

    assert made == [True, False]


def test_done_with_an_outcome_and_open_again(ctx: Context) -> None:
    task = _task(ctx)

    service.complete(ctx, task.public_id, "sale")
    with ctx.read() as session:
        assert queries.list_follow_ups(session) == []
        assert queries.list_follow_ups(session, status=FollowUpStatus.DONE)[0].task.outcome == "sale"

    service.reopen(ctx, task.public_id)
    with ctx.read() as session:
        assert len(queries.list_follow_ups(session)) == 1


def test_unknown_outcome_is_refused(ctx: Context) -> None:
    task = _task(ctx)

    with pytest.raises(InputError, match="reached"):
        service.complete(ctx, task.public_id, "whatever")


def test_snoozed_and_reassigned(ctx: Context) -> None:
    task = _task(ctx)
    with ctx.write() as session:
        other = make_staff(session)

    service.snooze(ctx, task.public_id, date(2027, 1, 4))
    service.reassign(ctx, task.public_id, other.id)

    with ctx.read() as session:
        line = queries.list_follow_ups(session, owner_id=other.id)[0]
        assert line.task.due_on == date(2027, 1, 4)
        assert queries.count_open(session, date(2027, 1, 4), owner_id=other.id) == (1, 1)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (date(2026, 11, 20), 1, date(2026, 11, 23)),
        (date(2026, 11, 21), 1, date(2026, 11, 23)),
        (date(2026, 11, 19), 2, date(2026, 11, 23)),
        (date(2026, 11, 23), 5, date(2026, 11, 30)),
        (date(2026, 12, 31), 0, date(2026, 12, 31)),
    ],
)
def test_working_days_leave_weekends_out(start: date, days: int, end: date) -> None:
    assert service.add_working_days(start, days) == end


def test_pages_of_tasks_are_whole_and_ordered(ctx: Context) -> None:
    with ctx.write() as session:
        make_staff(session)
        for day in (3, 1, 2, 1, 3):
            contact = make_contact(session)
            service.create_for_contact(session, contact.id, TaskSpec(title="Call", due_on=date(2026, 12, day)))

    with ctx.read() as session:
        seen, after = [], None
        while page := queries.list_follow_ups(session, after=after, limit=2):
            seen += [line.task.due_on.day for line in page]
            after = (page[-1].task.due_on, page[-1].task.id)

    assert seen == [1, 1, 2, 3, 3]
