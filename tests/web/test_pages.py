"""Pages over real requests: they render for both engines, keep people out, and say what is wrong."""

import io
import time
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from mailer.accounts import service as accounts
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.accounts import Staff
from mailer.schema.bounces import BounceReport
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Suppression, Topic
from mailer.schema.contacts import Company, Contact
from mailer.schema.followups import FollowUp
from mailer.schema.segments import Segment, SegmentMember
from mailer.schema.workspace import Sender, Workspace
from mailer.segments.bulk.run import run_due
from mailer.statuses import Role
from mailer.workspace.queries import is_stopped
from tests.support.client import csrf_of, make_client, sign_in
from tests.support.story import Story, make_story


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=48)


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    return make_client(ctx)


def list_addresses(story: Story) -> list[str]:
    contact, running, draft = story.contact.public_id, story.running.public_id, story.draft.public_id
    steps = ("setup", "template", "content", "recipients", "review", "preview", "preview?show=text", "audience")
    return [
        "/dashboard", "/dashboard/running", "/contacts", "/contacts?q=ada", "/contacts/new", f"/contacts/{contact}",
        f"/contacts/{contact}?kind=mail", f"/contacts/{contact}/edit", "/follow-ups", "/follow-ups?whose=all",
        "/follow-ups?status=done", f"/follow-ups/new?contact={contact}", "/follow-ups/sharing", "/segments",
        "/segments/new", "/segments/new?kind=combined",
        f"/segments/{story.segment.public_id}", f"/segments/{story.segment.public_id}/edit",
        f"/segments/{story.segment.public_id}/count", f"/segments/{story.segment.public_id}/members.csv",
        f"/segments/{story.segment.public_id}/explain?email=person0@example.com", "/campaigns", "/campaigns/new",
        *(f"/campaigns/{draft}/{step}" for step in steps), f"/campaigns/{running}", f"/campaigns/{running}/live",
        f"/campaigns/{running}/plot", f"/campaigns/{running}/messages",
        f"/campaigns/{running}/messages?show=opened", "/designs", "/designs/edit?source=invitation",
        "/designs/preview?name=invitation", "/deliverability", "/operations", "/operations/live", "/transports",
        "/transports/new", f"/campaigns/{running}/unknown", "/bounces", "/bounces/reports/1", "/imports",
        "/imports/new",
        "/suppressions", "/suppressions/export", "/topics",
        "/fields", "/settings", "/senders", "/senders/new", "/staff",
        "/staff/new", "/audit", "/account/password",
    ]  # fmt: skip


def test_every_page_renders(client: FlaskClient, story: Story) -> None:
    sign_in(client)

    answers = {address: client.get(address).status_code for address in list_addresses(story)}

    assert {address: status for address, status in answers.items() if status != 200} == {}


def test_a_page_that_is_not_there_says_so_in_the_frame(client: FlaskClient) -> None:
    sign_in(client)

    response = client.get(f"/contacts/{uuid.uuid4()}")

    assert response.status_code == 404
    assert "no such contact" in response.text


def test_a_salesperson_sees_no_settings(client: FlaskClient, ctx: Context) -> None:
    _, password = accounts.create_staff(ctx, "sam@example.com", Role.SALES)
    staff = accounts.authenticate(ctx, "sam@example.com", password)
    accounts.change_password(ctx, staff.id, password, "three plain words")
    sign_in(client, "sam@example.com", "three plain words")

    assert client.get("/settings").status_code == 403
    assert client.get("/staff").status_code == 403
    assert 'href="/settings"' not in client.get("/contacts").text


def test_a_one_time_password_opens_only_the_page_that_changes_it(client: FlaskClient, ctx: Context) -> None:
    _, password = accounts.create_staff(ctx, "sam@example.com", Role.ADMIN)
    page = client.get("/sign-in")
    client.post("/sign-in", data={"csrf_token": csrf_of(page.text), "email": "sam@example.com", "password": password})

    assert client.get("/contacts").location == "/account/password"


def test_a_session_ends_when_the_password_changes(client: FlaskClient, ctx: Context, story: Story) -> None:
    sign_in(client)
    with ctx.read() as session:
        person = accounts.queries.find_staff_by_id(session, story.admin_id)
    assert person is not None
    accounts.reset_password(ctx, person.public_id, by=None)

    assert client.get("/contacts").location.startswith("/sign-in")


def test_a_form_without_its_token_changes_nothing(client: FlaskClient, ctx: Context) -> None:
    sign_in(client)

    response = client.post("/settings/stop", data={"note": "forged"})

    assert response.status_code == 400
    with ctx.read() as session:
        assert not is_stopped(session)


def test_signing_in_leads_to_a_page_of_ours_only(client: FlaskClient) -> None:
    page = client.get("/sign-in?next=//evil.example")

    assert "evil" not in page.text


