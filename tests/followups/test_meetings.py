"""Meetings: in the first free hour of their owner, one after the other, whoever else looks for one at that moment."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError
from mailer.followups import queries, service
from mailer.followups.meetings import find_clash
from mailer.followups.queries import Filter
from mailer.followups.rules import Rules
from mailer.followups.service import TaskSpec
from mailer.schema.accounts import Staff
from mailer.schema.followups import FollowUp
from tests.support.make import make_contact, make_staff, make_workspace

MONDAY = date(2026, 12, 7)
MEETING = TaskSpec(title="Show the new model", kind="meeting", due_on=MONDAY, minutes=60)


@pytest.fixture
def people(ctx: Context) -> list[int]:
    """Two of the staff, on the Friday before, in Oslo, an hour before UTC."""
    ctx.clock.offset = datetime(2026, 12, 4, 10, tzinfo=UTC) - utc_now()
    with ctx.write() as session:
        make_workspace(session, timezone="Europe/Oslo", clock_offset_seconds=int(ctx.clock.offset.total_seconds()))
        return [make_staff(session, name=name).id for name in ("Ann", "Bo")]


def _make(ctx: Context, owner_id: int, spec: TaskSpec = MEETING) -> FollowUp:
    with ctx.write() as session:
        contact_id = make_contact(session).id
    return service.create_by_hand(ctx, contact_id, replace(spec, owner_id=owner_id))


def _starts(ctx: Context, owner_id: int | None = None) -> list[str]:
    with ctx.read() as session:
        lines = queries.list_follow_ups(session, Filter(owner_id=owner_id))
    return [f"{line.task.starts_at:%d %H:%M}" if line.task.starts_at else f"{line.task.due_on:%d}" for line in lines]


def _at(hour: int, minute: int = 0) -> datetime:
    """An hour of Monday in Oslo."""
    return datetime(2026, 12, 7, hour - 1, minute, tzinfo=UTC)


def test_meetings_of_one_person_follow_each_other_and_anothers_do_not_matter(ctx: Context, people: list[int]) -> None:
    for owner_id in (people[0], people[0], people[1]):
        _make(ctx, owner_id)

    assert _starts(ctx, people[0]) == ["07 08:00", "07 09:00"]
    assert _starts(ctx, people[1]) == ["07 08:00"]


def test_working_hours_are_the_workspaces_and_an_hour_too_few_is_told(ctx: Context, people: list[int]) -> None:
    service.change_rules(ctx, Rules(day_starts=14 * 60, day_ends=15 * 60 + 30, holidays=[MONDAY]))
    for _ in range(2):
        _make(ctx, people[0])

    assert _starts(ctx) == ["08 13:00", "09 13:00"]
    with pytest.raises(ConflictError, match="Ann has no 120 minutes free"):
        _make(ctx, people[0], replace(MEETING, minutes=120))


def test_bulk_meetings_fill_the_days_in_order_and_repeating_takes_no_hour(ctx: Context, people: list[int]) -> None:
    with ctx.write() as session:
        ids = [make_contact(session, owner_id=people[0]).id for _ in range(10)]
        made = [service.create_for_contacts(session, ids, MEETING, occasion="x") for _ in range(2)]
    _make(ctx, people[0])

    assert [len(one) for one in made] == [10, 0]
    assert [word[:2] for word in _starts(ctx)] == ["07"] * 8 + ["08"] * 3
    assert len(set(_starts(ctx))) == 11


def test_closed_meeting_gives_its_hour_back(ctx: Context, people: list[int]) -> None:
    task = _make(ctx, people[0])
    service.complete(ctx, [task.public_id], "meeting")
    _make(ctx, people[0])

    assert _starts(ctx) == ["07 08:00"]


def test_meeting_sorts_by_its_start_before_what_has_no_hour(ctx: Context, people: list[int]) -> None:
    for hour, kind in ((None, "call"), (15, "meeting"), (10, "meeting")):
        starts = _at(hour) if hour else None
        minutes = 60 if hour else None
        _make(ctx, people[0], replace(MEETING, kind=kind, starts_at=starts, minutes=minutes))
    _make(ctx, people[0], TaskSpec(title="Call", due_on=date(2026, 12, 6)))

    assert _starts(ctx) == ["06", "07 09:00", "07 14:00", "07"]
    with ctx.read() as session:
        seen, after = [], None
        while page := queries.list_follow_ups(session, after=after, limit=1):
            seen += [line.task.id for line in page]
            after = queries.key_of(page[-1])
        assert seen == [line.task.id for line in queries.list_follow_ups(session)]


def test_meeting_is_overdue_once_it_is_over(ctx: Context, people: list[int]) -> None:
    _make(ctx, people[0])
    with ctx.read() as session:
        (line,) = queries.list_follow_ups(session)

    assert not line.is_overdue(_at(9, 59), MONDAY)
    assert line.is_overdue(_at(10), MONDAY)


def test_hour_typed_by_hand_may_overlap_and_is_told(ctx: Context, people: list[int]) -> None:
    first = _make(ctx, people[0], replace(MEETING, starts_at=_at(9, 30)))
    second = _make(ctx, people[0], replace(MEETING, starts_at=_at(10)))

    with ctx.read() as session:
        clash = find_clash(session, second, ctx.clock.now())
        assert [line.overlaps for line in queries.list_follow_ups(session)] == [True, True]
    assert clash is not None
    assert [other.id for other in clash.others] == [first.id]
    assert clash.free == (_at(10, 30), _at(11, 30))


def test_meetings_that_touch_do_not_overlap(ctx: Context, people: list[int]) -> None:
    _make(ctx, people[0], replace(MEETING, starts_at=_at(9)))
    _make(ctx, people[0], replace(MEETING, starts_at=_at(10)))

    with ctx.read() as session:
        assert [line.overlaps for line in queries.list_follow_ups(session)] == [False, False]


def test_snoozed_meetings_go_to_the_first_free_hours_of_the_day(ctx: Context, people: list[int]) -> None:
    tasks = [_make(ctx, people[0]) for _ in range(2)]
    _make(ctx, people[0], replace(MEETING, due_on=date(2026, 12, 8)))
    call = _make(ctx, people[0], TaskSpec(title="Call", due_on=MONDAY))

    moved = service.snooze(ctx, [task.public_id for task in (*tasks, call)], date(2026, 12, 8))

    assert moved.count == 3
    assert _starts(ctx) == ["08 08:00", "08 09:00", "08 10:00", "08"]


def test_meeting_snoozed_to_its_own_day_leaves_an_overlap(ctx: Context, people: list[int]) -> None:
    _make(ctx, people[0], replace(MEETING, starts_at=_at(9)))
    second = _make(ctx, people[0], replace(MEETING, starts_at=_at(9)))

    service.snooze(ctx, [second.public_id], MONDAY)

    assert _starts(ctx) == ["07 08:00", "07 09:00"]


def test_handing_a_meeting_to_somebody_busy_says_so_with_their_next_free_hour(ctx: Context, people: list[int]) -> None:
    task = _make(ctx, people[0])
    _make(ctx, people[1])

    handed = service.reassign(ctx, [task.public_id], people[1])
    back = service.reassign(ctx, [task.public_id], people[0])

    assert [clash.free for clash in handed.clashes] == [(_at(10), _at(11))]
    assert (handed.count, back.count, list(back.clashes)) == (1, 1, [])


def test_task_is_changed_into_a_meeting_and_back(ctx: Context, people: list[int]) -> None:
    _make(ctx, people[0])
    task = _make(ctx, people[0], TaskSpec(title="Call", due_on=MONDAY))

    assert service.edit(ctx, task.public_id, MEETING) is None
    assert _starts(ctx) == ["07 08:00", "07 09:00"]
    assert service.edit(ctx, task.public_id, replace(MEETING, starts_at=_at(9))) is not None
    assert service.edit(ctx, task.public_id, TaskSpec(title="Call", due_on=MONDAY)) is None
    assert _starts(ctx) == ["07 08:00", "07"]

    service.complete(ctx, [task.public_id])
    with pytest.raises(ConflictError, match="closed"):
        service.edit(ctx, task.public_id, MEETING)


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (replace(MEETING, minutes=4), "minutes"),
        (replace(MEETING, minutes=481), "minutes"),
        (replace(MEETING, kind="call"), "only a meeting"),
    ],
)
def test_lengths_that_are_none_are_refused(spec: TaskSpec, what: str) -> None:
    with pytest.raises(InputError, match=what):
        service.check_spec(spec)


def test_two_at_once_never_get_the_same_hour(ctx: Context, people: list[int]) -> None:
    """Each transaction has looked before any has committed, unless the second waits for the first."""
    with ctx.write() as session:
        ids = [make_contact(session, owner_id=people[0]).id for _ in range(4)]
    begun = threading.Barrier(len(ids))

    def create(contact_id: int) -> None:
        begun.wait(20)
        with ctx.write() as session:
            service.create_for_contact(session, contact_id, MEETING, dedupe_key=f"x:{contact_id}")
            time.sleep(0.03)  # so that all others are under way before this one commits

    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(create, ids))

    assert _starts(ctx) == ["07 08:00", "07 09:00", "07 10:00", "07 11:00"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_looks_for_an_hour_waits_for_who_found_one(ctx: Context, people: list[int]) -> None:
    """The lock is on the person: it is taken before the diary is read, and holds up nobody who only refers to them."""
    with ctx.write() as session:
        first, second = (make_contact(session, owner_id=people[0]).id for _ in range(2))
    with ctx.write() as session:
        service.create_for_contact(session, first, MEETING)
        _create_impatiently(ctx, second, TaskSpec(title="Call", due_on=MONDAY))
        with pytest.raises(OperationalError, match="lock timeout"):
            _create_impatiently(ctx, second, MEETING)


def _create_impatiently(ctx: Context, contact_id: int, spec: TaskSpec) -> None:
    with ctx.write() as session:
        session.execute(text("SET LOCAL lock_timeout = '200ms'"))
        service.create_for_contact(session, contact_id, spec)


def test_repeated_cause_takes_nobodys_turn(ctx: Context, people: list[int]) -> None:
    with ctx.write() as session:
        for row in session.scalars(select(Staff)):
            row.group_name = "Sales"
        ids = [make_contact(session).id for _ in range(3)]
        spec = TaskSpec(title="Call", due_on=MONDAY, group="Sales")
        for _ in range(2):
            service.create_for_contact(session, ids[0], spec, dedupe_key="once")
        service.create_for_contact(session, ids[1], spec)
        owners = session.scalars(select(FollowUp.owner_id).order_by(FollowUp.id)).all()

    assert list(owners) == people


def test_hours_are_a_days_and_no_more(ctx: Context, people: list[int]) -> None:
    with pytest.raises(InputError, match="ends after it has begun"):
        service.change_rules(ctx, Rules(day_starts=600, day_ends=600))


def test_past_meetings_are_not_searched_from(ctx: Context, people: list[int]) -> None:
    task = _make(ctx, people[0], replace(MEETING, due_on=MONDAY - timedelta(days=90)))

    assert task.starts_at == datetime(2026, 12, 4, 10, 15, tzinfo=UTC), "the next quarter"
