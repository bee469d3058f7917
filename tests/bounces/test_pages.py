"""Pages of what came back: canaries stay text, staff act within their rights, a lesson is kept and applied."""

import csv
import io
import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from mailer.accounts import service as accounts
from mailer.bounces import service
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.service import apply_event
from mailer.schema.accounts import Staff
from mailer.schema.bounces import BounceReport, WebhookEndpoint
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address
from mailer.schema.delivery import Event, Message
from mailer.schema.segments import SegmentMember
from mailer.segments.service import create_static
from mailer.statuses import EventKind, Role
from tests.bounces.test_classify import dsn
from tests.bounces.test_service import verp
from tests.support.client import make_client, sign_in
from tests.support.engines import on_one_engine
from tests.support.story import PASSWORD, Story, make_story
from tests.support.ways_in import WaysIn, make_ways_in

CANARY = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=12)


@pytest.fixture
def ways_in(ctx: Context, story: Story) -> WaysIn:
    return make_ways_in(ctx)


@pytest.fixture
def client(ctx: Context, story: Story) -> FlaskClient:
    return make_client(ctx)


def bounce(ctx: Context, story: Story, said: str = "550 5.1.1 no such user") -> tuple[int, str]:
    """A hard bounce of a mail of the finished campaign, told by a report; return event id and address."""
    with ctx.read() as session:
        message = session.scalars(
            select(Message)
            .where(Message.sending_id == story.finished.sending_id, Message.accepted_at.is_not(None))
            .order_by(Message.id)
        ).first()
        assert message is not None
        email = session.scalar(select(Address.email).where(Address.id == message.address_id)) or ""
    service.record_report(ctx, dsn(said, "5.1.1", to=email), "test", rcpt_to=verp(ctx, message.id))
    service.process_reports(ctx)
    with ctx.read() as session:
        return session.scalars(select(func.max(Event.id)).where(Event.kind == "hard_bounce")).one() or 0, email


@on_one_engine
def test_what_a_server_said_stays_text_on_every_page(ctx: Context, client: FlaskClient, story: Story) -> None:
    bounce(ctx, story, f"550 5.1.1 no such user {CANARY}")
    with ctx.write() as session:
        message = session.scalars(select(Message.id).order_by(Message.id.desc())).first() or 0
        detail = {"reply": f"550 {CANARY}"}
        event = DeliveryEvent(message, EventKind.SOFT_BOUNCE, utc_now(), "canary", reason="policy", detail=detail)
        apply_event(session, event)
    sign_in(client)

    with ctx.read() as session:
        report = session.scalars(select(func.max(BounceReport.id))).one()
    for path in ("/bounces", "/bounces/reports", f"/bounces/reports/{report}"):
        page = client.get(path)
        assert page.status_code == 200
        assert CANARY not in page.text
        assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in client.get(f"/bounces/reports/{report}").text


@on_one_engine
def test_the_list_is_filtered_by_campaign_kind_reason_and_address(
    ctx: Context, client: FlaskClient, story: Story
) -> None:
    _, email = bounce(ctx, story)
    sign_in(client)
    base = f"/bounces?campaign={story.finished.public_id}"

    assert email in client.get(base).text
    assert email in client.get(f"{base}&kind=hard_bounce&reason=user_unknown&q={email.upper()}").text
    for without in (f"{base}&kind=complaint", f"{base}&reason=spam", f"{base}&q=nobody@example.net",
                    f"/bounces?campaign={story.draft.public_id}", "/bounces?campaign=nonsense"):  # fmt: skip
        assert f">{email}<" not in client.get(without).text, without


def test_clearing_the_flag_lifts_what_staff_may_lift(ctx: Context, client: FlaskClient, story: Story) -> None:
    event_id, email = bounce(ctx, story)
    token = sign_in(client)

    client.post("/bounces/clear", data={"csrf_token": token, "event": str(event_id)})

    with ctx.read() as session:
        address = session.scalars(select(Address).where(Address.email == email)).one()
        active = select(Suppression.id).where(
            Suppression.address_hash == address.email_hash, Suppression.lifted_at.is_(None)
        )
        assert address.bounce_state == "ok"
        assert session.scalars(active).all() == []