def test_wrong_password_keeps_the_address_in_the_form(client: FlaskClient) -> None:
    page = client.get("/sign-in")
    form = {"csrf_token": csrf_of(page.text), "email": "ada@example.com", "password": "nonsense"}

    response = client.post("/sign-in", data=form)

    assert response.status_code == 400
    assert "wrong address or password" in response.text
    assert 'value="ada@example.com"' in response.text


def test_stop_everything_shows_on_every_page_until_released(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)

    client.post("/settings/stop", data={"csrf_token": token, "note": "wrong price"})

    assert "wrong price" in client.get("/contacts").text
    refused = client.post("/settings/release", data={"csrf_token": token, "note": ""})
    assert refused.status_code == 400
    client.post("/settings/release", data={"csrf_token": token, "note": "price mended"})
    with ctx.read() as session:
        assert not is_stopped(session)


def test_a_broken_rule_is_answered_with_its_place(client: FlaskClient) -> None:
    token = sign_in(client)
    rule = '{"version": 1, "all": [{"field": "nonsense", "op": "equals", "value": 1}]}'

    response = client.post("/segments/preview", data={"csrf_token": token, "rule": rule})

    assert "all[0].field" in response.text


def test_a_segment_is_created_from_its_form(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)
    rule = '{"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}'

    response = client.post(
        "/segments", data={"csrf_token": token, "kind": "dynamic", "name": "People in Oslo", "rule": rule}
    )

    assert response.status_code == 303
    page = client.get(response.location)
    assert 'data-count="16"' in page.text


def test_people_are_added_to_a_static_segment_by_address(client: FlaskClient, ctx: Context, story: Story) -> None:
    token = sign_in(client)
    with ctx.read() as session:
        segment = session.scalars(select(Segment).where(Segment.kind == "static")).one()
    emails = "person44@example.com\nnobody@example.com"

    response = client.post(f"/segments/{segment.public_id}/members", data={"csrf_token": token, "emails": emails})

    assert response.status_code == 303
    with ctx.read() as session:
        causes = session.scalars(select(SegmentMember.cause).where(SegmentMember.segment_id == segment.id)).all()
    assert causes.count("by hand") == 1


def test_a_task_for_each_member_is_created_once(client: FlaskClient, ctx: Context, story: Story) -> None:
    token = sign_in(client)
    form = {"csrf_token": token, "title": "Call them", "due_on": "2026-12-01", "kind": "call", "once": "77"}

    for _ in range(2):
        started = client.post(f"/segments/{story.segment.public_id}/tasks", data={**form, "what": "follow_ups"})
        assert started.status_code == 303
    run_due(ctx)

    with ctx.read() as session:
        tasks = session.scalars(select(FollowUp).where(FollowUp.title == "Call them")).all()
    assert len(tasks) == 16


def test_the_report_loads_anew_when_its_campaign_changed_state(client: FlaskClient, story: Story) -> None:
    sign_in(client)
    address = f"/campaigns/{story.running.public_id}/live"

    assert "HX-Refresh" not in client.get(f"{address}?was=sending").headers
    assert client.get(f"{address}?was=preparing").headers["HX-Refresh"] == "true"


def test_a_launch_with_the_wrong_number_is_refused(client: FlaskClient, story: Story) -> None:
    token = sign_in(client)

    response = client.post(f"/campaigns/{story.draft.public_id}/launch", data={"csrf_token": token, "typed": "9999"})

    assert response.status_code == 400
    assert "the audience is" in response.text


def test_an_import_of_suppressions_names_what_is_no_address(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)
    content = b"email,reason\nperson1@gmail.com,asked\nnot an address,\n"

    response = client.post(
        "/suppressions/import",
        data={"csrf_token": token, "file": (io.BytesIO(content), "list.csv")},
        follow_redirects=True,
    )

    assert "1 address is new" in response.text
    assert "not an address" in response.text


def wait_for_import(client: FlaskClient) -> str:
    for _ in range(100):
        page = client.get("/imports").text
        if "Running" not in page and "No imports yet" not in page:
            return page
        time.sleep(0.05)
    raise AssertionError("the import does not end")


def test_the_wizard_tries_and_then_imports(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)
    file = io.BytesIO("E-post;Fornavn;Favourite\nnew.person@example.com;Åse;blue\nbad address;X;red\n".encode())

    uploaded = client.post("/imports/new", data={"csrf_token": token, "file": (file, "fair.csv")})
    terms = {"csrf_token": token, "basis": "consent", "source": "Fair in Oslo", "topics": ["Invitations"]}
    tried = client.post(uploaded.location, data=terms)

    assert "1 people are new" in tried.text
    assert "1 rows would be refused" in tried.text
    assert "new.person" not in client.get("/contacts").text

    client.post(uploaded.location, data=terms | {"run": "1"})
    page = wait_for_import(client)

    assert "fair.csv" in page
    assert "new.person@example.com" in client.get("/contacts").text


