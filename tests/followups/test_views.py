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


ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Pages of what test_meetings.py does on both engines."""


def _meeting(client: FlaskClient, token: str, story: Story, **more: str) -> str:
    """Type a meeting for oneself; return its address."""
    typed = {
        "csrf_token": token, "contact": str(story.contact.public_id), "kind": "meeting", "title": "Show the model",
        "due_on": "2031-03-03", "start": "", "minutes": "60", "note": "", "owner": str(story.admin_id),
    }  # fmt: skip
    made = client.post("/follow-ups", data={**typed, **more})
    assert made.status_code == 303, made.text
    return str(made.location)


@ON_ONE
def test_meeting_by_hand_finds_its_hour_or_has_the_one_that_was_typed(client: FlaskClient, story: Story) -> None:
    token = sign_in(client)
    first, typed = _meeting(client, token, story), _meeting(client, token, story, start="14:30", minutes="")

    assert "3 Mar 2031, 09:00, 60 min" in client.get(first).text
    assert "3 Mar 2031, 14:30, 30 min" in client.get(typed).text
    assert '3 Mar 2031, 14:30<span class="sub-block">30 min' in client.get("/follow-ups?whose=mine").text


def test_overlap_is_told_and_mended_by_one_press(client: FlaskClient, story: Story) -> None:
    token = sign_in(client)
    _meeting(client, token, story, title="First one")
    second = _meeting(client, token, story, start="09:30")

    page = client.get(second).text
    assert "has another meeting then" in page
    assert "First one</a>, 3 Mar 2031, 09:00" in page
    assert "Move to 3 Mar 2031, 10:00" in page
    assert client.get("/follow-ups?whose=mine").text.count("Overlaps") == 2
    client.post(
        "/follow-ups/snooze",
        data={"csrf_token": token, "task": second.rpartition("/")[2], "until": "2031-03-03", "back": second},
    )
    assert "has another meeting then" not in client.get(second).text
    assert "Overlaps" not in client.get("/follow-ups?whose=mine").text


@ON_ONE
def test_task_is_changed_and_what_is_wrong_is_told_at_its_field(client: FlaskClient, story: Story) -> None:
    token = sign_in(client)
    address = _meeting(client, token, story, start="09:30")
    shown = client.get(f"{address}/edit").text
    assert 'value="09:30"' in shown
    assert 'name="owner"' not in shown
    typed = {"csrf_token": token, "title": "Ring <i>", "kind": "meeting", "due_on": "2031-03-04", "minutes": "45"}

    wrongs = (("start", "9h", "not an hour"), ("minutes", "4", "from 5 to 480"), ("minutes", "x", "not a number"))
    for name, wrong, words in wrongs:
        refused = client.post(f"{address}/edit", data={**typed, name: wrong})
        assert refused.status_code == 400
        assert words in refused.text
        assert 'value="Ring &lt;i&gt;"' in refused.text
    client.post(f"{address}/edit", data={**typed, "start": "10:15"})
    assert "4 Mar 2031, 10:15, 45 min" in client.get(address).text
    client.post(f"{address}/edit", data={**typed, "kind": "call", "start": "10:15"})
    assert "10:15" not in client.get(address).text


@ON_ONE
def test_handing_over_to_somebody_busy_says_so_and_when_they_are_free(
    client: FlaskClient, ctx: Context, story: Story
) -> None:
    token = sign_in(client)
    with ctx.read() as session:
        seller = session.scalars(select(Staff.id).where(Staff.role == Role.SALES.value)).one()
    mine = _meeting(client, token, story)
    _meeting(client, token, story, owner=str(seller))

    task = {"csrf_token": token, "task": mine.rpartition("/")[2], "back": mine}
    page = client.post("/follow-ups/owner", data={**task, "owner": str(seller)}, follow_redirects=True).text

    assert "They have another meeting then." in page
    assert "Free: 3 Mar 2031, 10:00." in page


@ON_ONE
def test_hours_of_the_working_day_are_set_and_obeyed(client: FlaskClient, story: Story) -> None:
    token = sign_in(client)
    form = {"csrf_token": token, "holidays": "2031-03-03", "day_starts": "13:00", "day_ends": "14:00"}
    assert client.post("/follow-ups/sharing", data={**form, "day_ends": "12:00"}).status_code == 400
    assert client.post("/follow-ups/sharing", data={**form, "day_ends": "noon"}).status_code == 400
    client.post("/follow-ups/sharing", data=form)

    assert 'value="13:00"' in client.get("/follow-ups/sharing").text
    assert "4 Mar 2031, 13:00" in client.get(_meeting(client, token, story)).text


@ON_ONE
def test_page_keys_that_are_none_show_the_first_page(client: FlaskClient) -> None:
    sign_in(client)

    for key in ("x", "2031-03-03_", "2031-03-03_x_1", "2031-03-03_2031-03-03T09:00:00_1", "2031-03-03__²"):
        assert client.get("/follow-ups", query_string={"whose": "all", "after": key}).status_code == 200