@on_one_engine
def test_contacts_go_into_a_segment_once(ctx: Context, client: FlaskClient, story: Story) -> None:
    event_id, _ = bounce(ctx, story)
    segment = create_static(ctx, "Came back")
    token = sign_in(client)
    form = {"csrf_token": token, "event": str(event_id), "segment": str(segment.public_id)}

    for _ in range(2):
        assert client.post("/bounces/segment", data=form).status_code == 303
    assert client.post("/bounces/segment", data={**form, "segment": "nonsense"}).status_code == 400

    with ctx.read() as session:
        members = select(func.count()).select_from(SegmentMember).where(SegmentMember.segment_id == segment.id)
        assert session.scalar(members) == 1


@on_one_engine
def test_the_export_holds_what_the_filter_means_and_no_formula(ctx: Context, client: FlaskClient, story: Story) -> None:
    bounce(ctx, story)
    with ctx.write() as session:
        message = session.scalars(select(Message.id).order_by(Message.id.desc())).first() or 0
        event = DeliveryEvent(message, EventKind.SOFT_BOUNCE, utc_now(), "formula", detail={"reply": "=1+1"})
        apply_event(session, event)
    sign_in(client)

    rows = list(csv.reader(io.StringIO(client.get("/bounces/export").text)))
    hard = list(csv.reader(io.StringIO(client.get("/bounces/export?kind=hard_bounce").text)))

    assert rows[0][:3] == ["at", "address", "kind"]
    assert "'=1+1" in [row[5] for row in rows]
    assert {row[2] for row in hard[1:]} == {"hard_bounce"}


@on_one_engine
def test_pages_go_on_by_key(ctx: Context, client: FlaskClient, story: Story) -> None:
    with ctx.write() as session:
        message = session.scalars(select(Message.id).order_by(Message.id)).first() or 0
        for number in range(60):
            apply_event(session, DeliveryEvent(message, EventKind.DELAYED, utc_now(), f"delay:{number}"))
    sign_in(client)

    first = client.get("/bounces?kind=delayed").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    assert "checkbox" in client.get(following[1].replace("&amp;", "&")).text


@on_one_engine
def test_a_marketer_cannot_clear_teach_or_see_the_ways_in(ctx: Context, client: FlaskClient, ways_in: WaysIn) -> None:
    accounts.create_staff(ctx, "mia@example.com", Role.MARKETER)
    with ctx.write() as session:
        ada = session.scalars(select(Staff).where(Staff.email == "ada@example.com")).one()
        values = {"password_hash": ada.password_hash, "must_change_password": False}
        session.execute(update(Staff).where(Staff.email == "mia@example.com").values(values))
    token = sign_in(client, "mia@example.com", PASSWORD)

    assert client.get("/bounces").status_code == 200
    assert client.get("/bounces/ways-in").status_code == 403
    for path in ("/bounces/clear", f"/bounces/reports/{ways_in.strange_report}/teach", "/bounces/mistakes/1/release"):
        assert client.post(path, data={"csrf_token": token, "event": "1", "verdict": "hard"}).status_code == 403


@on_one_engine
def test_an_endpoint_is_made_on_the_page_and_its_key_never_shown(
    ctx: Context, client: FlaskClient, story: Story
) -> None:
    token = sign_in(client)
    form = {"csrf_token": token, "provider": "mailgun", "name": "Mailgun", "key": "key-very-secret"}

    refused = client.post("/bounces/ways-in/endpoints", data={**form, "key": ""})
    made = client.post("/bounces/ways-in/endpoints", data=form)

    assert refused.status_code == 400
    page = client.get(made.headers["Location"]).text
    assert "/webhooks/mailgun/" in page
    assert "key-very-secret" not in page + client.get("/bounces/ways-in").text
    with ctx.read() as session:
        assert len(session.scalars(select(WebhookEndpoint.id)).all()) == 1


@on_one_engine
def test_a_mailbox_shows_what_the_server_said_and_no_password(client: FlaskClient, ways_in: WaysIn) -> None:
    sign_in(client)

    page = client.get("/bounces/ways-in").text + client.get(f"/bounces/ways-in/mailboxes/{ways_in.mailbox}").text

    assert "AUTHENTICATIONFAILED" in page
    assert "a password" not in page
