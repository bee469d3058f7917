"""Providers call over HTTP: a call proves itself, is stored before it is understood, and goes the way of reports."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, update

from mailer.bounces import calls, endpoints, service
from mailer.bounces.webhooks.call import MAX_BYTES
from mailer.context import Context
from mailer.errors import SetupError
from mailer.schema.bounces import BounceReport, WebhookCall, WebhookEndpoint
from mailer.schema.consent import Suppression
from mailer.schema.delivery import Message
from mailer.statuses import MessageState, Provider
from mailer.tokens import verp_local
from tests.bounces.callers import (
    EC,
    HARD,
    RELAY_ID,
    by_password,
    mailersend,
    mailgun,
    open_door,
    post,
    sendgrid,
    show_key,
)
from tests.bounces.test_service import events, make_message
from tests.support.engines import on_one_engine
from tests.support.webserver import serve_pages


@pytest.fixture
def web(ctx: Context) -> Iterator[str]:
    with serve_pages(ctx) as address:
        yield address


def work(ctx: Context) -> None:
    calls.process_calls(ctx)
    service.process_reports(ctx)


def suppressed(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Suppression.reason)))


def test_a_hard_bounce_that_a_provider_signs_is_applied_once(ctx: Context, web: str) -> None:
    """Each of the ten in its own way; all of them about one message, which bounces once."""
    message_id = make_message(ctx, relay_message_id=RELAY_ID)
    for provider, (key, make) in HARD.items():
        path, address = open_door(ctx, provider, key)
        sent = make(address)

        assert [post(web, path, sent), post(web, path, sent)] == [200, 200], provider
        work(ctx)

    assert [event[:2] for event in events(ctx)] == [("hard_bounce", "user_unknown")]
    assert suppressed(ctx) == ["hard_bounce"]
    with ctx.read() as session:
        reports = session.scalars(select(BounceReport)).all()
        assert {report.source for report in reports} == {f"webhook:{provider}" for provider in Provider}
        assert {(report.message_id, report.matched_by) for report in reports} == {(message_id, "relay_id")}
        assert {tuple(report.recipients) for report in reports} == {("ada@example.org",)}
        assert set(session.scalars(select(WebhookCall.body))) == {None}
        endpoints_now = session.scalars(select(WebhookEndpoint)).all()
        assert {(one.calls, one.last_outcome, one.refused) for one in endpoints_now} == {(2, "repeated", 0)}


@on_one_engine
def test_an_address_that_is_none_is_not_found(ctx: Context, web: str) -> None:
    """Made up, of another provider, or switched off."""
    path, _ = open_door(ctx, Provider.MAILGUN, "k")
    for wrong in ("/webhooks/ses/nonsense", "/webhooks/nobody/x", path.replace("mailgun", "mailersend"), path + "x"):
        assert post(web, wrong, mailgun(event="delivered")) == 404
    with ctx.write() as session:
        session.execute(update(WebhookEndpoint).values(is_enabled=False))

    assert post(web, path, mailgun(event="delivered")) == 404


@on_one_engine
def test_a_call_that_is_too_large_is_refused_unread(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.MAILERSEND, "k")

    kind = {"Content-Type": "application/json"}
    assert post(web, path, (b"x" * 3_000_000, kind)) == 400, "larger than a form may be, but read: a provider's call"
    assert post(web, path, (b"x" * (MAX_BYTES + 1), kind)) == 413


@on_one_engine
def test_the_provider_is_to_call_again_when_we_fail(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.MAILERSEND, "k")
    with ctx.write() as session:
        session.execute(update(WebhookEndpoint).values(secret=b"damaged"))

    assert post(web, path, mailersend({})) == 500


@on_one_engine
def test_a_look_before_the_first_call_is_answered(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.MANDRILL, "k")

    assert [post(web, path, (b"", {}), method) for method in ("GET", "HEAD")] == [200, 200]


@on_one_engine
def test_an_unknown_message_changes_nothing_and_is_kept(ctx: Context, web: str) -> None:
    make_message(ctx)
    path, address = open_door(ctx, Provider.POSTMARK)

    assert post(web, path, HARD[Provider.POSTMARK][1](address)) == 200
    work(ctx)

    assert events(ctx) == []
    with ctx.read() as session:
        assert session.scalars(select(BounceReport.state)).all() == ["unmatched"]


def test_a_delivery_settles_an_unknown_message_without_a_report(ctx: Context, web: str) -> None:
    message_id = make_message(ctx, relay_message_id=RELAY_ID, state=MessageState.UNKNOWN.value, accepted_at=None)
    path, address = open_door(ctx, Provider.POSTMARK)

    post(
        web,
        path,
        by_password(address, {"RecordType": "Delivery", "Recipient": "ada@example.org", "MessageID": RELAY_ID}),
    )
    work(ctx)

    with ctx.read() as session:
        assert session.get_one(Message, message_id).state == MessageState.ACCEPTED
        assert session.scalars(select(BounceReport.id)).all() == []


@on_one_engine
def test_our_token_in_what_the_provider_passes_on_finds_the_message(ctx: Context, web: str) -> None:
    message_id = make_message(ctx)
    local = verp_local(ctx.keys, message_id, ctx.keys.current)
    path, address = open_door(ctx, Provider.BREVO)

    post(web, path, by_password(address, {"event": "spam", "email": "ada@example.org", "X-Mailin-custom": local}))
    work(ctx)

    assert [event[0] for event in events(ctx)] == ["complaint"]


def test_a_call_of_many_events_becomes_a_report_each(ctx: Context, web: str) -> None:
    path, _ = open_door(ctx, Provider.SENDGRID, show_key(EC))
    rows = [{"event": "spamreport", "email": f"p{n}@example.org", "sg_event_id": str(n)} for n in range(30)]

    post(web, path, sendgrid([*rows, {"event": "open"}, {"event": "never heard of"}]))
    work(ctx)

    with ctx.read() as session:
        reports = session.scalars(select(BounceReport)).all()
        assert len(reports) == 30
        assert {len(report.recipients) for report in reports} == {1}
        assert "1 of 32 events" in session.scalars(select(WebhookEndpoint.last_note)).one()


@on_one_engine
def test_a_call_that_cannot_be_read_is_tried_again_and_told(ctx: Context, web: str) -> None:
    path, address = open_door(ctx, Provider.POSTMARK)
    body, headers = by_password(address, {})
    assert post(web, path, (b"no json" + body, headers)) == 200

    for _ in range(8):
        calls.process_calls(ctx)
        with ctx.write() as session:
            session.execute(update(WebhookCall).values(retry_at=None))

    with ctx.read() as session:
        call = session.scalars(select(WebhookCall)).one()
        assert (call.state, call.attempts) == ("failed", 8)
        assert call.body is not None
        assert "could not be read" in session.scalars(select(WebhookEndpoint.last_note)).one()


@on_one_engine
def test_without_an_address_of_ours_nobody_can_be_told_to_call(make_ctx: Callable[..., Context]) -> None:
    with pytest.raises(SetupError):
        endpoints.add_endpoint(make_ctx(public_url=""), "postmark")


@on_one_engine
def test_the_secrets_of_an_endpoint_are_sealed(ctx: Context) -> None:
    row = endpoints.add_endpoint(ctx, "mailgun", key="a very secret key")
    address = endpoints.shown_address(ctx, row)

    assert b"secret key" not in row.secret
    assert address.rpartition("/")[2].encode() not in row.secret + row.path_hash
