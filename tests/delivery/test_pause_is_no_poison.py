"""A sending that is paused again and again, each time with bodies at the relay, quarantines nobody."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from mailer.context import Context
from mailer.delivery.gate import Candidate, GateResult
from mailer.delivery.loop import send_due
from mailer.delivery.outcome import Outcome
from mailer.delivery.policy import MAX_CLAIMS
from mailer.delivery.sendings import pause_sending, resume_sending
from mailer.delivery.store import Store
from mailer.schema.delivery import Message
from tests.support.make import make_reader, make_sending, make_topic
from tests.support.sink import Sink


def test_pauses_before_the_gate_do_not_make_a_message_poison(
    sending_ctx: Context, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sending_ctx.write() as session:
        topic = make_topic(session)
        reader = make_reader(session, topic, "anna@example.com", key=sending_ctx.keys.suppression)
        sending = make_sending(session, sending_ctx, [reader], topic)
    real = Store.judge

    def judge_paused(self: Store, candidates: Sequence[Candidate], accepted: Sequence[Outcome]) -> GateResult:
        with sending_ctx.write() as session:
            pause_sending(session, sending.id)
        return real(self, candidates, accepted)

    for _ in range(2 * MAX_CLAIMS):
        with monkeypatch.context() as patch:
            patch.setattr(Store, "judge", judge_paused)
            send_due(sending_ctx, seconds=5)
        with sending_ctx.write() as session:
            resume_sending(session, sending_ctx, sending.id)
    assert sink.mails == []
    send_due(sending_ctx, seconds=10)

    assert sink.recipients == ["anna@example.com"]
    with sending_ctx.read() as session:
        assert session.scalars(select(Message.state)).all() == ["accepted"]
