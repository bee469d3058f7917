"""The log of requests: due days, one extension, closed once, the most urgent on top, page by page."""

from datetime import timedelta

import pytest

from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.privacy import queries
from mailer.privacy.service import RequestValues, close_request, extend_request, record_request
from mailer.schema.privacy import SubjectRequest
from tests.support.client import make_client, sign_in
from tests.support.make import make_contact, make_staff, make_workspace
from tests.support.story import _hashed


def test_pages_of_requests_follow_each_other_open_and_urgent_ones_first(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        make_staff(session, email="ada@example.com", password_hash=_hashed(), must_change_password=False)
    for number in range(52):
        record_request(ctx, RequestValues(kind="access", email=f"asker{number}@example.com"))
    close_request(ctx, 1, "told")
    with ctx.write() as session:
        session.get_one(SubjectRequest, 30).due_on -= timedelta(days=60)
        today = session.get_one(SubjectRequest, 2).received_on
    client = make_client(ctx)
    sign_in(client)

    first = client.get("/privacy").text
    second = client.get("/privacy?after=" + first.split("after=")[1].split('"')[0]).text

    with ctx.read() as session:
        assert queries.count_open(session, today) == (51, 1)
        assert [row.id for row in queries.list_requests(session, limit=3)] == [30, 2, 3]
    assert "1 request is overdue" in first
    assert first.index("asker29@") < first.index("asker1@")
    assert "asker51@" not in first
    assert "asker50@" not in second
    assert second.index("asker51@") < second.index("asker0@")
    assert client.get("/privacy?after=123456789012345678").status_code == 200


def test_a_request_is_extended_once_with_a_reason_and_closed_once(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
        contact = make_contact(session, "anna@example.com", key=ctx.keys.suppression, first_name="Anna", last_name="Li")
    row = record_request(ctx, RequestValues(kind="access", email="anna@example.com"))
    assert (row.contact_id, row.who) == (contact.id, "anna@example.com")
    assert record_request(ctx, RequestValues(kind="objection", contact_id=contact.id)).who == "Anna Li"

    with pytest.raises(InputError, match="why"):
        extend_request(ctx, row.id, " ")
    longer = extend_request(ctx, row.id, "many systems")
    assert longer.due_on > row.due_on
    with pytest.raises(ConflictError, match="before"):
        extend_request(ctx, row.id, "again")
    with pytest.raises(InputError, match="why it is refused"):
        close_request(ctx, row.id, "", is_refused=True)
    assert close_request(ctx, row.id, "not the person", is_refused=True).status == "refused"
    with pytest.raises(ConflictError, match="already"):
        close_request(ctx, row.id, "again")


def test_a_month_that_is_over_is_not_extended(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
    row = record_request(ctx, RequestValues(kind="access", email="anna@example.com"))
    ctx.clock.offset += timedelta(days=40)

    with pytest.raises(ConflictError, match="over"):
        extend_request(ctx, row.id, "late")


def test_every_problem_of_a_request_is_told(ctx: Context) -> None:
    with ctx.write() as session:
        make_workspace(session)
    wrong = RequestValues(kind="love", channel="dove", email="nobody")
    with pytest.raises(InputError) as told:
        record_request(ctx, wrong)
    assert [problem.where for problem in told.value.problems] == ["kind", "channel", "email"]
    with pytest.raises(NotFoundError):
        record_request(ctx, RequestValues(kind="access", contact_id=77))
