"""Pages of transports, held providers and unknown mails, over real requests."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from mailer.accounts import service as accounts
from mailer.context import Context
from mailer.delivery.holds import list_provider_holds
from mailer.delivery.service import add_batches
from mailer.schema.accounts import AuditEvent
from mailer.schema.delivery import Message, Sending
from mailer.schema.transports import Transport
from mailer.statuses import Role
from tests.support.client import make_client, sign_in
from tests.support.make import make_batch_row
from tests.support.relays import make_relays
from tests.support.sink import Sink
from tests.support.story import Story, make_story


@pytest.fixture
def story(ctx: Context) -> Story:
    found = make_story(ctx, people=48)
    make_relays(ctx, found)
    return found


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    return make_client(ctx)


def test_transport_is_added_and_tried_and_its_password_never_comes_back(
    ctx: Context, client: FlaskClient, sink: Sink
) -> None:
    token = sign_in(client)
    url = f"smtp://anna:geheim@127.0.0.1:{sink.port}"
    form = {"csrf_token": token, "name": "Sink", "url": url, "weight": "1", "connections": "2", "rate_per_second": "9"}

    assert client.post("/transports", data=form).status_code == 303

    with ctx.read() as session:
        row = session.scalars(select(Transport).where(Transport.name == "Sink")).one()
    shown = client.get(f"/transports/{row.public_id}").text + client.get("/transports").text
    tried = client.post(f"/transports/{row.public_id}/try", data={"csrf_token": token}).text
    assert "geheim" not in shown + tried
    assert "220 sink.example.com ESMTP" in tried
    assert "offers no authentication" in tried
    assert sink.bodies == 0


def test_wrong_values_come_back_with_the_reason_but_without_the_password(client: FlaskClient) -> None:
    token = sign_in(client)

    page = client.post("/transports", data={"csrf_token": token, "name": "", "url": "smtp://a:geheim@h", "weight": "x"})

    assert page.status_code == 400
    assert "geheim" not in page.text
    assert "the transport needs a name" in page.text


def test_relay_is_switched_off_and_removed(ctx: Context, client: FlaskClient) -> None:
    token = sign_in(client)
    with ctx.read() as session:
        row = session.scalars(select(Transport).where(Transport.name == "Main relay")).one()

    client.post(f"/transports/{row.public_id}/disable", data={"csrf_token": token})
    assert "Switch on" in client.get("/transports").text
    client.post(f"/transports/{row.public_id}/remove", data={"csrf_token": token})

    assert client.get(f"/transports/{row.public_id}").status_code == 404
    with ctx.read() as session:
        about = select(AuditEvent.action).where(AuditEvent.subject_kind == "transport").order_by(AuditEvent.id)
        actions = session.scalars(about).all()
    assert actions[-2:] == ["delivery.disable_transport", "delivery.archive_transport"]


def test_marketer_sees_operations_but_no_transports(client: FlaskClient, ctx: Context) -> None:
    _, password = accounts.create_staff(ctx, "mia@example.com", Role.MARKETER)
    staff = accounts.authenticate(ctx, "mia@example.com", password)
    accounts.change_password(ctx, staff.id, password, "three plain words")
    sign_in(client, "mia@example.com", "three plain words")

    assert client.get("/transports").status_code == 403
    assert client.get("/operations").status_code == 200


def test_campaign_names_what_it_waits_for_and_a_person_releases_the_provider(
    ctx: Context, client: FlaskClient, story: Story
) -> None:
    token = sign_in(client)
    address = f"/campaigns/{story.running.public_id}"
    page = client.get(address).text
    assert "Mails to Microsoft are held" in page
    assert "550 5.7.515 Access denied" in client.get(f"{address}/live").text

    done = client.post(f"{address}/release", data={"csrf_token": token, "provider": "microsoft"})

    assert done.status_code == 303
    with ctx.read() as session:
        assert list_provider_holds(session, story.running.sending_id or 0) == []
    assert "Mails to Microsoft are held" not in client.get(address).text
    assert client.post(f"{address}/release", data={"csrf_token": token, "provider": "microsoft"}).status_code == 409


def test_resume_of_a_held_campaign_releases_its_providers(ctx: Context, client: FlaskClient, story: Story) -> None:
    token = sign_in(client)

    client.post(f"/campaigns/{story.running.public_id}/resume", data={"csrf_token": token})

    with ctx.read() as session:
        assert list_provider_holds(session, story.running.sending_id or 0) == []
        assert session.get_one(Sending, story.running.sending_id).hold_reason is None


def test_unknown_mails_are_listed_and_chosen_ones_sent_again(ctx: Context, client: FlaskClient, story: Story) -> None:
    token = sign_in(client)
    ids = _unknown(ctx, story)
    address = f"/campaigns/{story.running.public_id}/unknown"
    page = client.get(address).text
    assert "no answer to the final dot" in page
    assert "the worker was lost before an answer was written down" in page

    client.post(f"{address}/resend?only={ids[0]}", data={"csrf_token": token})
    client.post(f"{address}/resend", data={"csrf_token": token, "message": [str(ids[1])]})
    finished = f"/campaigns/{story.finished.public_id}/unknown"
    other = client.post(f"{finished}/resend?only={ids[1]}", data={"csrf_token": token})

    assert other.status_code == 400  # not a message of that campaign
    with ctx.read() as session:
        rows = session.scalars(select(Message).where(Message.id.in_(ids))).all()
        audit = session.scalars(select(AuditEvent).where(AuditEvent.action == "campaign.resend_unknown")).all()
    assert [(row.state, row.repeats) for row in rows] == [("queued", 1)] * 2
    assert [line.staff_id for line in audit] == [story.admin_id] * 2
    assert client.post(f"{address}/resend", data={"csrf_token": token}).status_code == 400


def _unknown(ctx: Context, story: Story) -> list[int]:
    """Two unknown messages of the running campaign, in a batch as the engine leaves them."""
    sending_id = story.running.sending_id or 0
    with ctx.write() as session:
        (batch_id,) = add_batches(session, [make_batch_row(sending_id, state="done")])
        rows = session.scalars(
            select(Message)
            .where(Message.sending_id == sending_id, Message.state == "unknown", Message.gate_at.is_not(None))
            .order_by(Message.id)
        ).all()
        for row in rows:
            row.batch_id = batch_id
    return [row.id for row in rows]
