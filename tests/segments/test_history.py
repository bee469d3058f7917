"""History of watched segments: entered and left once, with time and cause, whoever looks and whatever dies."""

import threading
import uuid
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentEvent, SegmentSize, SegmentWatch, SegmentWatchMember
from mailer.segments import freezing, members, removal, service
from mailer.segments.history import look as looks
from mailer.segments.history import queries
from mailer.segments.history.look import look
from mailer.segments.history.watch import unwatch, watch
from mailer.statuses import SegmentOperation
from tests.support.make import make_contact, make_staff, make_workspace


def rule(city: str) -> dict[str, Any]:
    return {"version": 1, "all": [{"field": "city", "op": "equals", "value": city}]}


@pytest.fixture
def people(ctx: Context) -> list[int]:
    with ctx.write() as session:
        make_workspace(session)
        return [make_contact(session, city="Oslo" if at < 3 else "Bergen").id for at in range(6)]


@pytest.fixture
def oslo(ctx: Context, people: list[int]) -> Segment:
    segment = service.create_dynamic(ctx, "Oslo", rule("Oslo"))
    watch(ctx, segment.id)
    look(ctx, segment.id)
    return segment


def move(ctx: Context, contact_id: int, city: str) -> None:
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == contact_id).values(city=city))


def told(ctx: Context, segment: Segment) -> list[tuple[int, str, str]]:
    with ctx.read() as session:
        return [(line.contact_id, line.kind, line.cause) for line in queries.iter_events(session, segment.id, page=2)]


def known(ctx: Context, segment: Segment) -> set[int]:
    with ctx.read() as session:
        rows = select(SegmentWatchMember.contact_id).where(SegmentWatchMember.segment_id == segment.id)
        return set(session.scalars(rows))


def test_who_is_in_when_the_watch_begins_did_not_enter(ctx: Context, people: list[int], oslo: Segment) -> None:
    assert told(ctx, oslo) == []
    assert known(ctx, oslo) == set(people[:3])


def test_change_of_the_data_is_told_once(ctx: Context, people: list[int], oslo: Segment) -> None:
    move(ctx, people[3], "Oslo")
    move(ctx, people[0], "Bergen")

    first, second = look(ctx, oslo.id), look(ctx, oslo.id)

    assert first == looks.Seen(entered=1, left=1, members=3)
    assert second == looks.Seen(entered=0, left=0, members=3)
    assert told(ctx, oslo) == [(people[3], "entered", "data"), (people[0], "left", "data")]


def test_edit_of_the_rule_is_the_cause_and_only_of_the_next_look(
    ctx: Context, people: list[int], oslo: Segment
) -> None:
    service.update_segment(ctx, oslo.id, rule=rule("Bergen"))
    look(ctx, oslo.id)
    move(ctx, people[0], "Bergen")
    look(ctx, oslo.id)

    causes = {(kind, cause): 0 for _, kind, cause in told(ctx, oslo)}
    assert set(causes) == {("entered", "rule"), ("left", "rule"), ("entered", "data")}
    assert told(ctx, oslo)[-1] == (people[0], "entered", "data")


def test_edit_of_a_part_is_an_edit_of_the_whole(ctx: Context, people: list[int], oslo: Segment) -> None:
    all_of_them = service.create_combined(ctx, "Both", SegmentOperation.UNION, ["Oslo", str(oslo.id)])
    watch(ctx, all_of_them.id)
    look(ctx, all_of_them.id)

    service.update_segment(ctx, oslo.id, rule=rule("Bergen"))
    look(ctx, all_of_them.id)

    assert {cause for _, _, cause in told(ctx, all_of_them)} == {"rule"}


