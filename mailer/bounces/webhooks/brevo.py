"""Brevo, formerly Sendinblue: one event a call."""

from collections.abc import Iterator

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, items, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, verify_password
from mailer.statuses import ProviderEvent

_WORDS = {
    "request": ProviderEvent.ACCEPTED,
    "sent": ProviderEvent.ACCEPTED,
    "delivered": ProviderEvent.DELIVERED,
    "deferred": ProviderEvent.DEFERRED,
    "soft_bounce": ProviderEvent.SOFT_BOUNCE,
    "invalid_email": ProviderEvent.HARD_BOUNCE,
    "blocked": ProviderEvent.REJECTED,
    "error": ProviderEvent.FAILED,
    "spam": ProviderEvent.COMPLAINT,
    "complaint": ProviderEvent.COMPLAINT,
    "unsubscribed": ProviderEvent.UNSUBSCRIBE,
    "unsubscribe": ProviderEvent.UNSUBSCRIBE,
    "opened": ProviderEvent.OPEN,
    "unique_opened": ProviderEvent.OPEN,
    "proxy_open": ProviderEvent.OPEN,
    "unique_proxy_open": ProviderEvent.OPEN,
    "click": ProviderEvent.CLICK,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the events of a call; the short number `id` is that of the webhook, so nothing tells a repeat."""
    for row in map(mapping, items(read_json(call))):
        word, said = text(row.get("event")) or "", text(row.get("reason"))
        event = _WORDS.get(word, ProviderEvent.UNKNOWN)
        yield Reported(
            bounced(said, is_permanent=True) if word == "hard_bounce" else event,
            recipient=address(row.get("email")),
            message_id=text(row.get("message-id")),
            timestamp=moment(row.get("ts_epoch"), row.get("ts_event")),
            detail=said or text(row.get("link")),
        )


def verify(call: Call, door: Door) -> None:
    """HTTP Basic authentication or a token; Brevo signs nothing."""
    verify_password(call, door)
