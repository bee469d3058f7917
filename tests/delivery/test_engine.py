"""The send worker against a real SMTP server, a real limiter and both databases."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery import queries, sendings
from mailer.delivery.build import Content
from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.loop import reap_now, send_due
from mailer.delivery.outcome import Outcome
from mailer.delivery.store import Store
from mailer.errors import SetupError
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Event, Message, Sending
from mailer.statuses import MessageState, SendingState
from tests.support.make import STARTER_MJML, make_reader, make_sending, make_topic
from tests.support.sink import CLOSE, Sink

CAUSE = Cause(source="test", channel="test")


def _start(ctx: Context, emails: list[str]) -> tuple[Sending, dict[str, Contact]]:
    with ctx.write() as session:
        topic = make_topic(session)
        readers = {email: make_reader(session, topic, email, key=ctx.keys.suppression) for email in emails}
        return make_sending(session, ctx, list(readers.values()), topic), readers


def _states(ctx: Context, sending: Sending) -> dict[str, int]:
    with ctx.read() as session:
        states, _ = queries.count_states(session, sending.id)
    return {state: count for state, count in states.items() if count}


def test_every_message_arrives_once(sending_ctx: Context, sink: Sink) -> None:
    emails = [f"p{number}@example.com" for number in range(30)]
    sending, _ = _start(sending_ctx, emails)

    send_due(sending_ctx, seconds=20)
    reap_now(sending_ctx)

    assert sorted(sink.recipients) == sorted(emails)
    assert len(set(sink.message_ids)) == len(emails)
    assert _states(sending_ctx, sending) == {"accepted": 30}
    with sending_ctx.read() as session:
        assert session.get_one(Sending, sending.id).state == SendingState.FINISHED


def test_mail_carries_unsubscribe_headers_and_tracked_links(sending_ctx: Context, sink: Sink) -> None:
    _start(sending_ctx, ["anna@example.com"])

    send_due(sending_ctx, seconds=20)

    (mail,) = sink.mails
    assert mail.header("List-Unsubscribe").startswith("<http://127.0.0.1:8000/u/")
    assert mail.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert mail.mail_from.endswith("@bounce.localhost")
    assert b"127.0.0.1:8000/c/" in mail.raw.replace(b"=\r\n", b"")
    assert b"https://example.com/sign-up" not in mail.raw.replace(b"=\r\n", b"")


def test_refused_address_fails_and_is_suppressed(sending_ctx: Context, sink: Sink) -> None:
    sink.at_rcpt["gone@example.com"] = "550 5.1.1 no such user"
    sending, _ = _start(sending_ctx, ["gone@example.com", "here@example.com"])

    send_due(sending_ctx, seconds=20)

    assert _states(sending_ctx, sending) == {"accepted": 1, "failed": 1}
    with sending_ctx.read() as session:
        assert session.scalars(select(Event.kind)).all() == ["hard_bounce"]
        assert session.scalars(select(Suppression.reason)).all() == ["hard_bounce"]


def test_temporary_refusal_consumes_nobody(sending_ctx: Context, sink: Sink) -> None:
    sink.at_rcpt["later@example.com"] = "451 4.7.1 greylisted"
    sending, _ = _start(sending_ctx, ["later@example.com"])

    send_due(sending_ctx, seconds=20)

    assert _states(sending_ctx, sending) == {"queued": 1}
    with sending_ctx.read() as session:
        assert session.scalar(select(Message.attempts)) == 1
        assert session.scalars(select(Suppression.id)).all() == []


def test_sender_policy_refusals_hold_the_sending_and_mark_nobody(sending_ctx: Context, sink: Sink) -> None:
    emails = [f"p{number}@example.com" for number in range(3)]
    sink.at_rcpt = dict.fromkeys(emails, "550 5.7.515 access denied, sender not authenticated")
    sending, _ = _start(sending_ctx, emails)

    send_due(sending_ctx, seconds=20)

    assert _states(sending_ctx, sending) == {"queued": 3}
    with sending_ctx.read() as session:
        assert session.get_one(Sending, sending.id).hold_reason == "policy"
        assert session.scalars(select(Suppression.id)).all() == []


def test_connection_lost_after_the_dot_is_unknown_and_never_resent(sending_ctx: Context, sink: Sink) -> None:
    sink.at_dot["lost@example.com"] = CLOSE
    sending, _ = _start(sending_ctx, ["lost@example.com"])

    send_due(sending_ctx, seconds=20)
    reap_now(sending_ctx)
    send_due(sending_ctx, seconds=20)

    assert _states(sending_ctx, sending) == {"unknown": 1}
    assert sink.bodies == 1


def test_withdrawal_before_the_dot_stops_the_mail(sending_ctx: Context, sink: Sink) -> None:
    sending, readers = _start(sending_ctx, ["leaver@example.com", "stayer@example.com"])
    with sending_ctx.write() as session:
        contact = session.get_one(Contact, readers["leaver@example.com"].id)
        consent.withdraw_all(session, [contact], CAUSE)
    send_due(sending_ctx, seconds=20)

    assert sink.recipients == ["stayer@example.com"]
    assert _states(sending_ctx, sending) == {"accepted": 1, "skipped": 1}
    with sending_ctx.read() as session:
        reasons = session.scalars(select(Message.reason).where(Message.state == MessageState.SKIPPED.value)).all()
    assert reasons == ["no_permission"]


def test_paused_sending_sends_nothing_and_resumes(sending_ctx: Context, sink: Sink) -> None:
    sending, _ = _start(sending_ctx, ["anna@example.com"])
    with sending_ctx.write() as session:
        sendings.pause_sending(session, sending.id)

    send_due(sending_ctx, seconds=5)
    assert sink.mails == []

    with sending_ctx.write() as session:
        sendings.resume_sending(session, sending_ctx, sending.id)
    send_due(sending_ctx, seconds=20)
    assert sink.recipients == ["anna@example.com"]


def test_missing_merge_field_skips_only_that_contact(sending_ctx: Context, sink: Sink) -> None:
    with sending_ctx.write() as session:
        topic = make_topic(session)
        key = sending_ctx.keys.suppression
        named = make_reader(session, topic, "named@example.com", key=key, city="Oslo")
        nameless = make_reader(session, topic, "nameless@example.com", key=key)
        mjml = STARTER_MJML.replace("Hello", "Hello from {{ contact.city }}")
        sending = make_sending(session, sending_ctx, [named, nameless], topic, mjml=mjml)

    send_due(sending_ctx, seconds=20)

    assert sink.recipients == ["named@example.com"]
    assert _states(sending_ctx, sending) == {"accepted": 1, "skipped": 1}


def test_poison_row_is_quarantined_and_takes_nobody_with_it(sending_ctx: Context, sink: Sink) -> None:
    emails = [f"p{number}@example.com" for number in range(4)]
    sending, readers = _start(sending_ctx, emails)
    with sending_ctx.write() as session:
        poisoned = session.get_one(Address, readers["p2@example.com"].address_id)
        poisoned.email = "p2\r\nBcc: x@example.com"

    for _ in range(8):
        send_due(sending_ctx, seconds=10)
        reap_now(sending_ctx)

    assert sorted(sink.recipients) == ["p0@example.com", "p1@example.com", "p3@example.com"]
    assert _states(sending_ctx, sending) == {"accepted": 3, "quarantined": 1}


def test_database_that_goes_away_at_the_gate_costs_nobody_a_mail(
    sending_ctx: Context, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit of a gate may or may not have happened: no dot follows, and the row is queued again, not unknown."""
    sending, _ = _start(sending_ctx, ["anna@example.com"])
    real = Store.judge

    def judge_and_lose(self: Store, candidates: Sequence[Candidate], accepted: Sequence[Outcome]) -> GateResult:
        real(self, candidates, accepted)
        raise OperationalError("COMMIT", {}, Exception("connection lost"))

    monkeypatch.setattr(Store, "judge", judge_and_lose)
    send_due(sending_ctx, seconds=5)
    assert sink.mails == []
    assert _states(sending_ctx, sending) == {"queued": 1}

    monkeypatch.setattr(Store, "judge", real)
    sending_ctx.clock.offset = timedelta(minutes=1)
    send_due(sending_ctx, seconds=10)
    assert sink.recipients == ["anna@example.com"]


def test_a_sending_that_cannot_be_loaded_keeps_no_other_waiting(
    sending_ctx: Context, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are gone, say: it waits a minute, what else is due goes out."""
    broken, _ = _start(sending_ctx, ["anna@example.com"])
    _start(sending_ctx, ["bo@example.com"])
    real = Store.content

    def content(self: Store, sending_id: int) -> Content:
        if sending_id == broken.id:
            raise SetupError("the keys of this installation are not those that sealed it")
        return real(self, sending_id)

    monkeypatch.setattr(Store, "content", content)
    send_due(sending_ctx, seconds=20)

    assert sink.recipients == ["bo@example.com"]
    assert _states(sending_ctx, broken) == {"queued": 1}