def test_edit_that_a_running_look_does_not_see_is_left_for_the_next(
    ctx: Context, people: list[int], oslo: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = looks._record_size

    def edit_meanwhile(*args: Any) -> int:
        monkeypatch.setattr(looks, "_record_size", record)
        watching = args[0].get(SegmentWatch, oslo.id)
        watching.rule_changed_at = utc_now()
        return record(*args)

    monkeypatch.setattr(looks, "_record_size", edit_meanwhile)
    look(ctx, oslo.id)

    with ctx.read() as session:
        watching = session.get_one(SegmentWatch, oslo.id)
    assert watching.rule_changed_at is not None
    assert watching.due_at <= utc_now()


def test_archived_contact_leaves(ctx: Context, people: list[int], oslo: Segment) -> None:
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[1]).values(archived_at=utc_now()))

    look(ctx, oslo.id)

    assert told(ctx, oslo) == [(people[1], "left", "data")]


def test_static_segment_keeps_who_when_and_why_at_once(ctx: Context, people: list[int]) -> None:
    with ctx.write() as session:
        staff = make_staff(session)
    segment = service.create_static(ctx, "Board", contact_ids=people[:2])
    watch(ctx, segment.id)
    look(ctx, segment.id)

    with ctx.write() as session:
        members.add_members(session, segment.id, [people[2]], cause="link:7")
        members.remove_members(session, segment.id, [people[2]], cause="by hand", by=staff.id)
        members.add_members(session, segment.id, [people[0], people[3]], cause="by hand", by=staff.id)
    assert look(ctx, segment.id) == looks.Seen(0, 0, 3)

    assert told(ctx, segment) == [
        (people[2], "entered", "link:7"),
        (people[2], "left", "by hand"),
        (people[3], "entered", "by hand"),
    ]
    with ctx.read() as session:
        lines = queries.list_events(session, segment.id)
    assert [line.by for line in lines] == [staff.email, staff.email, ""]


def test_who_joins_a_list_before_the_first_look_entered(ctx: Context, people: list[int]) -> None:
    segment = service.create_static(ctx, "Board", contact_ids=people[:2])
    watch(ctx, segment.id)
    with ctx.write() as session:
        members.add_members(session, segment.id, [people[4]], cause="by hand")
        members.remove_members(session, segment.id, [people[0]])

    look(ctx, segment.id)

    assert known(ctx, segment) == {people[1], people[4]}
    assert (people[4], "entered", "by hand") in told(ctx, segment)
    assert (people[0], "left", "by hand") in told(ctx, segment)
    assert not [line for line in told(ctx, segment) if line[0] == people[1]]


def test_two_lookers_at_once_tell_everything_once(ctx: Context, make_ctx: Any, people: list[int]) -> None:
    with ctx.write() as session:
        more = [make_contact(session, city="Oslo").id for _ in range(300)]
    segment = service.create_dynamic(ctx, "Oslo", rule("Oslo"))
    watch(ctx, segment.id)
    look(ctx, segment.id)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id.in_(more)).values(city="Rome"))
        session.execute(update(Contact).where(Contact.id.in_(people)).values(city="Oslo"))
    workers = [make_ctx() for _ in range(2)]
    gate = threading.Barrier(2)

    def work(mine: Context) -> None:
        for _ in range(5):
            gate.wait()
            look(mine, segment.id)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = told(ctx, segment)
    assert len(lines) == len(set(lines)) == len(more) + 3
    assert known(ctx, segment) == set(people)


