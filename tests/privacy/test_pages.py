"""Pages of requests, of a person's data, of retention and incidents."""

import io
import re
import zipfile
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from mailer.context import Context
from mailer.privacy.erasure import advance_all
from mailer.privacy.service import RequestValues, record_request
from mailer.schema.accounts import Staff
from mailer.schema.contacts import Address, Contact
from mailer.schema.privacy import Erasure, SubjectRequest
from tests.support.client import csrf_of, make_client, sign_in
from tests.support.make import make_contact
from tests.support.story import Story, make_story

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=12)


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    client = make_client(ctx)
    sign_in(client)
    return client


def token(client: FlaskClient, path: str = "/privacy/requests/new") -> str:
    return csrf_of(client.get(path).text)


def test_a_request_goes_from_the_contact_page_to_its_answer(ctx: Context, story: Story, client: FlaskClient) -> None:
    contact = f"/contacts/{story.contact.public_id}"
    assert f"/privacy/requests/new?contact={story.contact.public_id}" in client.get(contact).text
    form = {"csrf_token": token(client), "contact": str(story.contact.public_id), "kind": "access", "channel": "phone"}

    shown = client.post("/privacy/requests", data=form, follow_redirects=True)
    assert "Written down as number 1" in shown.text
    assert "Open" in client.get(contact).text
    path = shown.request.path
    extended = client.post(f"{path}/extend", data=form | {"note": "many systems"}, follow_redirects=True)
    assert "many systems" in extended.text
    refused = client.post(f"{path}/close", data=form | {"as": "refused", "answer": ""})
    assert refused.status_code == 400
    closed = client.post(f"{path}/close", data=form | {"as": "answered", "answer": "by letter"}, follow_redirects=True)

    assert "Answered" in closed.text


def test_overdue_requests_stand_on_top(ctx: Context, story: Story, client: FlaskClient) -> None:
    for number in range(3):
        record_request(ctx, RequestValues(kind="access", email=f"asker{number}@example.com"))
    with ctx.write() as session:
        late = session.get_one(SubjectRequest, 3)
        late.due_on -= timedelta(days=60)

    page = client.get("/privacy").text

    assert "1 request is overdue" in page
    assert page.index("asker2@") < page.index("asker0@")


def test_a_person_is_shown_exported_and_erased_by_typing(ctx: Context, story: Story, client: FlaskClient) -> None:
    public_id = str(story.contact.public_id)
    with ctx.read() as session:
        email = session.scalar(select(Address.email).where(Address.id == story.contact.address_id))
    page = client.get(f"/privacy/person?contact={public_id}")
    form = {"csrf_token": csrf_of(page.text), "contact": public_id}
    assert "Contact: name and fields" in page.text

    archive = client.post("/privacy/export", data=form)
    assert "data.json" in zipfile.ZipFile(io.BytesIO(archive.data)).namelist()
    assert archive.headers["Cache-Control"] == "no-store"
    wrong = client.post("/privacy/erase", data=form | {"typed": "yes"})
    assert wrong.status_code == 400
    with ctx.read() as session:
        assert session.scalar(select(Erasure.id)) is None
    erased = client.post("/privacy/erase", data=form | {"typed": email}, follow_redirects=True)

    assert "The address is closed" in erased.text
    advance_all(ctx)
    live = client.get(f"{erased.request.path}/live").text
    assert "Erased" in live
    assert "hx-get" not in live
    with ctx.read() as session:
        assert session.get_one(Contact, story.contact.id).first_name == ""
    assert client.get(f"/contacts/{public_id}").status_code == 404


def test_a_contact_without_address_and_name_is_erased_by_its_number(ctx: Context, client: FlaskClient) -> None:
    with ctx.write() as session:
        contact = make_contact(session, None, first_name="", last_name="")
    page = client.get(f"/privacy/person?contact={contact.public_id}")
    form = {"csrf_token": csrf_of(page.text), "contact": str(contact.public_id)}

    assert client.post("/privacy/erase", data=form | {"typed": ""}).status_code == 400
    done = client.post("/privacy/erase", data=form | {"typed": f"contact {contact.id}"}, follow_redirects=True)

    assert "The address is closed" in done.text
    assert advance_all(ctx) == 1


def test_an_address_without_contact_is_looked_up(client: FlaskClient) -> None:
    assert "No contact has this address" in client.get("/privacy/person?email=nobody@example.com").text
    assert client.get("/privacy/person?email=nonsense").status_code == 400


def test_retention_shows_what_would_go_and_takes_other_values(ctx: Context, client: FlaskClient) -> None:
    page = client.get("/privacy/retention")
    form = {name: value for name, value in _fields(page.text).items() if name.startswith("keep_")}
    form["csrf_token"] = csrf_of(page.text)

    saved = client.post("/privacy/retention", data=form | {"keep_hits_days": "90"}, follow_redirects=True)
    wrong = client.post("/privacy/retention", data=form | {"keep_hits_days": "never"})

    assert 'name="keep_hits_days" value="90"' in saved.text
    assert wrong.status_code == 400
    assert 'value="never"' in wrong.text


def _fields(html: str) -> dict[str, str]:
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', html))


def test_who_was_touched_comes_as_a_file(ctx: Context, story: Story, client: FlaskClient) -> None:
    form = {"csrf_token": token(client), "what": "campaign", "campaign": str(story.finished.id)}

    found = client.post("/privacy/incident", data=form)
    wrong = client.post("/privacy/incident", data=form | {"what": "segment"})

    assert found.mimetype == "text/csv"
    assert found.text.count("@") == 12
    assert wrong.status_code == 400


def test_who_sells_may_write_a_request_down_and_see_nothing_else(ctx: Context, story: Story) -> None:
    client = make_client(ctx)
    with ctx.write() as session:
        admin = session.scalars(select(Staff).where(Staff.email == "ada@example.com")).one()
        session.execute(
            update(Staff).where(Staff.email == "bo@example.com").values(
                password_hash=admin.password_hash, must_change_password=False
            )
        )  # fmt: skip
    sign_in(client, "bo@example.com")

    for path in ("/privacy", "/privacy/person", "/privacy/retention", "/privacy/incident"):
        assert client.get(path).status_code == 403
    assert client.get("/privacy/requests/new").status_code == 200
