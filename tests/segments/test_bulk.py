"""What each kind of bulk task does to the members of a segment, and how it is taken back."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.contacts.service import create_field
from mailer.context import Context
from mailer.errors import InputError, NotAllowedError
from mailer.followups import service as followups
from mailer.schema.contacts import Contact, ContactTag, Tag
from mailer.schema.followups import FollowUp
from mailer.schema.segments import BulkTask, Segment, SegmentEvent, SegmentMember
from mailer.segments import members, service
from mailer.segments.bulk import run as engine
from mailer.segments.bulk.queries import count_skipped
from mailer.segments.bulk.service import start_bulk_task
from mailer.segments.history.watch import watch
from mailer.statuses import BulkKind, BulkStatus, FieldType, Role
from tests.segments.tasks import cities, counts, do, fresh, tagged, undo
from tests.support.make import make_company, make_contact, make_staff


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


def test_meetings_for_all_members_have_an_hour_each(ctx: Context, people: list[int], everybody: Segment) -> None:
    with ctx.write() as session:
        make_staff(session, role="sales")
    spec = {"title": "Meet", "due_on": "2031-03-03", "kind": "meeting", "minutes": "60", "once": "spring"}

    tasks = [start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, spec) for _ in range(2)]
    engine.run_due(ctx)

    assert [fresh(ctx, task).changed_count for task in tasks] == [9, 0]
    with ctx.read() as session:
        starts = session.scalars(select(FollowUp.starts_at).order_by(FollowUp.contact_id)).all()
    assert [f"{start:%d %H}" for start in starts if start] == [*(f"03 {hour:02}" for hour in range(9, 17)), "04 09"]
    with pytest.raises(InputError, match="minutes"):
        start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {**spec, "minutes": "x"})


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
