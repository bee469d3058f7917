"""SparkPost: an array of events under `msys`, bounces by their class."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, items, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, verify_password
from mailer.statuses import ProviderEvent

_WORDS = {
    "injection": ProviderEvent.ACCEPTED,
    "delivery": ProviderEvent.DELIVERED,
    "delay": ProviderEvent.DEFERRED,
    "policy_rejection": ProviderEvent.REJECTED,
    "generation_rejection": ProviderEvent.REJECTED,
    "generation_failure": ProviderEvent.FAILED,
    "spam_complaint": ProviderEvent.COMPLAINT,
    "list_unsubscribe": ProviderEvent.UNSUBSCRIBE,
    "link_unsubscribe": ProviderEvent.UNSUBSCRIBE,
    "open": ProviderEvent.OPEN,
    "initial_open": ProviderEvent.OPEN,
    "amp_open": ProviderEvent.OPEN,
    "amp_initial_open": ProviderEvent.OPEN,
    "click": ProviderEvent.CLICK,
    "amp_click": ProviderEvent.CLICK,
}
_CLASSES = {
    "10": ProviderEvent.HARD_BOUNCE,  # invalid recipient
    "30": ProviderEvent.HARD_BOUNCE,  # no recipient
    "60": ProviderEvent.NOT_BOUNCE,  # auto-reply
    "80": ProviderEvent.RESUBSCRIBE,
    "90": ProviderEvent.UNSUBSCRIBE,
    "100": ProviderEvent.NOT_BOUNCE,  # challenge and response
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the events of a call; nothing for the empty one with which a new endpoint is tried."""
    for entry in map(mapping, items(read_json(call))):
        for row in map(mapping, mapping(entry.get("msys")).values()):
            yield Reported(
                _event(row),
                recipient=address(row.get("raw_rcpt_to"), row.get("rcpt_to")),
                message_id=text(row.get("transmission_id"), row.get("message_id")),
                event_id=text(row.get("event_id")),
                timestamp=moment(row.get("timestamp")),
                detail=text(row.get("raw_reason"), row.get("reason"), row.get("target_link_url"), row.get("fbtype")),
            )


def _event(row: Mapping[str, Any]) -> ProviderEvent:
    word = text(row.get("type")) or ""
    if word in ("bounce", "out_of_band"):
        return _CLASSES.get(text(row.get("bounce_class")) or "", ProviderEvent.SOFT_BOUNCE)
    return _WORDS.get(word, ProviderEvent.UNKNOWN)


def verify(call: Call, door: Door) -> None:
    """HTTP Basic authentication; SparkPost signs nothing."""
    verify_password(call, door)
