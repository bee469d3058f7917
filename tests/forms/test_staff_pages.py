"""The builder and the pages of a form, for staff who may, through the real sign-in."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.context import Context
from mailer.forms import queries, service
from mailer.forms.confirm import confirm
from mailer.forms.submit import Visitor
from mailer.schema.forms import Form
from mailer.segments.service import create_static
from mailer.statuses import Role
from tests.support.client import sign_in
from tests.support.forms import link_of, mail_to, make_form, new_person
from tests.support.make import make_sender, make_staff, make_topic
from tests.support.story import _hashed

Values = dict[str, Any]


Browsers = dict[Role, tuple[FlaskClient, str]]


@pytest.fixture(scope="session")
def browsers(shared: Context, app: Flask) -> Browsers:
    """Browsers of staff by role, each with its token against forged requests; signing in is slow on purpose."""
    form = make_form(shared, name="Put away")  # the workspace comes with it
    service.archive_form(shared, form.public_id, is_archived=True)
    found: Browsers = {}
    for role in (Role.MARKETER, Role.OPS, Role.SALES):
        email = new_person("staff")
        with shared.write() as session:
            make_staff(session, email=email, role=role.value, password_hash=_hashed(), must_change_password=False)
        client = app.test_client()
        found[role] = client, sign_in(client, email)
    return found


@pytest.fixture
def staff(ctx: Context, browsers: Browsers) -> tuple[FlaskClient, str]:
    """A marketer's browser and the token against forged requests."""
    return browsers[Role.MARKETER]


def build(ctx: Context, csrf: str, **more: Any) -> Values:
    """What the builder sends."""
    with ctx.write() as session:
        sender, topic = make_sender(session), make_topic(session)
    values = {
        "csrf_token": csrf, "name": "Seminar in Oslo", "sender": sender.name, "topics": topic.name, "wording": "Yes.",
        "double_opt_in": "double", "accent": "#0e6b52", "language": "nb", "sites": "https://www.example.com\n",
        "field_key": ["first_name", "city"], "ask_city": "required", "order_city": "1", "label_city": "Where?",
        "ask_first_name": "optional", "order_first_name": "2",
    }  # fmt: skip
    return values | more


def newest(ctx: Context) -> Form:
    with ctx.read() as session:
        form = session.scalar(select(Form).order_by(Form.id.desc()).limit(1))
    assert form is not None
    return form