def test_look_that_dies_between_pages_is_finished_by_the_next(
    ctx: Context, people: list[int], oslo: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ctx.write() as session:
        fresh = [make_contact(session, city="Oslo").id for _ in range(40)]
    monkeypatch.setattr(looks, "iter_pages", lambda session, query: _pages_of(session, query, 7, dies_after=3))
    with pytest.raises(KeyboardInterrupt):
        look(ctx, oslo.id)
    assert len(told(ctx, oslo)) == 21
    assert look(ctx, oslo.id) is None  # its lease is still running
    with ctx.write() as session:
        session.execute(update(SegmentWatch).values(leased_until=utc_now() - timedelta(seconds=1)))

    monkeypatch.undo()
    assert look(ctx, oslo.id) == looks.Seen(19, 0, 43)

    lines = told(ctx, oslo)
    assert sorted(line[0] for line in lines) == fresh


def _pages_of(session: Any, query: Any, size: int, *, dies_after: int) -> Any:
    with session.execute(query.execution_options(yield_per=size)) as result:
        for at, page in enumerate(result.partitions()):
            if at == dies_after:
                raise KeyboardInterrupt
            yield [row[0] for row in page]


def test_look_that_was_given_up_for_dead_writes_nothing_more(
    ctx: Context, people: list[int], oslo: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(ctx, people[3], "Oslo")

    def slow_pages(session: Any, query: Any) -> Any:
        monkeypatch.undo()
        with ctx.write() as writing:
            writing.execute(update(SegmentWatch).values(leased_until=None))
        assert look(ctx, oslo.id) == looks.Seen(1, 0, 4)
        yield [people[3]]

    monkeypatch.setattr(looks, "iter_pages", slow_pages)

    assert look(ctx, oslo.id) is None
    assert told(ctx, oslo) == [(people[3], "entered", "data")]


def test_look_writes_those_who_changed_and_nobody_else(ctx: Context, people: list[int], oslo: Segment) -> None:
    names = ("first_name", "last_name", "title", "phone", "language", "timezone", "country", "category")
    plain = dict.fromkeys(names, "") | {"city": "Oslo", "data": {}, "do_not_mail": False}
    plain |= {"created_at": utc_now(), "updated_at": utc_now()}
    with ctx.write() as session:
        session.execute(
            Contact.__table__.insert(),
            [
                plain | {"id": 10_000 + at, "public_id": uuid.UUID(int=at), "ledger_id": 900_000 + at}
                for at in range(10_000)
            ],
        )  # fmt: skip
    look(ctx, oslo.id)
    before = _rows(ctx, oslo)
    move(ctx, 12_345, "Rome")
    move(ctx, people[5], "Oslo")

    assert look(ctx, oslo.id) == looks.Seen(1, 1, 10_003)

    after = _rows(ctx, oslo)
    stayed = before.keys() & after.keys()
    assert len(stayed) == 10_002
    assert all(before[one] == after[one] for one in stayed)  # the same row, not written again
    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(SegmentEvent)) == 10_000 + 2


def _rows(ctx: Context, segment: Segment) -> dict[int, str]:
    """Return where each known member lies: a row that is written again gets another place on either engine."""
    place = "rowid" if ctx.database.is_sqlite else "ctid::text || xmin::text"
    with ctx.read() as session:
        statement = f"SELECT contact_id, {place} FROM segment_watch_member WHERE segment_id = {segment.id}"
        return {row[0]: row[1] for row in session.connection().exec_driver_sql(statement)}


def test_unwatching_keeps_the_history_and_watching_again_begins_anew(
    ctx: Context, people: list[int], oslo: Segment
) -> None:
    move(ctx, people[3], "Oslo")
    look(ctx, oslo.id)
    unwatch(ctx, oslo.id)
    move(ctx, people[4], "Oslo")
    assert look(ctx, oslo.id) is None
    assert known(ctx, oslo) == set()

    watch(ctx, oslo.id)
    assert look(ctx, oslo.id) == looks.Seen(0, 0, 5)

    assert told(ctx, oslo) == [(people[3], "entered", "data")]


def test_archived_segment_is_watched_no_more(ctx: Context, people: list[int], oslo: Segment) -> None:
    removal.archive_segment(ctx, oslo.id)

    assert look(ctx, oslo.id) is None
    with pytest.raises(ConflictError, match="archived"):
        watch(ctx, oslo.id)


def test_conversion_of_a_watched_segment_tells_nothing(ctx: Context, people: list[int], oslo: Segment) -> None:
    freezing.convert_to_static(ctx, oslo.id)
    move(ctx, people[0], "Rome")

    assert look(ctx, oslo.id) == looks.Seen(0, 0, 3)
    assert told(ctx, oslo) == []


def test_rule_that_cannot_be_asked_is_a_problem_at_the_watch(ctx: Context, people: list[int], oslo: Segment) -> None:
    broken = {"version": 1, "all": [{"field": "gone", "op": "equals", "value": "x"}]}
    with ctx.write() as session:
        session.execute(update(Segment).where(Segment.id == oslo.id).values(rule=broken))

    assert look(ctx, oslo.id) is None

    with ctx.read() as session:
        watching = session.get_one(SegmentWatch, oslo.id)
    assert "gone" in watching.problem
    assert watching.due_at > utc_now()
    assert watching.leased_until is None
    assert known(ctx, oslo) == set(people[:3])


def test_due_looks_are_taken_and_come_back_after_the_setting(ctx: Context, people: list[int], oslo: Segment) -> None:
    assert looks.look_due(ctx) == 0
    with ctx.write() as session:
        session.execute(update(SegmentWatch).values(due_at=utc_now() - timedelta(seconds=1)))

    assert looks.look_due(ctx) == 1

    with ctx.read() as session:
        rest = session.get_one(SegmentWatch, oslo.id).due_at - utc_now()
    assert timedelta(minutes=4) < rest <= timedelta(minutes=5)


def test_size_over_time_has_a_row_for_an_hour_of_change(ctx: Context, people: list[int], oslo: Segment) -> None:
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    with ctx.write() as session:
        session.execute(update(SegmentSize).values(at=hour - timedelta(days=3)))
    look(ctx, oslo.id)
    move(ctx, people[3], "Oslo")
    look(ctx, oslo.id)
    move(ctx, people[4], "Oslo")
    look(ctx, oslo.id)

    with ctx.read() as session:
        sizes = [row.members for row in session.scalars(select(SegmentSize).order_by(SegmentSize.at))]
        days = queries.list_sizes(session, oslo.id, hour - timedelta(days=5), hour + timedelta(hours=1))
    assert sizes == [3, 5]
    assert [count for _, count in days] == [3, 3, 3, 5]


@pytest.mark.parametrize("kind", ["entered", "left"])
def test_lines_are_filtered_and_paged(ctx: Context, people: list[int], oslo: Segment, kind: str) -> None:
    for contact_id in people[3:]:
        move(ctx, contact_id, "Oslo")
    for contact_id in people[:3]:
        move(ctx, contact_id, "Rome")
    look(ctx, oslo.id)

    with ctx.read() as session:
        first = queries.list_events(session, oslo.id, kind=kind, limit=2)
        rest = queries.list_events(session, oslo.id, kind=kind, before_id=first[-1].id, limit=2)
        one = queries.list_events(session, oslo.id, search=str(first[0].email))
    assert len(first) == 2
    assert len(rest) == 1
    assert {line.kind for line in [*first, *rest]} == {kind}
    assert [line.contact_id for line in one] == [first[0].contact_id]


def test_deleted_segment_takes_its_history_along(ctx: Context, people: list[int], oslo: Segment) -> None:
    move(ctx, people[3], "Oslo")
    look(ctx, oslo.id)

    removal.delete_segment(ctx, oslo.id)

    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(SegmentEvent)) == 0
        assert session.scalar(select(func.count()).select_from(Contact)) == 6


def test_day_is_not_asked_of_the_machine(ctx: Context, people: list[int]) -> None:
    """A rule about today follows the workspace's clock, which a demonstration moves."""
    new = {"version": 1, "all": [{"field": "created_at", "op": "before", "value": date(2100, 1, 1).isoformat()}]}
    segment = service.create_dynamic(ctx, "New", new)
    watch(ctx, segment.id)

    assert look(ctx, segment.id) == looks.Seen(0, 0, 6)
