"""Pages of clicks: who clicked, why we think so, what it set off, tried again, taken into a segment; webhooks."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.sendings import SendingSpec, create_sending
from mailer.reports.timeline import key_of, list_timeline
from mailer.schema.actions import ActionRun, Webhook
from mailer.schema.consent import Topic
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Event, Sending
from mailer.schema.segments import Segment, SegmentMember
from mailer.statuses import SendingClass
from tests.support.clicked import Clicked, make_clicked
from tests.support.client import make_client, sign_in
from tests.support.story import Story, make_story

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
World = tuple[Context, Story, Clicked, FlaskClient, str]


@pytest.fixture
def world(ctx: Context) -> World:
    story = make_story(ctx, people=40)
    clicked = make_clicked(ctx, story)
    client = make_client(ctx)
    return ctx, story, clicked, client, sign_in(client)


@ON_SQLITE
def test_people_and_machines_stand_apart_with_evidence_and_reasons(world: World) -> None:
    _ctx, story, clicked, client, _token = world
    page = f"/campaigns/{story.finished.public_id}/links/{clicked.ordinal}"

    people, machines = client.get(page).text, client.get(f"{page}?by=machines").text

    assert "Mobile Safari on iOS, phone" in people
    assert "after hand-over" in people
    assert "a HEAD for the same came just before" not in people
    assert "a HEAD for the same came just before" in machines
    assert "barracuda" in machines


@ON_SQLITE
def test_clickers_become_members_of_a_new_segment(world: World) -> None:
    ctx, story, clicked, client, token = world
    page = f"/campaigns/{story.finished.public_id}/links/{clicked.ordinal}"

    for name in ("Warm", ""):
        with ctx.read() as session:
            known = session.scalar(select(Segment.public_id).where(Segment.name == "Warm"))
        answer = client.post(f"{page}/segment", data={"csrf_token": token, "name": name, "segment": str(known or "")})
        assert answer.status_code == 303

    with ctx.read() as session:
        people = set(
            session.scalars(
                select(Event.contact_id).where(
                    Event.sending_id == story.finished.sending_id, Event.kind == "click", Event.hit_class == "human"
                )
            )
        )
        members = session.scalars(
            select(SegmentMember.contact_id)
            .join(Segment, Segment.id == SegmentMember.segment_id)
            .where(Segment.name == "Warm")
        ).all()
    assert set(members) == people
    assert people


@ON_SQLITE
def test_what_failed_is_shown_and_tried_again(world: World) -> None:
    ctx, story, _clicked, client, token = world
    campaign = f"/campaigns/{story.finished.public_id}"
    assert "not done" in client.get(campaign).text
    for page, post in (
        (f"{campaign}/actions?state=failed", f"{campaign}/actions/again"),
        ("/actions", "/actions/again"),
    ):
        numbers = re.findall(r'name="run" value="(\d+)"', client.get(page).text)
        assert numbers
        answer = client.post(post, data={"csrf_token": token, "run": numbers[:1]})
        assert answer.status_code == 303

    with ctx.read() as session:
        waiting = session.scalar(select(func.count()).where(ActionRun.state == "pending"))
    assert waiting == 2


@ON_SQLITE
def test_a_webhook_shows_its_secret_once_and_goes(world: World) -> None:
    ctx, _story, _clicked, client, token = world
    form = {"csrf_token": token, "name": "ERP", "url": "https://erp.example.com/x"}

    assert "whsec_" in client.post("/webhooks", data=form).text
    page = client.get("/webhooks").text
    assert "whsec_" not in page
    assert client.post("/webhooks", data={**form, "name": "", "url": "http://10.0.0.1/"}).status_code == 400
    with ctx.read() as session:
        row = session.scalars(select(Webhook).where(Webhook.name == "ERP")).one()
        assert b"whsec" not in row.secret
    assert client.post(f"/webhooks/{row.public_id}/archive", data={"csrf_token": token}).status_code == 303
    assert "ERP" not in client.get("/webhooks").text


@pytest.mark.parametrize("kind", ["", "event"])
def test_pages_of_a_timeline_hold_everything_once_in_order(world: World, kind: str) -> None:
    ctx, _story, clicked, _client, _token = world
    now = utc_now()
    with ctx.write() as session:
        contact = session.get_one(Contact, clicked.contact_id)
        one = session.scalars(select(Event).where(Event.contact_id == contact.id).limit(1)).one()
        for number in range(40):  # several at one instant
            session.add(
                Event(message_id=one.message_id, sending_id=one.sending_id, contact_id=contact.id, hit_class="human",
                      kind="click" if number % 3 else "open", at=now - timedelta(minutes=number // 4),
                      dedupe_key=f"page:{number}")
            )  # fmt: skip
    with ctx.read() as session:
        contact = session.get_one(Contact, clicked.contact_id)
        whole = list_timeline(session, contact, kind=kind, limit=1_000)
        pages, before = [], None
        while page := list_timeline(session, contact, kind=kind, before=before, limit=7):
            pages += page
            before = key_of(page[-1])

    assert [key_of(entry) for entry in pages] == [key_of(entry) for entry in whole]
    assert len(whole) > 40


@ON_SQLITE
def test_the_timeline_is_turned_by_its_link(world: World) -> None:
    ctx, _story, clicked, client, _token = world
    with ctx.write() as session:
        contact = session.get_one(Contact, clicked.contact_id)
        one = session.scalars(select(Event).where(Event.contact_id == contact.id).limit(1)).one()
        for number in range(70):
            at = utc_now() - timedelta(minutes=number)
            session.add(
                Event(message_id=one.message_id, sending_id=one.sending_id, contact_id=contact.id, hit_class="human",
                      kind="open", at=at, dedupe_key=f"page:{number}")
            )  # fmt: skip
        public_id = contact.public_id

    first = client.get(f"/contacts/{public_id}").text
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = client.get(older[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).text
    assert "To the newest" in second
    assert client.get(f"/contacts/{public_id}?after=nonsense").status_code == 200


@ON_SQLITE
def test_a_topic_switches_opens_and_clicks_off_for_sendings_to_come(world: World) -> None:
    ctx, story, _clicked, client, token = world
    with ctx.read() as session:
        topic = session.get_one(Topic, story.topic_id)
        before = session.get_one(Sending, story.running.sending_id)
    form = {"csrf_token": token, "is_tracked": "0"}

    assert client.post(f"/topics/{topic.public_id}/tracking", data=form).status_code == 303
    with ctx.write() as session:
        spec = SendingSpec(
            sending_class=SendingClass.MARKETING, sender_id=before.sender_id,
            content_version_id=before.content_version_id, topic_id=topic.id,
        )  # fmt: skip
        off = create_sending(session, ctx, spec)
        assert (off.track_opens, off.track_clicks) == (False, False)
    client.post(f"/topics/{topic.public_id}/tracking", data={**form, "is_tracked": "1"})
    with ctx.write() as session:
        again = create_sending(session, ctx, spec)
        assert (again.track_opens, again.track_clicks) == (True, True)
    assert "not kept" not in client.get("/topics").text.split("New topic")[0]
