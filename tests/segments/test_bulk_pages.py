"""Pages of history, properties and bulk tasks: who may what, wrong input, and what nobody else sees."""

import re
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from mailer.accounts.passwords import hash_password
from mailer.context import Context
from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.contacts import Contact
from mailer.schema.segments import BulkTask, Segment
from mailer.segments import service
from mailer.segments.bulk.run import run_due
from mailer.segments.history.look import look
from mailer.segments.visibility import Visibility
from tests.support.client import make_client, sign_in
from tests.support.story import PASSWORD, Story, make_story


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=24)


@pytest.fixture
def segment(story: Story) -> Segment:
    return story.segment


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    with ctx.write() as session:
        hashed = hash_password(PASSWORD)
        session.execute(update(Staff).values(password_hash=hashed, must_change_password=False))
    return make_client(ctx)


def start(client: FlaskClient, segment: Segment, token: str, **form: str) -> tuple[int, str]:
    response = client.post(f"/segments/{segment.public_id}/tasks", data={"csrf_token": token, **form})
    return response.status_code, response.headers.get("Location", response.text)


def test_task_is_started_watched_and_undone(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client)
    assert "Add a tag" in client.get(f"/segments/{segment.public_id}/tasks/new").text
    assert "8 contacts" in client.get(f"/segments/{segment.public_id}/tasks/new?kind=add_tag").text

    status, page = start(client, segment, token, what="add_tag", tag="fair")
    assert status == 303
    assert 'hx-trigger="every 2s"' in client.get(page).text
    run_due(ctx)
    live = client.get(f"{page}/live")
    assert live.headers["HX-Refresh"] == "true"
    shown = client.get(page).text
    assert "8 of 8" in shown
    assert len(re.findall(r'href="/contacts/[0-9a-f-]{36}"', shown)) == 8
    assert "Nobody" in client.get(f"{page}?outcome=skipped").text
    assert "Add a tag: fair" in client.get("/segments/tasks").text

    assert client.post(f"{page}/undo", data={"csrf_token": token}).status_code == 303
    run_due(ctx)
    assert "Undone" in client.get(page).text
    assert client.post(f"{page}/undo", data={"csrf_token": token}).status_code == 409
    assert client.post(f"{page}/cancel", data={"csrf_token": token}).status_code == 409


def test_wrong_input_is_shown_beside_its_field_and_kept(client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client)

    status, page = start(client, segment, token, what="follow_ups", title="", due_on="soon", note="call <them>")
    assert status == 400
    assert "a task needs a title" in page
    assert "not a day" in page
    assert "call &lt;them&gt;" in page

    assert start(client, segment, token, what="nothing")[0] == 400
    status, page = start(client, segment, token, what="set_field", field="timezone", value="Moon")
    assert status == 400
    assert "no time zone" in page
    assert start(client, segment, token, what="set_field", field="city", value="")[0] == 400
    value = f"/segments/{segment.public_id}/tasks/value?field="
    assert '<option value="B"' in client.get(f"{value}customer_class").text
    assert "Bo Petersen" in client.get(f"{value}owner").text
    assert client.get(f"{value}nonsense").status_code == 200


def test_archiving_is_for_admins_who_type_the_number(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client, "kim@example.com")
    assert "Archive the contacts" not in client.get(f"/segments/{segment.public_id}/tasks/new").text
    assert start(client, segment, token, what="archive", confirmed="8")[0] == 403

    token = sign_in(make := make_client(ctx))
    status, page = start(make, segment, token, what="archive", confirmed="7")
    assert status == 400
    assert "type 8 to archive them" in page
    assert start(make, segment, token, what="archive", confirmed="8")[0] == 303


