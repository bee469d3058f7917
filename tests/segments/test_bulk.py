"""Bulk tasks on the members of a segment: once for each contact, whatever dies, and back where that is possible."""

import io
import threading
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.contacts.service import create_field
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotAllowedError
from mailer.followups import service as followups
from mailer.schema.accounts import AuditEvent
from mailer.schema.contacts import Contact, ContactTag, Tag
from mailer.schema.followups import FollowUp
from mailer.schema.segments import BulkMember, BulkTask, Segment, SegmentEvent, SegmentMember
from mailer.segments import members, removal, service, sheet
from mailer.segments.bulk import run as engine
from mailer.segments.bulk.queries import count_skipped, list_bulk_members
from mailer.segments.bulk.run import forget_old, run, run_due
from mailer.segments.bulk.service import cancel_bulk_task, start_bulk_task, undo_bulk_task, why_not_undo
from mailer.segments.export import export_csv, export_workbook
from mailer.segments.history.watch import watch
from mailer.statuses import BulkKind, BulkStatus, FieldType, Role
from tests.support.make import make_company, make_contact, make_staff, make_workspace


@pytest.fixture
def people(ctx: Context) -> list[int]:
    with ctx.write() as session:
        make_workspace(session)
        make_staff(session, email="boss@example.com", role="admin")
        return [make_contact(session, city="Oslo" if at % 2 else "").id for at in range(9)]


@pytest.fixture
def everybody(ctx: Context, people: list[int]) -> Segment:
    rule = {"version": 1, "all": [{"field": "created_at", "op": "after", "value": "2000-01-01"}]}
    return service.create_dynamic(ctx, "Everybody", rule)


def do(ctx: Context, segment: Segment, kind: BulkKind, **params: Any) -> BulkTask:
    task = start_bulk_task(ctx, segment.id, kind, params)
    run_due(ctx)
    return fresh(ctx, task)


def fresh(ctx: Context, task: BulkTask) -> BulkTask:
    with ctx.read() as session:
        return session.get_one(BulkTask, task.id)


def counts(task: BulkTask) -> tuple[str, int, int, int, int]:
    return task.status, task.total, task.changed_count, task.unchanged_count, task.skipped_count


def tagged(ctx: Context, name: str) -> set[int]:
    with ctx.read() as session:
        query = select(ContactTag.contact_id).join(Tag, Tag.id == ContactTag.tag_id).where(Tag.name == name)
        return set(session.scalars(query))


def cities(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Contact.city).order_by(Contact.id)))


def undo(ctx: Context, task: BulkTask) -> BulkTask:
    undo_bulk_task(ctx, task.public_id)
    run_due(ctx)
    return fresh(ctx, task)


def test_tag_is_added_and_taken_back_from_those_who_got_it(ctx: Context, people: list[int], everybody: Segment) -> None:
    with ctx.write() as session:
        tag = Tag(name="fair")
        session.add(tag)
        session.flush()
        session.add(ContactTag(contact_id=people[0], tag_id=tag.id))

    task = do(ctx, everybody, BulkKind.ADD_TAG, tag=" fair ")
    assert counts(task) == ("finished", 9, 8, 1, 0)
    assert tagged(ctx, "fair") == set(people)

    with ctx.write() as session:
        session.delete(session.get_one(ContactTag, (people[1], tag.id)))
    task = undo(ctx, task)
    assert (task.status, task.undone_count, task.kept_count) == ("undone", 7, 1)
    assert tagged(ctx, "fair") == {people[0]}


def test_tag_is_removed_and_given_back(ctx: Context, people: list[int], everybody: Segment) -> None:
    do(ctx, everybody, BulkKind.ADD_TAG, tag="fair")

    task = do(ctx, everybody, BulkKind.REMOVE_TAG, tag="fair")
    assert (task.changed_count, tagged(ctx, "fair")) == (9, set())

    undo(ctx, task)
    assert tagged(ctx, "fair") == set(people)


def test_plain_field_is_set_and_each_old_value_comes_back(ctx: Context, people: list[int], everybody: Segment) -> None:
    before = cities(ctx)

    task = do(ctx, everybody, BulkKind.SET_FIELD, field="city", value="Oslo")
    assert counts(task) == ("finished", 9, 5, 4, 0)
    assert cities(ctx) == ["Oslo"] * 9

    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[0]).values(city="Rome"))
    task = undo(ctx, task)
    assert (task.undone_count, task.kept_count) == (4, 1)
    assert cities(ctx) == ["Rome", *before[1:]]


