"""What an SMTP reply makes of a message: fact, reason, event, and whether the sending must be held. Pure."""

from datetime import datetime
from typing import NamedTuple

from mailer.delivery.build import Outgoing
from mailer.delivery.codes import NextStep, Reply, ReplyVerdict, classify_reply, parse_relay_id
from mailer.delivery.events import DeliveryEvent
from mailer.delivery.policy import decide_retry
from mailer.delivery.reasons import Reason
from mailer.delivery.results import Result
from mailer.delivery.states import Fact
from mailer.statuses import EventKind

_EVENTS = {NextStep.REJECT_ADDRESS: EventKind.HARD_BOUNCE, NextStep.REJECT_MAILBOX: EventKind.SOFT_BOUNCE}


class Outcome(NamedTuple):
    """A result to record, the event beside it, whether the reply blamed the sender, or asked to go slower."""

    result: Result
    event: DeliveryEvent | None = None
    blames_sender: bool = False
    slows_down: bool = False


def decide_outcome(outgoing: Outgoing, reply: Reply, *, at: datetime, due: datetime) -> Outcome:
    """Return what `reply` makes of a message. `at`: observed time; `due`: business time that retries count from.

    Only a reply that blames the address or the mailbox ends the mail and touches the contact; what blames the sender
    sends the mail back and is counted against the sending (FEATURES B4).
    """
    verdict = classify_reply(reply.code, reply.enhanced, reply.text, reply.phase)
    said = f"{reply.code} {reply.enhanced} {reply.text}".replace("  ", " ").strip()
    if verdict.step is NextStep.ACCEPTED:
        relay_id = parse_relay_id(reply.text)
        return Outcome(Result(outgoing.message_id, outgoing.claim, Fact.ACCEPTED, at, "", said, relay_id))
    blames_sender = verdict.step is NextStep.SENDER_POLICY
    if blames_sender or not verdict.is_permanent:
        retry_at = decide_retry(outgoing.attempts + 1, due)
        fact = Result(
            outgoing.message_id, outgoing.claim, Fact.DEFERRED, at, verdict.reason.value, said, retry_at=retry_at
        )
        return Outcome(fact, blames_sender=blames_sender, slows_down=_asks_to_go_slower(verdict))
    result = Result(outgoing.message_id, outgoing.claim, Fact.REFUSED, at, verdict.reason.value, said)
    kind = _EVENTS.get(verdict.step)
    if kind is None:
        return Outcome(result)
    event = DeliveryEvent(
        outgoing.message_id,
        kind,
        at,
        dedupe_key=f"smtp:{outgoing.message_id}:{outgoing.attempts}",
        reason=verdict.reason.value,
        code=reply.enhanced or str(reply.code),
        detail={"reply": said, "phase": reply.phase.value},
    )
    return Outcome(result, event)


def _asks_to_go_slower(verdict: ReplyVerdict) -> bool:
    """421, 454 and 4.7.x; a grey list asks for another try of this mail, not for fewer mails."""
    return verdict.step is NextStep.THROTTLE and verdict.reason is not Reason.GREYLISTED
