"""Unknown messages are sent again only because a person asked: audited, gated, and never in a cancelled campaign."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.campaigns.resend import resend_unknowns
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery.loop import reap_now, send_due
from mailer.delivery.unknowns import list_unknowns
from mailer.errors import InputError
from mailer.schema.accounts import AuditEvent
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message, Sending
from mailer.statuses import MessageState
from tests.support.make import make_reader, make_sending, make_topic
from tests.support.sink import CLOSE, Sink

EMAILS = ("anna@example.com", "bo@example.com")


def _lost(ctx: Context, sink: Sink) -> tuple[int, list[int]]:
    """A finished sending whose messages all left and had no answer."""
    sink.at_dot = dict.fromkeys(EMAILS, CLOSE)
    with ctx.write() as session:
        topic = make_topic(session)
        readers = [make_reader(session, topic, email, key=ctx.keys.suppression) for email in EMAILS]
        sending = make_sending(session, ctx, readers, topic)
    send_due(ctx, seconds=20)
    reap_now(ctx)
    sink.at_dot = {}
    with ctx.read() as session:
        rows = session.execute(select(Message.id, Message.state).order_by(Message.id)).all()
    assert {state for _, state in rows} == {MessageState.UNKNOWN.value}
    return sending.id, [number for number, _ in rows]


def _states(ctx: Context) -> list[str]:
    with ctx.read() as session:
        return list(session.scalars(select(Message.state).order_by(Message.id)))


def test_resent_message_arrives_with_the_same_id_and_is_flagged(sending_ctx: Context, sink: Sink) -> None:
    _, ids = _lost(sending_ctx, sink)

    resent = resend_unknowns(sending_ctx, ids[:1])
    send_due(sending_ctx, seconds=20)
    reap_now(sending_ctx)

    assert (resent.queued, resent.refused) == (ids[:1], {})
    assert _states(sending_ctx) == ["accepted", "unknown"]
    assert len(sink.mails) == 1
    with sending_ctx.read() as session:
        message = session.get_one(Message, ids[0])
        assert message.repeats == 1
        assert session.scalars(select(Sending.state)).one() == "finished"
        audit = session.scalars(select(AuditEvent)).all()
    assert [(line.action, line.detail) for line in audit] == [("campaign.resend_unknown", {"messages": ids[:1]})]


def test_second_request_changes_nothing(sending_ctx: Context, sink: Sink) -> None:
    _, ids = _lost(sending_ctx, sink)
    resend_unknowns(sending_ctx, ids)

    again = resend_unknowns(sending_ctx, [*ids, 999])

    assert again.queued == []
    assert again.refused == {ids[0]: "not unknown any more", ids[1]: "not unknown any more", 999: "no such message"}


def test_resent_message_passes_the_gate_again(sending_ctx: Context, sink: Sink) -> None:
    _, ids = _lost(sending_ctx, sink)
    with sending_ctx.write() as session:
        contact = session.scalars(select(Contact).order_by(Contact.id)).first()
        consent.withdraw_all(session, [contact], Cause(source="test", channel="test"))  # type: ignore[list-item]

    resend_unknowns(sending_ctx, ids)
    send_due(sending_ctx, seconds=20)

    assert _states(sending_ctx) == ["skipped", "accepted"]
    assert sink.recipients == ["bo@example.com"]


def test_resend_after_the_sendings_time_gets_an_hour(sending_ctx: Context, sink: Sink) -> None:
    sending_id, ids = _lost(sending_ctx, sink)
    with sending_ctx.write() as session:
        past = sending_ctx.clock.now() - timedelta(days=2)
        session.execute(update(Sending).where(Sending.id == sending_id).values(send_until=past))

    resend_unknowns(sending_ctx, ids)
    reap_now(sending_ctx)
    send_due(sending_ctx, seconds=20)

    assert _states(sending_ctx) == ["accepted", "accepted"]


def test_cancelled_campaign_sends_nothing_again(sending_ctx: Context, sink: Sink) -> None:
    sending_id, ids = _lost(sending_ctx, sink)
    with sending_ctx.write() as session:
        session.execute(update(Sending).values(state="sending"))
        session.expire_all()
        sendings.cancel_sending(session, sending_id)

    resent = resend_unknowns(sending_ctx, ids)

    assert resent.refused == dict.fromkeys(ids, "its sending was cancelled")
    assert _states(sending_ctx) == ["unknown", "unknown"]


def test_nothing_named_is_refused(ctx: Context) -> None:
    with pytest.raises(InputError):
        resend_unknowns(ctx, [])


def test_list_says_what_is_known_in_pages(sending_ctx: Context, sink: Sink) -> None:
    sending_id, ids = _lost(sending_ctx, sink)
    with sending_ctx.write() as session:
        session.execute(update(Message).where(Message.id == ids[1]).values(reason="worker_lost", reply=""))

    with sending_ctx.read() as session:
        (first,) = list_unknowns(session, sending_id, limit=1)
        (second,) = list_unknowns(session, sending_id, after_id=first.message_id)

    assert (first.email, first.reason, second.reason) == ("anna@example.com", "no_answer", "worker_lost")
    assert "no answer to the final dot" in first.said
    assert first.gated_at is not None
    assert first.evidence == ()
