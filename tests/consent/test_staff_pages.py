"""Staff pages of consent: each does what it says, for those who may, and says why not to the others."""

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from mailer.consent import queries, service
from mailer.context import Context
from mailer.schema import accounts
from mailer.schema.consent import ConsentEvidence, ConsentOverride, Suppression
from mailer.schema.contacts import Contact
from mailer.statuses import Permission, Role, SuppressionReason
from tests.support.client import make_client, sign_in
from tests.support.story import Story, make_story

PAGES = ["/suppressions", "/topics", "/operations"]


pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def story(ctx: Context) -> Story:
    return make_story(ctx, people=40)


class Staff:
    """Somebody who is signed in with a role."""

    def __init__(self, ctx: Context, role: Role = Role.ADMIN) -> None:
        with ctx.write() as session:
            session.execute(update(accounts.Staff).where(accounts.Staff.email == "ada@example.com").values(role=role))
        self.client = make_client(ctx)
        self.token = sign_in(self.client)

    def get(self, address: str) -> TestResponse:
        return self.client.get(address)

    def post(self, address: str, **data: str) -> TestResponse:
        return self.client.post(address, data={"csrf_token": self.token, **data})


def test_the_proof_of_a_person_is_one_page(ctx: Context, story: Story) -> None:
    client = Staff(ctx)
    with ctx.write() as session:
        contact = session.get_one(Contact, story.contact.id)
        service.subscribe(session, contact, story.topic_id, service.Cause(source="form X", channel="form",
                          evidence={"ip": "192.0.2.9"}))  # fmt: skip

    page = client.get(f"/proof/{story.contact.public_id}?check=1")

    assert page.status_code == 200
    assert "192.0.2.9" in page.text
    assert "as it was: its digest agrees" in page.text


def test_an_objection_is_recorded_with_channel_and_note(ctx: Context, story: Story) -> None:
    client = Staff(ctx, Role.SALES)
    address = f"/objections/{story.contact.id}"
    assert client.get(f"{address}?back=/follow-ups").status_code == 200

    response = client.post(address, topic="complaint", channel="letter", note="angry", back="//evil")

    assert response.status_code == 303
    assert response.location.endswith("/contacts")
    with ctx.read() as session:
        assert queries.get_permission(session, story.contact.id) is Permission.WITHDRAWN
        newest = session.scalars(select(Suppression).order_by(Suppression.id.desc())).first()
        assert newest is not None
        assert (newest.reason, newest.source) == ("complaint", "objection")
        assert "angry" in [row.data.get("note") for row in session.scalars(select(ConsentEvidence))]


@pytest.mark.parametrize(
    ("role", "reason", "says"),
    [
        (Role.OPS, SuppressionReason.COMPLAINT, "You cannot lift this:"),
        (Role.MARKETER, SuppressionReason.HARD_BOUNCE, "it needs the role Operations"),
        (Role.OPS, SuppressionReason.HARD_BOUNCE, "/lift"),
    ],
)
def test_a_suppression_says_who_may_lift_it(
    ctx: Context, story: Story, role: Role, reason: SuppressionReason, says: str
) -> None:
    with ctx.write() as session:
        service.suppress(session, b"h" * 16, reason, "test")
        number = session.scalars(select(Suppression.id).order_by(Suppression.id.desc())).first()
    client = Staff(ctx, role)

    assert says in client.get(f"/suppressions/{number}").text
    status = client.post(f"/suppressions/{number}/lift").status_code
    assert status == (303 if says == "/lift" else 403)


def test_an_override_is_asked_for_by_an_approver_and_never_by_a_marketer(ctx: Context, story: Story) -> None:
    address = f"/campaigns/{story.draft.public_id}/override"
    assert Staff(ctx, Role.MARKETER).get(address).status_code == 403
    client = Staff(ctx, Role.APPROVER)
    assert client.get(address).status_code == 200

    answer = client.post(address, reason="")
    assert answer.status_code == 400
    client.post(address, reason="must know")

    with ctx.read() as session:
        made = session.scalars(select(ConsentOverride)).all()
    assert client.get(address).status_code == 200
    if made:
        client.post(f"{address}/{made[0].public_id}/end")
        with ctx.read() as session:
            assert session.scalars(select(ConsentOverride.ended_at)).one() is not None


@pytest.mark.parametrize("page", PAGES)
def test_pages_of_consent_open(ctx: Context, story: Story, page: str) -> None:
    assert Staff(ctx).get(page).status_code == 200
