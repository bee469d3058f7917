"""The table of states is total and keeps its promises."""

import pytest

from mailer.delivery.states import TRANSITIONS, Fact, display_status, next_status, states_before
from mailer.statuses import MessageState

PAIRS = [(state, fact) for state in MessageState for fact in Fact]
TERMINAL = (
    MessageState.ACCEPTED,
    MessageState.FAILED,
    MessageState.SKIPPED,
    MessageState.EXPIRED,
    MessageState.CANCELLED,
    MessageState.QUARANTINED,
)


@pytest.mark.parametrize(("state", "fact"), PAIRS)
def test_every_pair_has_an_answer(state: MessageState, fact: Fact) -> None:
    assert next_status(state, fact) in MessageState


@pytest.mark.parametrize("state", TERMINAL)
def test_terminal_states_never_change(state: MessageState) -> None:
    assert {next_status(state, fact) for fact in Fact} == {state}


def test_only_the_gate_leads_to_transmitting() -> None:
    assert [pair for pair, after in TRANSITIONS.items() if after is MessageState.TRANSMITTING] == [
        (MessageState.QUEUED, Fact.GATED)
    ]


def test_unknown_goes_back_to_the_queue_by_a_person_only() -> None:
    ways = [fact for fact in Fact if next_status(MessageState.UNKNOWN, fact) is MessageState.QUEUED]

    assert ways == [Fact.RESEND]


def test_late_acceptance_is_never_lost() -> None:
    assert set(states_before(Fact.ACCEPTED)) == {MessageState.TRANSMITTING, MessageState.UNKNOWN}


def test_shown_word_is_the_gravest_event_of_an_accepted_message() -> None:
    assert display_status(MessageState.ACCEPTED, {"delivered", "soft_bounce", "open"}) == "soft_bounce"
    assert display_status(MessageState.ACCEPTED, {"open"}) == "accepted"
    assert display_status(MessageState.SKIPPED, {"complaint"}) == "skipped"
