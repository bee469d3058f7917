"""What a hostile or a clumsy user or a broken row may do to segments: refused in words, nobody else waits."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from mailer.accounts.passwords import hash_password
from mailer.context import Context
from mailer.errors import InputError
from mailer.schema.accounts import Staff
from mailer.schema.segments import BulkTask, Segment, SegmentWatch
from mailer.schema.workspace import Workspace
from mailer.segments import queries, service
from mailer.segments.bulk.run import run_due
from mailer.segments.bulk.service import start_bulk_task
from mailer.segments.history.look import look_due
from mailer.segments.history.watch import watch
from mailer.segments.resolve import MAX_PATH
from mailer.segments.visibility import Visibility
from mailer.statuses import BulkKind, SegmentOperation
from tests.support.client import make_client, sign_in
from tests.support.make import make_contact, make_workspace
from tests.support.story import PASSWORD, Story, make_story

_TRIGGER = """
  CREATE TRIGGER no BEFORE INSERT ON segment_watch_member WHEN NEW.segment_id = {} BEGIN SELECT RAISE(ABORT, 'no'); END
"""
_CHECK = "ALTER TABLE segment_watch_member ADD CHECK (segment_id <> {})"
NUL, HUGE = "x\0y", "9" * 30


def rule(value: int | str) -> dict[str, Any]:
    return {"version": 1, "all": [{"field": "segment", "op": "in", "value": value}]}


@pytest.fixture
def board(ctx: Context) -> Segment:
    with ctx.write() as session:
        make_workspace(session)
        ids = [make_contact(session).id for _ in range(3)]
    return service.create_static(ctx, "Board", contact_ids=ids)


@pytest.fixture
def story(ctx: Context) -> Story:
    story = make_story(ctx, people=12)
    with ctx.write() as session:
        session.execute(update(Staff).values(password_hash=hash_password(PASSWORD), must_change_password=False))
    return story


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    return make_client(ctx)


def test_broken_bulk_task_fails_in_words_and_holds_up_no_other(ctx: Context, board: Segment) -> None:
    broken = start_bulk_task(ctx, board.id, BulkKind.ADD_TAG, {"tag": "one"})
    sound = start_bulk_task(ctx, board.id, BulkKind.ADD_TAG, {"tag": "two"})
    with ctx.write() as session:
        session.execute(update(BulkTask).where(BulkTask.id == broken.id).values(params={}))

    run_due(ctx)

    with ctx.read() as session:
        assert session.get_one(BulkTask, broken.id).status == "failed"
        assert "KeyError" in session.get_one(BulkTask, broken.id).error
        assert session.get_one(BulkTask, sound.id).changed_count == 3


def test_broken_watched_segment_says_so_and_holds_up_no_other(ctx: Context, board: Segment) -> None:
    broken = service.create_dynamic(ctx, "Broken", rule(board.id))
    for segment in (broken, board):
        watch(ctx, segment.id)
    with ctx.write() as session:
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        session.execute(text((_TRIGGER if is_sqlite else _CHECK).format(broken.id)))

    look_due(ctx)

    with ctx.read() as session:
        assert "IntegrityError" in session.get_one(SegmentWatch, broken.id).problem
        assert session.get_one(SegmentWatch, board.id).members == 3


def test_nest_that_cannot_be_asked_is_refused_when_it_is_made(ctx: Context, board: Segment) -> None:
    top = board
    for level in range(MAX_PATH - 1):
        top = service.create_combined(ctx, f"N{level}", SegmentOperation.UNION, [top.id, board.id])
    with pytest.raises(InputError, match="deep"):
        service.create_combined(ctx, "Too deep", SegmentOperation.UNION, [top.id, board.id])
    with ctx.read() as session:
        assert "Too deep" not in {segment.name for segment in queries.list_segments(session)}


def test_edit_that_makes_a_segment_above_too_deep_is_refused_with_its_name(ctx: Context, board: Segment) -> None:
    low = service.create_dynamic(ctx, "Low", {"version": 1, "all": []})
    top = low
    for level in range(MAX_PATH - 1):
        top = service.create_combined(ctx, f"N{level}", SegmentOperation.UNION, [top.id, board.id])
    with pytest.raises(InputError, match=top.name):
        service.update_segment(ctx, low.id, rule=rule(board.id))
    with ctx.read() as session:
        queries.count_members(session, top, ctx.clock.today("UTC"))


def test_what_no_database_keeps_is_a_wrong_request_on_every_page(client: FlaskClient, story: Story) -> None:
    token = sign_in(client)
    page = f"/segments/{story.segment.public_id}"
    for path in (page, "/segments", f"{page}/history", f"{page}/members", "/segments/people"):
        assert client.get(path, query_string={"q": NUL}).status_code in (200, 400)
    assert client.get("/segments", query_string={"owner": HUGE}).status_code in (200, 400)
    assert client.get(f"{page}/explain", query_string={"email": NUL}).status_code in (200, 400)
    assert client.get("/segments/values", query_string={"field": NUL}).status_code in (200, 400)
    for path, form in (
        ("/segments", {"kind": "static", "name": NUL, "description": NUL}),
        ("/segments", {"kind": "combined", "name": "n", "inputs": [NUL, HUGE]}),
        (f"{page}/properties", {"name": NUL, "owner": HUGE}),
        (f"{page}/copy", {"name": NUL}),
        (f"{page}/members", {"emails": NUL}),
        (f"{page}/members/remove", {"contact": HUGE}),
        (f"{page}/members/restore", {"token": NUL}),
        (f"{page}/tasks", {"what": "follow_ups", "title": "t", "due_on": "2026-12-01", "owner": HUGE}),
        (f"{page}/tasks", {"what": "set_field", "field": "owner", "value": HUGE}),
        (f"{page}/tasks", {"what": "set_field", "field": "city", "value": NUL}),
        (f"{page}/tasks", {"what": "add_tag", "tag": NUL}),
        (f"{page}/tasks", {"what": "add_to_segment", "segment_id": HUGE}),
    ):
        answer = client.post(path, data={"csrf_token": token, **form})
        assert answer.status_code in (303, 400, 404, 409), (path, form)


def test_private_segment_of_another_is_not_looked_into_through_a_rule(
    ctx: Context, client: FlaskClient, story: Story
) -> None:
    secret = service.create_static(ctx, "Bonus list", contact_ids=[story.contact.id], by=story.admin_id)
    service.set_properties(ctx, secret.id, visibility=Visibility.PRIVATE)
    token = sign_in(client, "kim@example.com")
    for named in (secret.id, "Bonus list"):
        for path in ("/segments/preview", "/segments/why"):
            form = {"csrf_token": token, "rule": as_text(named), "contact": str(story.contact.public_id)}
            shown = client.post(path, data=form).text
            assert "there is no segment" in shown
            assert story.contact.last_name not in shown
            assert "Bonus" not in shown
    told = client.post("/segments/preview", data={"csrf_token": token, "rule": as_text("Nope")}).text
    assert "Bonus" not in told


def as_text(value: int | str) -> str:
    return json.dumps(rule(value))


def test_pages_ask_on_the_day_of_the_workspace_whatever_zone_the_reader_is_in(
    ctx: Context, client: FlaskClient, story: Story
) -> None:
    del story
    with ctx.write() as session:
        session.execute(update(Workspace).values(timezone="Pacific/Pago_Pago"))
        session.execute(update(Staff).values(timezone="Pacific/Kiritimati"))  # a day or two ahead, always
        make_contact(session, city="Apia", created_at=ctx.clock.now())
    lines = [{"field": "created_at", "op": "today"}, {"field": "city", "op": "equals", "value": "Apia"}]
    fresh = service.create_dynamic(ctx, "Fresh", {"version": 1, "all": lines})
    sign_in(client)
    assert client.get(f"/segments/{fresh.public_id}/count").text.strip().startswith("1")


def test_copy_that_dies_half_way_is_in_no_list(ctx: Context, board: Segment) -> None:
    with ctx.write() as session:
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        statement = (_TRIGGER if is_sqlite else _CHECK).replace("segment_watch_member", "segment_member")
        session.execute(text(statement.format(board.id + 1)))
    with pytest.raises(IntegrityError):
        service.copy_members(ctx, board, "Copy")
    with ctx.read() as session:
        assert [segment.name for segment in queries.list_segments(session)] == ["Board"]


def test_copy_is_whole_and_in_the_list(ctx: Context, board: Segment) -> None:
    made = service.copy_members(ctx, board, "Copy")
    assert made.archived_at is None
    with ctx.read() as session:
        found = queries.get_segment(session, "Copy")
        assert queries.count_members(session, found, ctx.clock.today("UTC")) == 3
