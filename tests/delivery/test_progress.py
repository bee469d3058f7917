"""A batch that gets somewhere between kills is not taken for poison."""

from sqlalchemy import select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.claim import Claim, claim_batch, isolate_poison
from mailer.delivery.gate import Candidate, pass_gate
from mailer.delivery.outcome import Outcome
from mailer.delivery.policy import MAX_CLAIMS
from mailer.delivery.results import Result
from mailer.delivery.states import Fact
from mailer.delivery.store import Store
from mailer.schema.delivery import Message, SendBatch
from tests.support.make import make_reader, make_sending, make_topic


def _claim(ctx: Context, sending_id: int) -> Claim:
    with ctx.write() as session:
        claim = claim_batch(session, sending_id, utc_now())
        assert claim is not None
        assert not isolate_poison(session, claim)
    return claim


def _die(ctx: Context) -> None:
    """The worker is killed and the reaper has seen it."""
    with ctx.write() as session:
        session.execute(update(SendBatch).values(state="ready", token=SendBatch.token + 1, lease_until=None))


def _send_one(ctx: Context, claim: Claim) -> None:
    with ctx.write() as session:
        queued = Message.state == "queued"
        message = session.scalars(select(Message).where(queued).order_by(Message.id).limit(1)).one()
        candidate = Candidate(message.id, claim.batch_id, claim.token, claim.sending_id, message.address_id)
        assert pass_gate(session, [candidate]).passed
    Store(ctx).record([Outcome(Result(message.id, claim, Fact.ACCEPTED, utc_now()))])


def test_a_batch_that_gets_on_between_kills_is_not_split(ctx: Context) -> None:
    with ctx.write() as session:
        topic = make_topic(session)
        readers = [make_reader(session, topic, key=ctx.keys.suppression) for _ in range(10)]
        sending = make_sending(session, ctx, readers, topic)

    for _ in range(2 * MAX_CLAIMS):
        claim = _claim(ctx, sending.id)
        _send_one(ctx, claim)
        _die(ctx)

    with ctx.read() as session:
        assert len(session.scalars(select(SendBatch.id)).all()) == 1
