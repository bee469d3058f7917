"""Unsubscribe and preferences by link: RFC 8058, no cookie, no redirect, nothing changed by a GET."""

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.consent import service
from mailer.consent.queries import get_permission
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.schema.consent import Consent, ConsentEvent, Subscription, Topic
from mailer.schema.contacts import Contact
from mailer.schema.workspace import Workspace
from mailer.statuses import Permission
from mailer.tokens import manage_token
from mailer.workspace.brand import contrast
from tests.support.client import make_client
from tests.support.make import make_contact, make_reader, make_sender, make_topic, make_workspace


@pytest.fixture
def reader(ctx: Context) -> Contact:
    with ctx.write() as session:
        make_workspace(session, name="Fjord Seminars")
        make_topic(session, name="Empty")
        topic = make_topic(session, name="Invitations")
        make_topic(session, name="News")
        contact = make_reader(session, topic, "anna.berg@example.com")
        make_contact(session, None)
    return contact


@pytest.fixture
def client(ctx: Context, reader: Contact) -> FlaskClient:
    return make_client(ctx)


def topic_of(ctx: Context, contact: Contact) -> tuple[int, str]:
    with ctx.read() as session:
        row = session.scalars(select(Subscription).where(Subscription.contact_id == contact.id)).one()
    return row.topic_id, row.status


def link(ctx: Context, contact: Contact) -> str:
    return manage_token(ctx.keys, contact.id, topic_of(ctx, contact)[0], 7)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_ends_the_topic_without_cookie_or_redirect(
    ctx: Context, client: FlaskClient, reader: Contact, kind: str
) -> None:
    """RFC 8058, sections 3.1 and 3.2."""
    response = client.post(
        f"/u/{link(ctx, reader)}", data={"List-Unsubscribe": "One-Click"}, content_type=kind, headers={"Origin": "null"}
    )

    assert response.status_code == 200
    assert "Location" not in response.headers
    assert "Set-Cookie" not in response.headers
    assert topic_of(ctx, reader)[1] == "unsubscribed"