def test_owner_is_set_by_address_and_cleared(ctx: Context, people: list[int], everybody: Segment) -> None:
    with ctx.write() as session:
        seller = make_staff(session, email="kari@example.com", role="sales")
        session.execute(update(Contact).where(Contact.id == people[2]).values(owner_id=seller.id))

    given = do(ctx, everybody, BulkKind.SET_FIELD, field="owner", value="kari@example.com")
    assert given.changed_count == 8
    cleared = do(ctx, everybody, BulkKind.SET_FIELD, field="owner", clear="1")
    assert cleared.changed_count == 9
    undo(ctx, cleared)
    undo(ctx, given)

    with ctx.read() as session:
        assert list(session.scalars(select(Contact.id).where(Contact.owner_id == seller.id))) == [people[2]]


OWN_VALUES: list[tuple[FieldType, str, object]] = [
    (FieldType.TEXT, "Blåbær", "Blåbær"),
    (FieldType.NUMBER, "3,5", 3.5),
    (FieldType.NUMBER, "7", 7),
    (FieldType.DATE, "2026-12-31", "2026-12-31"),
    (FieldType.YES_NO, "no", False),
    (FieldType.CHOICE, "a", "A"),
    (FieldType.TAGS, "one, two", ["one", "two"]),
]


def test_own_field_is_set_with_its_type_and_comes_back(ctx: Context, people: list[int], everybody: Segment) -> None:
    for at, (kind, typed, stored) in enumerate(OWN_VALUES):
        key = f"own_{at}"
        create_field(ctx, key, "Own", kind, ["A", "B"] if kind is FieldType.CHOICE else [])
        before = [{key: stored, "else": 1}, {key: "old “value”"}, *[{}] * 7]
        with ctx.write() as session:
            for contact_id, data in zip(people, before, strict=True):
                session.execute(update(Contact).where(Contact.id == contact_id).values(data=data))

        task = do(ctx, everybody, BulkKind.SET_FIELD, field=key, value=typed)

        assert counts(task) == ("finished", 9, 8, 1, 0), kind
        assert [one[key] for one in own_values(ctx)] == [stored] * 9
        assert own_values(ctx)[0]["else"] == 1
        undo(ctx, task)
        assert own_values(ctx) == before


def own_values(ctx: Context) -> list[dict[str, Any]]:
    with ctx.read() as session:
        return list(session.scalars(select(Contact.data).order_by(Contact.id)))


WRONG_VALUES = [
    ({"field": "city", "value": " "}, "value"),
    ({"field": "email", "value": "x"}, "field"),
    ({"field": "data", "value": "x"}, "field"),
    ({"field": "timezone", "value": "Moon"}, "value"),
    ({"field": "language", "value": "x" * 30}, "value"),
    ({"field": "owner", "value": "nobody@example.com"}, "value"),
    ({"field": "number", "value": "many"}, "value"),
    ({"field": "number", "value": "nan"}, "value"),
    ({"field": "day", "value": "soon"}, "value"),
    ({"field": "choice", "value": "C"}, "value"),
]


def test_value_that_does_not_suit_the_field_is_refused(ctx: Context, everybody: Segment) -> None:
    create_field(ctx, "number", "Number", FieldType.NUMBER)
    create_field(ctx, "day", "Day", FieldType.DATE)
    create_field(ctx, "choice", "Choice", FieldType.CHOICE, ["A", "B"])

    for params, where in WRONG_VALUES:
        with pytest.raises(InputError) as caught:
            start_bulk_task(ctx, everybody.id, BulkKind.SET_FIELD, params)
        assert [problem.where for problem in caught.value.problems] == [where], params

    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(BulkTask)) == 0


def test_tasks_go_to_the_owner_chain_once_and_open_ones_are_withdrawn(
    ctx: Context, people: list[int], everybody: Segment
) -> None:
    with ctx.write() as session:
        seller, boss = make_staff(session, role="sales"), make_staff(session)
        company = make_company(session, owner_id=boss.id)
        session.execute(update(Contact).where(Contact.id == people[1]).values(company_id=company.id))
    spec = {"title": "Call", "due_on": "2026-12-01", "once": "spring"}

    task = do(ctx, everybody, BulkKind.FOLLOW_UPS, **spec)
    again = do(ctx, everybody, BulkKind.FOLLOW_UPS, **spec)

    assert (task.changed_count, again.changed_count, again.unchanged_count) == (9, 0, 9)
    with ctx.read() as session:
        rows = list(session.scalars(select(FollowUp).order_by(FollowUp.contact_id)))
    assert [row.owner_id for row in rows] == [seller.id, boss.id, *[seller.id] * 7]
    followups.complete(ctx, [rows[0].public_id], "sale")
    task = undo(ctx, task)
    assert (task.undone_count, task.kept_count) == (8, 1)
    with ctx.read() as session:
        assert sorted(session.scalars(select(FollowUp.status))) == ["cancelled"] * 8 + ["done"]


