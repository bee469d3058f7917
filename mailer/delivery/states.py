"""What happens to a message's state: one total table. Pure (docs/reference/states.md)."""

from enum import StrEnum

from mailer.statuses import MessageState


class Fact(StrEnum):
    """What can become known about a message."""

    GATED = "gated"  # the gate let the final dot pass
    NOT_SENT = "not_sent"  # gated, but no byte of the dot left
    ACCEPTED = "accepted"  # 250 after the dot
    REFUSED = "refused"  # a 5yz reply that is the message's own
    DEFERRED = "deferred"  # a 4yz reply, or no connection before the dot
    NO_ANSWER = "no_answer"  # the dot left and no reply came (RFC 1047)
    EVIDENCE = "evidence"  # a bounce, a provider event, a human open or click: it was accepted after all
    SKIPPED = "skipped"  # consent, suppression or rendering forbids it
    EXPIRED = "expired"  # later than its sending allows
    CANCELLED = "cancelled"  # its sending was cancelled
    QUARANTINED = "quarantined"  # it stopped its worker three times
    RESEND = "resend"  # a person asked for another try of an unknown one


_S = MessageState
TRANSITIONS: dict[tuple[MessageState, Fact], MessageState] = {
    (_S.QUEUED, Fact.GATED): _S.TRANSMITTING,
    (_S.QUEUED, Fact.REFUSED): _S.FAILED,
    (_S.QUEUED, Fact.SKIPPED): _S.SKIPPED,
    (_S.QUEUED, Fact.EXPIRED): _S.EXPIRED,
    (_S.QUEUED, Fact.CANCELLED): _S.CANCELLED,
    (_S.QUEUED, Fact.QUARANTINED): _S.QUARANTINED,
    (_S.QUEUED, Fact.EVIDENCE): _S.ACCEPTED,  # gated before, and about to be sent again
    (_S.TRANSMITTING, Fact.NOT_SENT): _S.QUEUED,
    (_S.TRANSMITTING, Fact.ACCEPTED): _S.ACCEPTED,
    (_S.TRANSMITTING, Fact.REFUSED): _S.FAILED,
    (_S.TRANSMITTING, Fact.DEFERRED): _S.QUEUED,
    (_S.TRANSMITTING, Fact.NO_ANSWER): _S.UNKNOWN,
    (_S.TRANSMITTING, Fact.EVIDENCE): _S.ACCEPTED,
    (_S.UNKNOWN, Fact.ACCEPTED): _S.ACCEPTED,
    (_S.UNKNOWN, Fact.REFUSED): _S.FAILED,
    (_S.UNKNOWN, Fact.EVIDENCE): _S.ACCEPTED,
    (_S.UNKNOWN, Fact.RESEND): _S.QUEUED,
}


def next_status(current: MessageState, fact: Fact) -> MessageState:
    """Return the state after `fact`; `current` itself where the fact changes nothing."""
    return TRANSITIONS.get((current, fact), current)


def states_before(fact: Fact) -> tuple[MessageState, ...]:
    """Return the states that `fact` changes: what an UPDATE may touch."""
    return tuple(state for state in MessageState if next_status(state, fact) is not state)


_SHOWN_EVENTS = ("complaint", "hard_bounce", "soft_bounce", "delayed", "delivered")


def display_status(state: MessageState, events: set[str]) -> str:
    """Return the word that the UI shows: the gravest event of an accepted message, else its state."""
    if state is MessageState.ACCEPTED:
        return next((kind for kind in _SHOWN_EVENTS if kind in events), state.value)
    return state.value