def test_one_click_may_be_repeated(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    for _ in range(2):
        response = client.post(f"/u/{link(ctx, reader)}", data={"List-Unsubscribe": "One-Click"})
        assert response.status_code == 200

    with ctx.read() as session:
        lines = session.scalars(select(ConsentEvent).where(ConsentEvent.ledger_id == reader.ledger_id)).all()
    assert [(line.verdict, line.channel, line.message_id) for line in lines] == [("unsubscribed", "one-click", 7)]


@pytest.mark.parametrize("page", ["u", "p"])
@pytest.mark.parametrize(
    "body", [{}, {"List-Unsubscribe": "Two-Clicks"}, {"what": "anything"}, {"topic": "1"}], ids=str
)
def test_a_post_of_another_body_changes_nothing(
    ctx: Context, client: FlaskClient, reader: Contact, page: str, body: dict[str, str]
) -> None:
    response = client.post(f"/{page}/{link(ctx, reader)}", data=body)

    assert response.status_code == 400
    assert "Set-Cookie" not in response.headers
    assert topic_of(ctx, reader)[1] == "subscribed"


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_a_scanner_that_fetches_the_link_changes_nothing(
    ctx: Context, client: FlaskClient, reader: Contact, method: str
) -> None:
    response = getattr(client, method)(f"/u/{link(ctx, reader)}")

    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert topic_of(ctx, reader)[1] == "subscribed"


def test_the_page_masks_the_address(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    page = client.get(f"/u/{link(ctx, reader)}").text

    assert "a…@example.com" in page
    assert "anna.berg" not in page
    assert reader.first_name not in page


def test_no_marketing_at_all_withdraws_the_permission(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    page = client.post(f"/u/{link(ctx, reader)}", data={"what": "all"})

    assert "You are unsubscribed" in page.text
    with ctx.read() as session:
        assert get_permission(session, reader.id) is Permission.WITHDRAWN


def test_preferences_are_saved_topic_by_topic(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    with ctx.read() as session:
        names = {row.name: row.id for row in session.execute(select(Topic.name, Topic.id))}

    client.post(f"/p/{link(ctx, reader)}", data={"what": "topics", "topic": [names["News"], names["Empty"]]})

    with ctx.read() as session:
        rows = session.scalars(select(Subscription).where(Subscription.contact_id == reader.id)).all()
    assert {row.topic_id: row.status for row in rows} == {
        names["Invitations"]: "unsubscribed",
        names["News"]: "subscribed",
        names["Empty"]: "subscribed",
    }


def test_a_token_of_one_person_never_changes_another(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    token = link(ctx, reader)
    forged = token[:4] + ("A" if token[4] != "A" else "B") + token[5:]

    response = client.post(f"/u/{forged}", data={"List-Unsubscribe": "One-Click"})

    assert response.status_code == 404
    assert topic_of(ctx, reader)[1] == "subscribed"


# ------------------------------------------------------------------ undo, pause, reasons


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"the page has no {name}"
    return found[1]


def test_the_answer_offers_to_undo_and_to_say_why(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    with ctx.write() as session:  # with a line in the ledger, from which an undo knows what was
        cause = Cause(source="form", channel="form", evidence={"form": "Spring"})
        service.subscribe(session, session.get_one(Contact, reader.id), topic_of(ctx, reader)[0], cause)
    address = f"/u/{link(ctx, reader)}"
    page = client.post(address, data={"what": "topic"}).text
    undo = hidden(page, "undo")

    told = client.post(address, data={"what": "answer", "undo": undo, "reason": "too_many", "note": "daily"})
    assert "Thank you for telling us" in told.text
    assert topic_of(ctx, reader)[1] == "unsubscribed"

    back = client.post(address, data={"what": "undo", "undo": undo})

    assert back.status_code == 200
    assert "Set-Cookie" not in back.headers
    assert topic_of(ctx, reader)[1] == "subscribed"


def test_an_undo_of_another_person_is_refused(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    with ctx.write() as session:
        other = make_reader(session, session.get_one(Topic, topic_of(ctx, reader)[0]), "bo@example.com")
    page = client.post(f"/u/{link(ctx, reader)}", data={"what": "topic"}).text

    response = client.post(f"/u/{link(ctx, other)}", data={"what": "undo", "undo": hidden(page, "undo")})

    assert response.status_code == 404
    assert topic_of(ctx, reader)[1] == "unsubscribed"


def test_a_break_is_taken_and_ended(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    address = f"/p/{link(ctx, reader)}"

    assert "You have a break until" in client.post(address, data={"what": "pause", "days": "30"}).text
    assert "The break is over" in client.post(address, data={"what": "resume"}).text
    assert client.post(address, data={"what": "pause", "days": "9999"}).status_code == 400
    assert client.post(address, data={"what": "pause", "days": "-1"}).status_code == 400


def test_choices_that_the_form_does_not_ask_for_stay(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    token = link(ctx, reader)
    form = {"what": "topics", "topic": [topic_of(ctx, reader)[0]]}
    client.post(f"/p/{token}", data={**form, "language": "sv", "asks_tracking": "1", "tracking": "1"})
    client.post(f"/p/{token}", data=form)

    with ctx.read() as session:
        assert session.get_one(Contact, reader.id).language == "sv"
        rows = session.scalars(select(Consent.permission).where(Consent.purpose == "tracking")).all()
        assert rows == ["consent"]


def test_the_page_says_who_is_behind_the_mails(ctx: Context, client: FlaskClient, reader: Contact) -> None:
    with ctx.write() as session:
        make_sender(session, organisation_number="NO 999 999 999", privacy_url="https://example.com/privacy")

    page = client.get(f"/p/{manage_token(ctx.keys, reader.id)}").text

    assert "Havnegata 1, 0150 Oslo" in page
    assert "https://example.com/privacy" in page
    assert "<script" not in page


@pytest.mark.parametrize("color", ["#ffee00", "#000000", "#ffffff", "#3a4fd0", "#7fffd4"])
def test_the_brand_colour_can_be_read_by_day_and_by_night(ctx: Context, client: FlaskClient, color: str) -> None:
    with ctx.write() as session:
        session.get_one(Workspace, 1).brand_color = color

    style = client.get("/brand.css").text

    light, on_light, dark, on_dark = re.findall(r"#[0-9a-f]{6}", style)
    assert contrast(light, "#ffffff") >= 4.5
    assert contrast(light, on_light) >= 4.5
    assert contrast(dark, "#191f3b") >= 4.5
    assert contrast(dark, on_dark) >= 4.5
