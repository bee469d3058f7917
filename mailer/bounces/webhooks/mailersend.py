"""MailerSend: one activity a call."""

from collections.abc import Iterator

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, verify_hmac
from mailer.statuses import ProviderEvent

_WORDS = {
    "sent": ProviderEvent.ACCEPTED,
    "delivered": ProviderEvent.DELIVERED,
    "deferred": ProviderEvent.DEFERRED,
    "soft_bounced": ProviderEvent.SOFT_BOUNCE,
    "spam_complaint": ProviderEvent.COMPLAINT,
    "unsubscribed": ProviderEvent.UNSUBSCRIBE,
    "opened": ProviderEvent.OPEN,
    "opened_unique": ProviderEvent.OPEN,
    "clicked": ProviderEvent.CLICK,
    "clicked_unique": ProviderEvent.CLICK,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the event of a call."""
    body = mapping(read_json(call))
    data = mapping(body.get("data"))
    mail, more = mapping(data.get("email")), mapping(data.get("morph"))
    word = (text(data.get("type"), body.get("type")) or "").removeprefix("activity.")
    said = text(more.get("reason"))
    event = _WORDS.get(word, ProviderEvent.UNKNOWN)
    yield Reported(
        bounced(said, is_permanent=True) if word == "hard_bounced" else event,
        recipient=address(mapping(mail.get("recipient")).get("email")),
        message_id=text(mapping(mail.get("message")).get("id")),
        event_id=text(data.get("id")),
        timestamp=moment(data.get("created_at"), body.get("created_at")),
        detail=text(more.get("readable_reason"), said, more.get("url")),
    )


def verify(call: Call, door: Door) -> None:
    """HMAC-SHA256 over the body, in hexadecimal."""
    verify_hmac(call.headers.get("signature", ""), door.key.encode(), call.body)