def test_one_task_a_company_goes_to_its_first_member(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHUNK", 2)
    with ctx.write() as session:
        company, other = make_company(session), make_company(session)
        archived = make_contact(session, company_id=other.id)
        archived.id = 0
        archived.archived_at = utc_now()
        session.execute(update(Contact).where(Contact.id.in_(people[1:6])).values(company_id=company.id))
        session.execute(update(Contact).where(Contact.id.in_(people[6:8])).values(company_id=other.id))

    task = do(ctx, everybody, BulkKind.FOLLOW_UPS, title="Call", due_on="2026-12-01", per="company")

    assert counts(task) == ("finished", 9, 4, 0, 5)
    with ctx.read() as session:
        assert list(session.scalars(select(FollowUp.contact_id).order_by(FollowUp.contact_id))) == [
            people[0], people[1], people[6], people[8],
        ]  # fmt: skip
        assert count_skipped(session, task.id) == [("same_company", 5)]


def test_wrong_task_is_refused_with_every_problem(ctx: Context, everybody: Segment) -> None:
    with pytest.raises(InputError) as caught:
        start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {"due_on": "soon", "owner": "99", "per": "day"})

    assert {problem.where for problem in caught.value.problems} == {"title", "due_on", "owner", "per"}


def test_list_keeps_the_task_as_the_cause_and_the_history_tells_it(
    ctx: Context, people: list[int], everybody: Segment
) -> None:
    board = service.create_static(ctx, "Board", contact_ids=people[:2])
    watch(ctx, board.id)

    task = do(ctx, everybody, BulkKind.ADD_TO_SEGMENT, segment_id=str(board.id))

    assert counts(task) == ("finished", 9, 7, 2, 0)
    with ctx.read() as session:
        causes = dict(session.execute(select(SegmentMember.contact_id, SegmentMember.cause)).all())
        told = list(session.scalars(select(SegmentEvent.contact_id).where(SegmentEvent.cause == f"bulk:{task.id}")))
    assert causes[people[0]] == "by hand"
    assert causes[people[8]] == f"bulk:{task.id}"
    assert told == people[2:]
    members.take_out(ctx, board.id, [people[2]])
    members.take_out(ctx, board.id, [people[3]])
    with ctx.write() as session:
        members.add_members(session, board.id, [people[3]], cause="by hand")
    task = undo(ctx, task)
    assert (task.undone_count, task.kept_count) == (5, 2)
    with ctx.read() as session:
        assert set(session.scalars(select(SegmentMember.contact_id))) == {people[0], people[1], people[3]}


def test_members_are_taken_out_of_their_own_list_and_put_back(ctx: Context, people: list[int]) -> None:
    board = service.create_static(ctx, "Board", contact_ids=people[:4])

    task = do(ctx, board, BulkKind.REMOVE_FROM_SEGMENT, segment_id=str(board.id))
    assert counts(task) == ("finished", 4, 4, 0, 0)

    assert undo(ctx, task).undone_count == 4
    with ctx.read() as session:
        assert set(session.scalars(select(SegmentMember.contact_id))) == set(people[:4])


def test_only_static_segments_are_targets(ctx: Context, everybody: Segment) -> None:
    for number in (str(everybody.id), "999", "", "x"):
        with pytest.raises(InputError, match="static"):
            start_bulk_task(ctx, everybody.id, BulkKind.ADD_TO_SEGMENT, {"segment_id": number})


def test_archiving_asks_for_the_number_and_can_be_undone(ctx: Context, people: list[int], everybody: Segment) -> None:
    for typed in ("", "8", "yes"):
        with pytest.raises(InputError, match="number of members"):
            start_bulk_task(ctx, everybody.id, BulkKind.ARCHIVE, {"confirmed": typed})

    task = do(ctx, everybody, BulkKind.ARCHIVE, confirmed="9")
    assert counts(task) == ("finished", 9, 9, 0, 0)
    assert cities(ctx)  # nothing is deleted
    with ctx.read() as session:
        assert session.scalar(select(func.count()).where(Contact.archived_at.is_(None))) == 0

    assert undo(ctx, task).undone_count == 9
    with ctx.read() as session:
        assert session.scalar(select(func.count()).where(Contact.archived_at.is_(None))) == 9


