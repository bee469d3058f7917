"""Tasks: never nobody's, closed with an outcome, moved and handed on."""

from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest
from sqlalchemy import select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.followups import queries, service
from mailer.followups.calendar import Calendar, parse_holidays
from mailer.followups.queries import Filter
from mailer.followups.rules import Rules
from mailer.followups.service import TaskSpec
from mailer.schema.followups import FollowUp
from mailer.statuses import FollowUpStatus
from tests.support.make import make_company, make_contact, make_staff

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

    service.complete(ctx, [task.public_id], "sale")
    with ctx.read() as session:
        assert queries.list_follow_ups(session) == []
        assert queries.list_follow_ups(session, Filter(status=FollowUpStatus.DONE))[0].task.outcome == "sale"

    service.reopen(ctx, [task.public_id])
    with ctx.read() as session:
        assert len(queries.list_follow_ups(session)) == 1


def test_unknown_outcome_is_refused(ctx: Context) -> None:
    task = _task(ctx)

    with pytest.raises(InputError, match="reached"):
        service.complete(ctx, [task.public_id], "whatever")


def test_snoozed_and_reassigned(ctx: Context) -> None:
    task = _task(ctx)
    with ctx.write() as session:
        other = make_staff(session)

    service.snooze(ctx, [task.public_id], date(2027, 1, 4))
    service.reassign(ctx, [task.public_id], other.id)

    with ctx.read() as session:
        line = queries.list_follow_ups(session, Filter(owner_id=other.id))[0]
        assert line.task.due_on == date(2027, 1, 4)
        assert queries.count_open(session, date(2027, 1, 4), Filter(owner_id=other.id)) == (1, 1)


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
    assert Calendar().add_working_days(start, days) == end


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
            after = queries.key_of(page[-1])

    assert seen == [1, 1, 2, 3, 3]


def test_holidays_are_no_working_days() -> None:
    calendar = Calendar(frozenset({date(2026, 12, 24), date(2026, 12, 25)}))

    assert calendar.add_working_days(date(2026, 12, 23), 1) == date(2026, 12, 28)


def test_lines_that_are_no_days_are_named_and_the_rest_is_read() -> None:
    assert parse_holidays("2026-12-25 Christmas\n\n2026-12-24, 2026-12-25") == [date(2026, 12, 24), date(2026, 12, 25)]
    with pytest.raises(InputError) as caught:
        parse_holidays("2026-12-25\n25.12.2026\nsoon")
    assert [problem.what for problem in caught.value.problems] == [
        "line 2: '25.12.2026' is no day",
        "line 3: 'soon' is no day",
    ]


def _make_contacts(ctx: Context, count: int) -> list[int]:
    with ctx.write() as session:
        return [make_contact(session).id for _ in range(count)]


def _owners(ctx: Context, contacts: list[int], *, group: str = "") -> list[int]:
    """Make a task for each contact, one call each, and return who owns them."""
    for contact in contacts:
        with ctx.write() as session:
            service.create_for_contact(session, contact, replace(SPEC, group=group))
    with ctx.read() as session:
        return list(session.scalars(select(FollowUp.owner_id).order_by(FollowUp.id)))


def test_what_nobody_owns_goes_round_in_the_group(ctx: Context) -> None:
    with ctx.write() as session:
        make_staff(session)
        group = [make_staff(session, group_name="Sales").id for _ in range(3)]
    service.change_rules(ctx, Rules(group_name="Sales"))

    assert _owners(ctx, _make_contacts(ctx, 5)) == [*group, *group[:2]]


def test_turns_of_a_group_go_on_where_they_stopped_in_one_call_for_many(ctx: Context) -> None:
    with ctx.write() as session:
        group = [make_staff(session, group_name="Sales").id for _ in range(3)]
    contacts = _make_contacts(ctx, 8)
    for part in (contacts[:4], contacts[4:]):
        with ctx.write() as session:
            service.create_for_contacts(session, part, replace(SPEC, group="Sales"), occasion="x")

    with ctx.read() as session:
        dealt = session.scalars(select(FollowUp.owner_id).order_by(FollowUp.contact_id)).all()
    assert dealt == [group[at % 3] for at in range(8)]


def test_group_without_anybody_is_refused(ctx: Context) -> None:
    with ctx.write() as session:
        make_staff(session)
    contacts = _make_contacts(ctx, 1)
    with pytest.raises(InputError, match="nobody works in the group"):
        _owners(ctx, contacts, group="Sales")


def test_who_has_left_gets_no_task(ctx: Context) -> None:
    with ctx.write() as session:
        there, gone = make_staff(session, group_name="Sales"), make_staff(session, group_name="Sales")
        gone.archived_at = utc_now()
        company = make_company(session, owner_id=gone.id)
        contact = make_contact(session, owner_id=gone.id, company_id=company.id).id

    service.change_rules(ctx, Rules(group_name="Sales"))
    assert _owners(ctx, [contact]) == [there.id]
    with pytest.raises(InputError, match="nobody of the staff"):
        service.change_rules(ctx, Rules(owner_id=gone.id))
    with pytest.raises(NotFoundError):
        service.reassign(ctx, [_only(ctx).public_id], gone.id)


def test_owner_of_the_contact_goes_before_the_companys_and_both_before_the_group(ctx: Context) -> None:
    with ctx.write() as session:
        own, companys, _ = (make_staff(session, group_name=name) for name in ("", "", "Sales"))
        company = make_company(session, owner_id=companys.id)
        contacts = [
            make_contact(session, owner_id=own.id, company_id=company.id).id,
            make_contact(session, company_id=company.id).id,
        ]
    service.change_rules(ctx, Rules(group_name="Sales"))

    assert _owners(ctx, contacts) == [own.id, companys.id]


def test_workspaces_own_person_gets_what_is_left(ctx: Context) -> None:
    with ctx.write() as session:
        make_staff(session, role="sales")
        chosen = make_staff(session).id
    service.change_rules(ctx, Rules(owner_id=chosen))

    assert _owners(ctx, _make_contacts(ctx, 1)) == [chosen]


def _only(ctx: Context) -> FollowUp:
    with ctx.read() as session:
        return session.scalars(select(FollowUp)).one()


def test_closed_task_is_neither_moved_nor_closed_again(ctx: Context) -> None:
    task = _task(ctx)
    assert service.complete(ctx, [task.public_id], "sale") == 1

    assert service.complete(ctx, [task.public_id], "reached") == 0
    assert service.snooze(ctx, [task.public_id], date(2027, 1, 4)).count == 0
    assert (_only(ctx).outcome, _only(ctx).due_on) == ("sale", SPEC.due_on)


def test_task_that_does_not_exist_is_told(ctx: Context) -> None:
    with pytest.raises(NotFoundError):
        service.complete(ctx, [uuid4()], "sale")