def test_salesperson_creates_tasks_and_nothing_else(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client, "bo@example.com")

    page = client.get(f"/segments/{segment.public_id}/tasks/new").text
    assert "Create follow-up tasks" in page
    assert "Set or clear a field" not in page
    assert client.get(f"/segments/{segment.public_id}/members.csv").status_code == 403
    assert start(client, segment, token, what="add_tag", tag="fair")[0] == 403
    for path in ("watch", "unwatch", "look", "archive", "copy", "properties"):
        forbidden = client.post(f"/segments/{segment.public_id}/{path}", data={"csrf_token": token})
        assert forbidden.status_code == 403, path
    assert start(client, segment, token, what="follow_ups", title="Call", due_on="2026-12-01", owner="me")[0] == 303
    with ctx.read() as session:
        task = session.scalars(select(BulkTask)).one()
        me = session.scalar(select(Staff.id).where(Staff.email == "bo@example.com"))
    assert task.params["owner_id"] == task.created_by == me


def test_history_page_tells_who_came_and_went(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client)
    page = f"/segments/{segment.public_id}/history"
    assert "not watched" in client.get(page).text
    client.post(f"/segments/{segment.public_id}/watch", data={"csrf_token": token})
    look(ctx, segment.id)
    with ctx.write() as session:
        gone = session.scalars(select(Contact).where(Contact.category == "Decision maker").limit(1)).one()
        session.execute(update(Contact).where(Contact.id == gone.id).values(category="Nobody"))

    client.post(f"/segments/{segment.public_id}/look", data={"csrf_token": token})

    text = client.get(page).text
    assert "The data changed" in text
    assert f"/contacts/{gone.public_id}" in text
    assert '"values": [7]' in text
    assert "Nobody came or went" in client.get(f"{page}?kind=entered").text
    assert client.get(f"{page}?days=1&kind=nonsense&after=x").status_code == 200
    assert "1 left" in client.get(f"{page}/panel").text
    contact = client.get(f"/contacts/{gone.public_id}?kind=segment").text
    assert "Left the segment" in contact
    assert client.post(f"/segments/{segment.public_id}/unwatch", data={"csrf_token": token}).status_code == 303
    assert "not watched" in client.get(page).text


def test_private_segment_is_seen_by_its_owner_and_admins_only(
    ctx: Context, client: FlaskClient, story: Story, segment: Segment
) -> None:
    with ctx.read() as session:
        kim = session.scalar(select(Staff.id).where(Staff.email == "kim@example.com"))
    service.set_properties(ctx, segment.id, visibility=Visibility.PRIVATE, owner_id=kim)
    colleague = _add_marketer(ctx, "lou@example.com", "North")
    paths = [
        f"/segments/{segment.public_id}", f"/segments/{segment.public_id}/history",
        f"/segments/{segment.public_id}/tasks/new", f"/segments/{segment.public_id}/properties",
        f"/segments/{segment.public_id}/members.csv", f"/segments/{segment.public_id}/count",
        f"/segments/{segment.public_id}/edit", f"/campaigns/new?segment={segment.public_id}",
    ]  # fmt: skip

    def seen(email: str) -> list[int]:
        mine = make_client(ctx)
        sign_in(mine, email)
        assert ("Decision makers" in mine.get("/segments").text) is (mine.get(paths[0]).status_code == 200)
        return [mine.get(path).status_code for path in paths]

    assert seen("lou@example.com") == [404] * len(paths)
    assert seen("kim@example.com") == [200] * len(paths)
    assert seen("ada@example.com") == [200] * len(paths)

    with ctx.write() as session:
        session.execute(update(Staff).where(Staff.id.in_([kim, colleague])).values(group_name="North"))
    service.set_properties(ctx, segment.id, visibility=Visibility.GROUP)
    assert seen("lou@example.com") == [200] * len(paths)