RIGHTS = [
    (Role.SALES, BulkKind.FOLLOW_UPS, True),
    (Role.SALES, BulkKind.ADD_TAG, False),
    (Role.SALES, BulkKind.ARCHIVE, False),
    (Role.MARKETER, BulkKind.SET_FIELD, True),
    (Role.MARKETER, BulkKind.ARCHIVE, False),
    (Role.OPS, BulkKind.FOLLOW_UPS, False),
    (Role.ADMIN, BulkKind.ARCHIVE, True),
]


def test_rights_go_by_role(ctx: Context, everybody: Segment) -> None:
    params = {"title": "Call", "due_on": "2026-12-01", "tag": "x", "field": "city", "value": "Oslo", "confirmed": "9"}
    for role, kind, may in RIGHTS:
        if may:
            assert start_bulk_task(ctx, everybody.id, kind, params, role=role).status == BulkStatus.GATHERING
            continue
        with pytest.raises(NotAllowedError):
            start_bulk_task(ctx, everybody.id, kind, params, role=role)


def test_members_are_fixed_at_the_start(ctx: Context, people: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the field that the rule asks about does not cut the task short, and who joins later is left alone."""
    monkeypatch.setattr(engine, "CHUNK", 2)
    rule = {"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}
    segment = service.create_dynamic(ctx, "Oslo", rule)
    task = start_bulk_task(ctx, segment.id, BulkKind.SET_FIELD, {"field": "city", "value": "Bergen"})
    run(ctx, task.id, seconds=-1)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[8]).values(city="Oslo"))

    run_due(ctx)

    assert fresh(ctx, task).changed_count == 4
    assert cities(ctx) == ["", "Bergen", "", "Bergen", "", "Bergen", "", "Bergen", "Oslo"]


def test_contact_archived_meanwhile_is_skipped(ctx: Context, people: list[int], everybody: Segment) -> None:
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TAG, {"tag": "fair"})
    run(ctx, task.id, seconds=-1)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[4]).values(archived_at=utc_now()))

    run_due(ctx)

    assert counts(fresh(ctx, task)) == ("finished", 9, 8, 0, 1)
    assert people[4] not in tagged(ctx, "fair")
    with ctx.read() as session:
        assert count_skipped(session, task.id) == [("archived", 1)]
        assert [line.contact_id for line in list_bulk_members(session, task.id, outcome="skipped")] == [people[4]]


@pytest.mark.parametrize(("dies_at", "before_commit"), [(0, False), (1, True), (3, True)])
def test_task_that_dies_between_chunks_goes_on_once_for_each(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch, dies_at: int,
    before_commit: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(engine, "CHUNK", 2)
    task = start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {"title": "Call", "due_on": "2026-12-01"})
    name = "_mark" if before_commit else "_list_archived"
    monkeypatch.setattr(engine, name, _dying(getattr(engine, name), dies_at))
    with pytest.raises(KeyboardInterrupt):
        run(ctx, task.id)
    monkeypatch.undo()
    assert run(ctx, task.id) is False  # its lease is still running
    with ctx.write() as session:
        session.execute(update(BulkTask).values(leased_until=utc_now() - timedelta(seconds=1)))

    assert run_due(ctx) == 1

    assert counts(fresh(ctx, task)) == ("finished", 9, 9, 0, 0)
    with ctx.read() as session:
        assert list(session.scalars(select(FollowUp.contact_id).order_by(FollowUp.contact_id))) == people


def _dying(function: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = []

    def call(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return function(*args)

    return call


def test_gathering_that_dies_goes_on_after_its_last_page(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TAG, {"tag": "fair"})

    def pages(*_args: Any, **_more: Any) -> Any:
        yield people[:3]
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "iter_member_pages", pages)
    with pytest.raises(KeyboardInterrupt):
        run(ctx, task.id)
    monkeypatch.undo()
    with ctx.write() as session:
        session.execute(update(BulkTask).values(leased_until=None))

    run_due(ctx)

    assert counts(fresh(ctx, task)) == ("finished", 9, 9, 0, 0)


def test_two_workers_do_everything_once(
    ctx: Context, make_ctx: Callable[..., Context], people: list[int], everybody: Segment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(engine, "CHUNK", 1)
    task = start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {"title": "Call", "due_on": "2026-12-01"})
    workers = [make_ctx() for _ in range(3)]
    threads = [threading.Thread(target=run_due, args=(mine,)) for mine in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_due(ctx)

    assert counts(fresh(ctx, task)) == ("finished", 9, 9, 0, 0)
    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(FollowUp)) == 9


def test_cancelled_task_stops_and_what_it_did_can_be_undone(
    ctx: Context, people: list[int], everybody: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CHUNK", 2)
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TAG, {"tag": "fair"})
    run(ctx, task.id, seconds=-1)
    run(ctx, task.id, seconds=-1)
    cancel_bulk_task(ctx, task.public_id)

    assert run_due(ctx) == 0
    assert fresh(ctx, task).changed_count == len(tagged(ctx, "fair")) == 2
    with pytest.raises(ConflictError, match="ended"):
        cancel_bulk_task(ctx, task.public_id)
    assert undo(ctx, task).undone_count == 2


def test_task_whose_list_is_gone_fails_and_says_why(ctx: Context, people: list[int], everybody: Segment) -> None:
    board = service.create_static(ctx, "Board")
    task = start_bulk_task(ctx, everybody.id, BulkKind.ADD_TO_SEGMENT, {"segment_id": str(board.id)})
    removal.delete_segment(ctx, board.id)

    run_due(ctx)

    assert fresh(ctx, task).status == BulkStatus.FAILED
    assert "segment" in fresh(ctx, task).error
    assert run_due(ctx) == 0


def test_deleted_segment_leaves_its_tasks(ctx: Context, people: list[int], everybody: Segment) -> None:
    task = do(ctx, everybody, BulkKind.FOLLOW_UPS, title="Call", due_on="2026-12-01")

    removal.delete_segment(ctx, everybody.id)

    assert (fresh(ctx, task).segment_id, fresh(ctx, task).segment_name) == (None, "Everybody")
    assert undo(ctx, task).undone_count == 9


def test_nothing_to_undo_is_said(ctx: Context, people: list[int], everybody: Segment) -> None:
    running = start_bulk_task(ctx, everybody.id, BulkKind.REMOVE_TAG, {"tag": "nobody has it"})
    with pytest.raises(ConflictError, match="at work"):
        undo_bulk_task(ctx, running.public_id)
    run_due(ctx)

    assert why_not_undo(fresh(ctx, running)) == "it has changed nobody"


def test_old_values_are_forgotten_after_a_month(ctx: Context, people: list[int], everybody: Segment) -> None:
    task = do(ctx, everybody, BulkKind.ADD_TAG, tag="fair")
    assert forget_old(ctx) == 0
    with ctx.write() as session:
        session.execute(update(BulkTask).values(finished_at=utc_now() - timedelta(days=31)))

    assert forget_old(ctx) == 1
    assert forget_old(ctx) == 0

    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(BulkMember)) == 0
    with pytest.raises(ConflictError, match="30 days"):
        undo_bulk_task(ctx, task.public_id)


def test_every_bulk_task_is_in_the_audit(ctx: Context, people: list[int], everybody: Segment) -> None:
    undo(ctx, do(ctx, everybody, BulkKind.ADD_TAG, tag="fair"))

    with ctx.read() as session:
        actions = list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
    assert actions[-2:] == ["segments.bulk_task", "segments.undo_bulk_task"]


def test_export_has_every_field_and_no_formula(ctx: Context, people: list[int], everybody: Segment) -> None:
    create_field(ctx, "shoe", "Shoe", FieldType.NUMBER)
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id == people[0]).values(data={"shoe": 42}, last_name="=1+1"))
    do(ctx, everybody, BulkKind.ADD_TAG, tag="fair")

    lines = b"".join(export_csv(ctx, everybody)).decode().splitlines()
    book = b"".join(export_workbook(ctx, everybody))
    rows = list(load_workbook(io.BytesIO(book)).active.values)

    assert len(lines) == len(rows) == 10
    assert "'=1+1" in lines[1]
    heading = list(rows[0])
    assert heading[:3] == ["id", "email", "external_id"]
    assert rows[1][heading.index("last_name")] == "=1+1"
    assert rows[1][heading.index("shoe")] == 42
    assert rows[1][heading.index("tags")] == "fair"


def test_workbook_is_written_while_it_is_read() -> None:
    taken = []

    def rows() -> Any:
        for at in range(50_000):
            taken.append(at)
            yield [at, f"Name <{at}> & \x00", None, 1.5]

    stream = sheet.write_workbook(["id", "name", "nothing", "number"], rows())
    first = next(stream)
    assert len(taken) < 20_000
    book = io.BytesIO(first + b"".join(stream))

    assert zipfile.ZipFile(book).testzip() is None
    values = list(load_workbook(book, read_only=True).active.values)
    assert len(values) == 50_001
    assert values[2] == (1, "Name <1> &  ", None, 1.5)
