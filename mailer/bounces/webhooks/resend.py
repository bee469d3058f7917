"""Resend: one event a call, delivered by Svix, whose id in a header tells a repeat."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, mapping, moment, text
from mailer.statuses import ProviderEvent

_WORDS = {
    "email.scheduled": ProviderEvent.ACCEPTED,
    "email.sent": ProviderEvent.ACCEPTED,
    "email.delivered": ProviderEvent.DELIVERED,
    "email.delivery_delayed": ProviderEvent.DEFERRED,
    "email.failed": ProviderEvent.FAILED,
    "email.suppressed": ProviderEvent.REJECTED,
    "email.complained": ProviderEvent.COMPLAINT,
    "email.opened": ProviderEvent.OPEN,
    "email.clicked": ProviderEvent.CLICK,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the event of a call; of several recipients the first, since it does not say whom it is about."""
    body = mapping(read_json(call))
    data = mapping(body.get("data"))
    bounce = mapping(data.get("bounce"))
    word = text(body.get("type")) or ""
    yield Reported(
        _bounced(bounce) if word == "email.bounced" else _WORDS.get(word, ProviderEvent.UNKNOWN),
        recipient=address(data.get("to")),
        message_id=text(data.get("email_id")),
        event_id=text(call.headers.get("svix-id")),
        timestamp=moment(body.get("created_at"), data.get("created_at")),
        detail=text(
            bounce.get("message"), mapping(data.get("failed")).get("reason"), mapping(data.get("click")).get("link")
        ),
    )


def _bounced(bounce: Mapping[str, Any]) -> ProviderEvent:
    said = text(bounce.get("message")) or ""
    if text(bounce.get("subType")) in ("Suppressed", "OnAccountSuppressionList") or "suppressed sending" in said:
        return ProviderEvent.REJECTED
    return bounced(said, is_permanent=text(bounce.get("type")) in (None, "Permanent"))