def test_a_form_is_built_opened_closed_archived_and_brought_back(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, csrf = staff
    segment = create_static(ctx, new_person("Participants"), contact_ids=[], cause="test")
    task = {"task_title": "Call", "task_days": "2", "task_kind": "call"}
    sent = build(ctx, csrf, add_to_segment=str(segment.id), prefill_first_name="1", **task)

    made = client.post("/forms", data=sent)
    form = newest(ctx)
    states = []
    for step in ("open", "close", "archive", "unarchive"):
        assert client.post(f"/forms/{form.public_id}/{step}", data={"csrf_token": csrf}).status_code == 303
        after = newest(ctx)
        states.append((after.state, after.archived_at is not None))

    assert (made.status_code, made.location) == (303, f"/forms/{form.public_id}")
    assert [line["field"] for line in form.fields] == ["city", "first_name"]
    assert form.fields[0] == {"field": "city", "label": "Where?", "required": True, "prefill": False}
    assert form.fields[1]["prefill"] is True
    assert 'name="prefill_first_name" value="1" checked' in client.get(f"/forms/{form.public_id}/edit").text
    assert form.actions == [
        {"kind": "add_to_segment", "params": {"segment_id": segment.id}},
        {"kind": "follow_up", "params": {"title": "Call", "due_working_days": 2, "kind": "call"}},
    ]
    assert states == [("open", False), ("closed", False), ("closed", True), ("closed", False)]


def test_the_builder_shows_a_form_as_it_was_built(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, csrf = staff
    client.post("/forms", data=build(ctx, csrf, task_title="Call <them>"))
    form = newest(ctx)

    page = client.get(f"/forms/{form.public_id}/edit").text

    assert 'value="Seminar in Oslo"' in page
    assert 'value="Call &lt;them&gt;"' in page
    assert 'value="#0e6b52"' in page
    assert '<option value="nb" selected>' in page
    assert "https://www.example.com</textarea>" in page


def test_a_task_of_a_file_is_whole_after_it_was_saved_in_the_builder(
    ctx: Context, staff: tuple[FlaskClient, str]
) -> None:
    client, csrf = staff
    task = {
        "title": "Meet",
        "due_working_days": 2,
        "kind": "meeting",
        "minutes": 45,
        "owner": "group:Oslo",
        "note": "Ask",
    }
    client.post("/forms", data=build(ctx, csrf))
    address = f"/forms/{newest(ctx).public_id}/edit"
    with ctx.write() as session:
        session.get_one(Form, newest(ctx).id).actions = [{"kind": "follow_up", "params": task}]

    page = client.get(address).text
    sent = {f"task_{key}": _shown(page, f"task_{key}") for key in ("title", "days", "minutes", "owner", "note")}
    client.post(address, data=build(ctx, csrf, **sent, task_kind="meeting"))

    assert newest(ctx).actions == [{"kind": "follow_up", "params": task}]


def _shown(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    ctx: Context, staff: tuple[FlaskClient, str]
) -> None:
    client, csrf = staff
    wrong = build(ctx, csrf, redirect="ftp://x", sites="nowhere", closes_after="many", wording="Kept words.")

    page = client.post("/forms", data=wrong)

    assert page.status_code == 400
    for name in ("redirect", "sites", "closes_after"):
        assert f'id="{name}-problem"' in page.text
    assert "Kept words." in page.text
    assert 'value="ftp://x"' in page.text
    assert 'value="Where?"' in page.text


def test_a_form_that_lacks_something_says_what_before_it_opens(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, csrf = staff
    client.post("/forms", data=build(ctx, csrf, sender="", wording=""))
    form = newest(ctx)

    page = client.get(f"/forms/{form.public_id}")
    refused = client.post(f"/forms/{form.public_id}/open", data={"csrf_token": csrf})

    assert "Before it can open" in page.text
    assert refused.status_code == 400
    assert "sender profile" in refused.text
    assert newest(ctx).state == "draft"


def test_the_page_of_a_form_tells_numbers_people_and_snippets(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, _csrf = staff
    form = make_form(ctx, sites=["https://www.example.com"], title='News & "more"')
    row = mail_to(ctx, form, email := new_person())
    confirm(ctx, link_of(ctx, row)[3:], Visitor("", ""))
    mail_to(ctx, form, waiting := new_person())

    page = client.get(f"/forms/{form.public_id}").text
    only = client.get(f"/forms/{form.public_id}?status=pending").text

    assert email in page
    assert waiting in page
    assert (email in only, waiting in only) == (False, True)
    assert f"&lt;iframe src=&#34;http://127.0.0.1:8000/f/{form.public_id}/embed&#34;" in page
    assert "title=&#34;News &amp;amp; &amp;#34;more&amp;#34;&#34;" in page
    assert f"&lt;form action=&#34;http://127.0.0.1:8000/f/{form.public_id}&#34; method=&#34;post&#34;" in page


def test_the_preview_shows_the_form_and_sends_nothing(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, _csrf = staff
    form = make_form(ctx, is_open=False, title="Not yet public")

    response = client.get(f"/forms/{form.public_id}/preview")

    assert "Not yet public" in response.text
    assert "form-action 'none'" in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in response.headers["Content-Security-Policy"]


def test_a_form_that_rests_is_told_on_the_list_and_let_go(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, csrf = staff
    form = make_form(ctx, name="Flooded form")
    service.note_tripped(ctx, form.id)

    told = client.get("/forms").text
    assert "Flooded form rests" in client.get("/operations").text
    released = client.post(f"/forms/{form.public_id}/release", data={"csrf_token": csrf})

    assert "Flooded form rests" in told
    assert released.status_code == 303
    assert "Flooded form rests" not in client.get("/forms").text


def test_a_new_form_starts_with_what_most_have(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, _csrf = staff

    page = client.get("/forms/new").text

    assert "I can leave at any time" in page
    assert page.count('name="field_key"') >= 7


@pytest.mark.parametrize("path", ["/forms", "/forms/new"])
def test_sales_have_no_right_to_forms(browsers: Browsers, path: str) -> None:
    assert browsers[Role.SALES][0].get(path).status_code == 403


def test_operations_look_and_let_go_but_change_nothing(ctx: Context, browsers: Browsers) -> None:
    form, (browser, csrf) = make_form(ctx), browsers[Role.OPS]

    page = browser.get(f"/forms/{form.public_id}")
    acts = {
        act: browser.post(f"/forms/{form.public_id}/{act}", data={"csrf_token": csrf}).status_code
        for act in ("close", "release")
    }

    assert (page.status_code, "Archive" in page.text) == (200, False)
    assert acts == {"close": 403, "release": 303}


def test_a_forged_request_changes_nothing(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    client, _csrf = staff
    form = make_form(ctx)

    forged = client.post(f"/forms/{form.public_id}/close", headers={"Origin": "https://evil.example.org"})

    assert forged.status_code == 400
    assert newest(ctx).state == "open"


def test_the_list_is_paged(ctx: Context, staff: tuple[FlaskClient, str]) -> None:
    make_form(ctx)
    with ctx.read() as session:
        first = queries.list_forms(session, ctx.clock.now(), limit=1)
        rest = queries.list_forms(session, ctx.clock.now(), before_id=first[0].form.id, limit=50)

    assert first[0].form.id not in {line.form.id for line in rest}
