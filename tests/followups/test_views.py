"""Pages of tasks: several at once, by hand, filters, wrong input."""

import uuid
from datetime import date

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.context import Context
from mailer.followups import service
from mailer.followups.service import TaskSpec
from mailer.schema.accounts import Staff
from mailer.schema.content import TrackedLink
from mailer.schema.followups import FollowUp
from mailer.statuses import FollowUpStatus, Role
from tests.support.client import make_client, sign_in
from tests.support.make import make_contact
from tests.support.story import Story, make_story


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=12)


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    return make_client(ctx)


def _tasks(ctx: Context) -> list[FollowUp]:
    with ctx.read() as session:
        return list(session.scalars(select(FollowUp).order_by(FollowUp.due_on, FollowUp.id)))


def test_several_are_closed_moved_and_handed_over_at_once(client: FlaskClient, ctx: Context, story: Story) -> None:
    token = sign_in(client)
    first, second, third = _tasks(ctx)[:3]
    both = {"csrf_token": token, "task": [str(first.public_id), str(second.public_id)]}

    client.post("/follow-ups/snooze", data={**both, "until": "2027-01-04"})
    client.post("/follow-ups/owner", data={**both, "owner": str(story.admin_id)})
    client.post("/follow-ups/done", data={**both, "outcome": "sale"})

    changed = {task.id: task for task in _tasks(ctx)}
    for task in (changed[first.id], changed[second.id]):
        assert (task.due_on, task.owner_id, task.outcome) == (date(2027, 1, 4), story.admin_id, "sale")
    assert changed[third.id].status == FollowUpStatus.OPEN


@pytest.mark.parametrize(
    ("path", "more", "words"),
    [
        ("done", {"task": []}, "choose at least one task"),
        ("done", {"task": ["x"]}, "this is no task"),
        ("done", {"task": [str(uuid.uuid4())]}, "no such follow-up task"),
        ("snooze", {"until": "31.12.2026"}, "not a day"),
        ("owner", {"owner": "9" * 18}, "nobody of the staff"),
        ("owner", {"owner": "ann"}, "choose a person"),
    ],
)
def test_wrong_input_is_told_and_changes_nothing(
    client: FlaskClient, ctx: Context, path: str, more: dict[str, object], words: str
) -> None:
    token = sign_in(client)
    before = [vars(task) | {"_sa_instance_state": None} for task in _tasks(ctx)]
    data = {"csrf_token": token, "task": [str(_tasks(ctx)[0].public_id)], **more}

    answer = client.post(f"/follow-ups/{path}", data=data)

    assert answer.status_code in (400, 404)
    assert words in answer.text
    assert [vars(task) | {"_sa_instance_state": None} for task in _tasks(ctx)] == before


def test_nobody_is_sent_elsewhere_after_it(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)
    data = {"csrf_token": token, "task": str(_tasks(ctx)[0].public_id), "back": "//evil.example/x"}

    assert client.post("/follow-ups/done", data=data).location == "/follow-ups"


def test_task_by_hand_keeps_what_was_typed_where_something_is_wrong(
    client: FlaskClient, ctx: Context, story: Story
) -> None:
    token = sign_in(client)
    form = {
        "csrf_token": token,
        "contact": str(story.contact.public_id),
        "kind": "call",
        "note": "Bring the <b>offer</b>",
    }

    wrong = client.post("/follow-ups", data={**form, "title": " ", "due_on": "2026-12-01"})
    assert wrong.status_code == 400
    assert "a task needs a title" in wrong.text
    assert "Bring the &lt;b&gt;offer&lt;/b&gt;" in wrong.text
    made = client.post("/follow-ups", data={**form, "title": "Ring <i>them</i>", "due_on": "2026-12-01", "owner": ""})

    page = client.get(made.location).text
    assert "Ring &lt;i&gt;them&lt;/i&gt;" in page
    assert "<i>them" not in page


def test_list_of_my_group_and_of_one_link(client: FlaskClient, ctx: Context, story: Story) -> None:
    with ctx.write() as session:
        seller = session.scalars(select(Staff).where(Staff.role == Role.SALES.value)).one()
        for person in (seller, session.get_one(Staff, story.admin_id)):
            person.group_name = "Oslo"
        assert story.finished.sending_id is not None
        contact = make_contact(session, last_name="Elsewhere")
        spec = TaskSpec(title="Linked", due_on=date(2026, 12, 1), owner_id=seller.id, tracked_link_id=_a_link(ctx))
        service.create_for_contact(session, contact.id, spec)
    sign_in(client)

    assert "Oslo (" in client.get("/follow-ups?whose=group").text
    shown = client.get(f"/follow-ups?whose=all&link={_a_link(ctx)}").text
    assert shown.count("data-row>") == 1
    assert "Elsewhere" in shown


def _a_link(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalars(select(TrackedLink.id).order_by(TrackedLink.id).limit(1)).one()


def test_only_an_admin_changes_how_tasks_are_shared_out(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)
    wrong = client.post("/follow-ups/sharing", data={"csrf_token": token, "holidays": "soon", "group_name": "Nobody"})
    assert wrong.status_code == 400
    assert "soon" in wrong.text
    assert client.post("/follow-ups/sharing", data={"csrf_token": token, "holidays": "2026-12-25"}).status_code == 303
    with ctx.write() as session:
        session.scalars(select(Staff).where(Staff.email == "ada@example.com")).one().role = Role.SALES.value

    assert client.post("/follow-ups/sharing", data={"csrf_token": token}).status_code == 403
    assert client.post("/follow-ups/sharing/mails", data={"csrf_token": token, "mode": "none"}).status_code == 303
    assert client.post("/follow-ups/sharing/mails", data={"csrf_token": token, "mode": "x"}).status_code == 400
