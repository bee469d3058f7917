"""Mailjet: one event a call, or an array of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, items, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, verify_password
from mailer.statuses import ProviderEvent

_WORDS = {
    "sent": ProviderEvent.DELIVERED,
    "blocked": ProviderEvent.REJECTED,
    "spam": ProviderEvent.COMPLAINT,
    "unsub": ProviderEvent.UNSUBSCRIBE,
    "open": ProviderEvent.OPEN,
    "click": ProviderEvent.CLICK,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the events of a call."""
    for row in map(mapping, items(read_json(call))):
        yield Reported(
            _event(row),
            recipient=address(row.get("email")),
            message_id=text(row.get("MessageID")),
            timestamp=moment(row.get("time")),
            detail=text(row.get("smtp_reply"), row.get("comment"), row.get("error"), row.get("url"), row.get("source")),
        )


def _event(row: Mapping[str, Any]) -> ProviderEvent:
    word = text(row.get("event")) or ""
    if word != "bounce":
        return _WORDS.get(word, ProviderEvent.UNKNOWN)
    if row.get("blocked") is True:
        return ProviderEvent.REJECTED
    return bounced(text(row.get("comment"), row.get("error")), is_permanent=row.get("hard_bounce") is True)


def verify(call: Call, door: Door) -> None:
    """HTTP Basic authentication in the address that Mailjet calls; it signs nothing."""
    verify_password(call, door)
