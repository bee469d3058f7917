"""Unsubscribe and preferences by link: RFC 8058, no cookie, no redirect, nothing changed by a GET."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.consent.queries import get_permission
from mailer.context import Context
from mailer.schema.consent import ConsentEvent, Subscription, Topic
from mailer.schema.contacts import Contact
from mailer.statuses import Permission
from mailer.tokens import manage_token
from tests.support.client import make_client
from tests.support.make import make_contact, make_reader, make_topic, make_workspace


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
