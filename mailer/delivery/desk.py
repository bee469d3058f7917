"""What is decided about a message on its way: built or skipped, permitted or not, and what a reply makes of it.

Lanes ask and tell; everything that ends up in the ledger goes through `note`.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from mailer.clock import utc_now
from mailer.content.render import RenderError
from mailer.context import Context
from mailer.delivery.batch import Batch
from mailer.delivery.build import Outgoing, build_envelope
from mailer.delivery.codes import Reply
from mailer.delivery.fleet import Fleet
from mailer.delivery.gate import Candidate
from mailer.delivery.gatekeeper import Gatekeeper, Pass
from mailer.delivery.outcome import Outcome, decide_outcome
from mailer.delivery.policy import decide_retry
from mailer.delivery.recorder import Recorder
from mailer.delivery.results import Result
from mailer.delivery.smtp import Envelope
from mailer.delivery.states import Fact
from mailer.errors import MailerError, TransportError
from mailer.log import get_logger
from mailer.statuses import SkipReason

log = get_logger("delivery")

DATABASE_AWAY_SECONDS = 15.0
DatabaseAwayError = (OperationalError, InterfaceError, InternalError)


@dataclass(slots=True)
class Parcel:
    """A message that may go now, as it goes over the wire."""

    batch: Batch
    outgoing: Outgoing
    envelope: Envelope


class Desk:
    """Decides for all lanes of a worker."""

    def __init__(self, ctx: Context, gatekeeper: Gatekeeper, recorder: Recorder, fleet: Fleet) -> None:
        self._ctx = ctx
        self._gatekeeper = gatekeeper
        self._recorder = recorder
        self._fleet = fleet

    def pack(self, batch: Batch, outgoing: Outgoing) -> Parcel | None:
        """Build the mail; None where this contact's data do not make one, which is noted."""
        try:
            return Parcel(batch, outgoing, build_envelope(self._ctx, batch.content, outgoing))
        except RenderError as error:
            self._note(batch, outgoing, Fact.SKIPPED, SkipReason.RENDER_ERROR.value, str(error))
        except Exception as error:  # noqa: BLE001 - noted with its trace; the message stays queued
            self.note_crash(batch, outgoing, error)
        return None

    async def ask(self, parcel: Parcel) -> Pass | None:
        """Ask the gate. None: the database went away in its middle; no dot may follow, and the row goes back."""
        outgoing = parcel.outgoing
        claim = outgoing.claim
        candidate = Candidate(outgoing.message_id, claim.batch_id, claim.token, claim.sending_id, outgoing.address_id)
        try:
            permit = await self._gatekeeper.ask(candidate)
        except DatabaseAwayError as error:
            self.note_not_sent(parcel)
            _tell_stopped(parcel.batch, error)
            parcel.batch.stop(DATABASE_AWAY_SECONDS)
            return None
        if permit.skipped:
            parcel.batch.has_progress = True
        elif not permit.is_permitted:
            parcel.batch.stop(0)  # the sending is held or has ended, or the batch is no longer ours: nobody's poison
        return permit

    def judge(self, parcel: Parcel, reply: Reply) -> None:
        """Note what `reply` makes of the message."""
        outcome = decide_outcome(parcel.outgoing, reply, at=utc_now(), due=self._ctx.clock.now())
        parcel.batch.has_progress = True
        self._recorder.note(outcome)
        if outcome.result.fact is Fact.ACCEPTED:
            self._fleet.note_accepted(parcel.batch.relay)
        elif outcome.slows_down:
            self._fleet.slow_down(parcel.batch)

    def note_lost(self, parcel: Parcel, error: MailerError) -> None:
        """The connection broke before the dot of this very mail: it has its own next try."""
        retry_at = decide_retry(parcel.outgoing.attempts + 1, self._ctx.clock.now())
        self._note(parcel.batch, parcel.outgoing, Fact.DEFERRED, "connection_lost", error.message, retry_at)

    def note_not_sent(self, parcel: Parcel) -> None:
        """The gate let it pass, and it was too late for the dot, or nobody knows whether the gate did."""
        self._note(parcel.batch, parcel.outgoing, Fact.NOT_SENT, "", "")

    def note_no_answer(self, parcel: Parcel, error: MailerError) -> None:
        """The dot left, and nobody answered."""
        said = f"{parcel.batch.relay.name}: {error.message}"
        self._note(parcel.batch, parcel.outgoing, Fact.NO_ANSWER, "no_answer", said)

    def note_crash(self, batch: Batch, outgoing: Outgoing, error: Exception) -> None:
        """Something of our own broke on this message; called three times without progress, its batch is split."""
        batch.has_crashed = True
        log.error("message_crashed", message_id=outgoing.message_id, exc_info=error)

    def stop(self, batch: Batch, error: TransportError) -> None:
        """No connection was to be had: nothing in the batch is to blame, it comes again later."""
        _tell_stopped(batch, error)
        self._fleet.stop(batch, error)

    def _note(
        self, batch: Batch, outgoing: Outgoing, fact: Fact, reason: str, said: str, retry_at: datetime | None = None
    ) -> None:
        batch.has_progress = True
        result = Result(outgoing.message_id, outgoing.claim, fact, utc_now(), reason, said, retry_at=retry_at)
        self._recorder.note(Outcome(result))


def _tell_stopped(batch: Batch, error: Exception) -> None:
    if not batch.is_stopped:
        log.warning("batch_stopped", batch_id=batch.claim.batch_id, error=type(error).__name__, why=str(error))