def _add_marketer(ctx: Context, email: str, group: str) -> int:
    with ctx.write() as session:
        kim = session.scalars(select(Staff).where(Staff.email == "kim@example.com")).one()
        row = Staff(
            email=email, name="Lou", role="marketer", password_hash=kim.password_hash, must_change_password=False,
            created_at=kim.created_at, group_name="",
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def test_campaign_keeps_an_audience_that_its_editor_may_not_see(
    ctx: Context, client: FlaskClient, story: Story, segment: Segment
) -> None:
    with ctx.read() as session:
        kim = session.scalar(select(Staff.id).where(Staff.email == "kim@example.com"))
    hidden = service.create_static(ctx, "Hidden", by=kim)
    for one in (segment, hidden):
        service.set_properties(ctx, one.id, visibility=Visibility.PRIVATE, owner_id=kim)
    _add_marketer(ctx, "lou@example.com", "")
    token = sign_in(client, "lou@example.com")
    form = {"csrf_token": token, "include": [str(segment.id), str(hidden.id)]}

    assert "Hidden" not in client.get(f"/campaigns/{story.draft.public_id}/recipients").text
    client.post(f"/campaigns/{story.draft.public_id}/recipients", data=form)

    with ctx.read() as session:
        chosen = select(CampaignSegment.segment_id).where(CampaignSegment.campaign_id == story.draft.id)
        assert list(session.scalars(chosen)) == [segment.id]


def test_properties_are_saved_and_a_twin_is_told(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client)
    page = f"/segments/{segment.public_id}/properties"
    form = {"csrf_token": token, "name": "Seminar participants", "description": "New", "visibility": "all"}

    wrong = client.post(page, data=form | {"name": " ", "description": "kept"})
    assert wrong.status_code == 400
    assert "kept" in wrong.text
    no_group = client.post(page, data=form | {"visibility": "group"})
    assert no_group.status_code == 400

    assert client.post(page, data=form).status_code == 303
    assert "Another segment is called" in client.get(f"/segments/{segment.public_id}").text


def test_segment_in_use_is_not_archived_and_an_unused_one_comes_back(
    ctx: Context, client: FlaskClient, story: Story, segment: Segment
) -> None:
    token = sign_in(client)
    page = client.get(f"/segments/{segment.public_id}/properties").text
    assert "Makers who take part" in page
    refused = client.post(f"/segments/{segment.public_id}/archive", data={"csrf_token": token})
    assert refused.status_code == 409

    lone = service.create_static(ctx, "Lone")
    for path, is_listed in (("archive", False), ("unarchive", True)):
        assert client.post(f"/segments/{lone.public_id}/{path}", data={"csrf_token": token}).status_code == 303
        with ctx.read() as session:
            assert (session.get_one(Segment, lone.id).archived_at is None) is is_listed


def test_members_are_copied(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client)

    made = client.post(f"/segments/{segment.public_id}/copy", data={"csrf_token": token, "name": "Frozen"})

    with ctx.read() as session:
        copy = session.scalars(select(Segment).where(Segment.name == "Frozen")).one()
    assert made.headers["Location"].endswith(str(copy.public_id))
    assert copy.kind == "static"


def test_campaign_begins_with_the_audience_of_the_link(ctx: Context, client: FlaskClient, segment: Segment) -> None:
    token = sign_in(client)
    assert "Decision makers" in client.get(f"/campaigns/new?segment={segment.public_id}").text
    assert client.get(f"/campaigns/new?segment={uuid.uuid4()}").status_code == 404
    assert client.get("/campaigns/new?segment=nonsense").status_code == 404

    form = {"csrf_token": token, "name": "To makers", "segment": str(segment.public_id)}
    assert client.post("/campaigns", data=form).status_code == 303

    with ctx.read() as session:
        campaign = session.scalars(select(Campaign).where(Campaign.name == "To makers")).one()
        chosen = session.scalars(select(CampaignSegment).where(CampaignSegment.campaign_id == campaign.id)).one()
    assert (chosen.segment_id, chosen.mode) == (segment.id, "include")
    page = client.get(f"/segments/{segment.public_id}").text
    assert "To makers" in page


def test_files_come_with_a_name_and_a_type(client: FlaskClient, segment: Segment) -> None:
    sign_in(client)

    book = client.get(f"/segments/{segment.public_id}/members.xlsx")
    text = client.get(f"/segments/{segment.public_id}/members.csv")

    assert book.data.startswith(b"PK")
    assert 'filename="decision-makers.xlsx"' in book.headers["Content-Disposition"]
    assert len(text.text.splitlines()) == 9