def multipart(token: str, content: bytes) -> dict[str, Any]:
    """A body with a file, built by hand: the client's own builder leaves a temporary file open."""
    head = (
        '--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
        f"{token}\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="many.csv"\r\n\r\n'
    )
    return {"data": head.encode() + content + b"\r\n--b--\r\n", "content_type": "multipart/form-data; boundary=b"}


def test_a_file_of_many_megabytes_is_taken(client: FlaskClient) -> None:
    token = sign_in(client)
    rows = b"".join(b"person%d@example.com,%s\n" % (number, b"x" * 60) for number in range(60_000))

    response = client.post("/imports/new", **multipart(token, b"email,first_name\n" + rows))

    assert response.status_code == 303
    assert len(rows) > 4_000_000


def test_a_form_is_not_a_file(client: FlaskClient) -> None:
    token = sign_in(client)

    response = client.post("/topics", data={"csrf_token": token, "name": "x" * 3_000_000})

    assert response.status_code == 413


def test_a_stranger_uploads_nothing(client: FlaskClient) -> None:
    response = client.post("/imports/new", **multipart("", b"x" * 3_000_000))

    assert response.location.startswith("/sign-in")


def test_a_file_that_is_no_table_is_refused_at_once(client: FlaskClient) -> None:
    token = sign_in(client)
    file = io.BytesIO(b"%PDF-1.7 \x00\xff\xfe binary")

    response = client.post("/imports/new", data={"csrf_token": token, "file": (file, "people.csv")})

    assert response.status_code == 400
    assert "Nothing was saved" in response.text


def test_assets_come_packed_and_are_kept(client: FlaskClient) -> None:
    with (
        client.get("/static/app.css") as plain,
        client.get("/static/app.css?v=1", headers={"Accept-Encoding": "gzip, br"}) as packed,
    ):
        assert (plain.headers.get("Content-Encoding"), packed.headers["Content-Encoding"]) == (None, "br")
        assert packed.mimetype == plain.mimetype == "text/css"
        assert len(packed.data) < len(plain.data) / 5
        assert "immutable" in packed.headers["Cache-Control"]


def test_no_file_outside_the_assets_is_served(client: FlaskClient) -> None:
    with client.get("/static/../app.py") as response:
        assert response.status_code == 404


def test_an_own_field_is_created_and_a_bad_key_named(client: FlaskClient) -> None:
    token = sign_in(client)

    refused = client.post("/fields", data={"csrf_token": token, "key": "Shoe Size", "label": "Shoe", "type": "number"})
    form = {"csrf_token": token, "key": "shoe_size", "label": "Shoe size", "type": "number"}
    created = client.post("/fields", data=form, follow_redirects=True)

    assert refused.status_code == 400
    assert "cannot be a key" in refused.text
    assert "Shoe size" in created.text
    assert "Shoe size" in client.get("/contacts/new").text


def test_a_hostile_name_is_shown_as_text(client: FlaskClient, ctx: Context) -> None:
    token = sign_in(client)
    name = '<script>alert("x")</script>'

    client.post("/contacts", data={"csrf_token": token, "email": "h@example.com", "first_name": name})

    page = client.get("/contacts").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


HOSTILE = "\"'><script>alert(1)</script>"


def test_hostile_text_in_every_field_stays_text(client: FlaskClient, ctx: Context, story: Story) -> None:
    """Names, subjects, sources and reports come from outside; none of them may become markup (stored XSS)."""
    with ctx.write() as session:
        for table, columns in (
            (Contact, ("first_name", "last_name", "title", "phone", "city", "category")),
            (Company, ("name", "industry")),
            (Staff, ("name",)),
            (Campaign, ("name", "preheader")),
            (Topic, ("description",)),
            (Sender, ("from_name", "postal_address", "footer")),
            (FollowUp, ("title", "note", "source")),
            (Suppression, ("source",)),
            (BounceReport, ("diagnostic", "source")),
            (Workspace, ("name", "stop_note")),
        ):
            session.execute(update(table).values(dict.fromkeys(columns, HOSTILE)))
        session.execute(update(Workspace).values(stopped_at=utc_now()))
    sign_in(client)

    found = {}
    for address in list_addresses(story):
        if "preview" in address or address.endswith((".csv", "/export")):
            continue  # a page of its own that can run nothing; a file
        page = client.get(address)
        if page.status_code != 200 or "<script>alert" in page.text:
            found[address] = page.status_code

    assert found == {}
