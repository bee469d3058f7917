"""Postmark: one record a call, bounces by their type."""

from collections.abc import Iterator, Mapping
from typing import Any

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, verify_password
from mailer.statuses import ProviderEvent

_RECORDS = {
    "Delivery": ProviderEvent.DELIVERED,
    "Open": ProviderEvent.OPEN,
    "Click": ProviderEvent.CLICK,
    "SpamComplaint": ProviderEvent.COMPLAINT,
}
_TYPES = {
    "AutoResponder": ProviderEvent.NOT_BOUNCE,
    "AddressChange": ProviderEvent.NOT_BOUNCE,
    "ChallengeVerification": ProviderEvent.NOT_BOUNCE,
    "Subscribe": ProviderEvent.RESUBSCRIBE,
    "Unsubscribe": ProviderEvent.UNSUBSCRIBE,
    "SpamComplaint": ProviderEvent.COMPLAINT,
    "ManuallyDeactivated": ProviderEvent.REJECTED,
    "TemplateRenderingFailed": ProviderEvent.FAILED,
    "SMTPApiError": ProviderEvent.FAILED,
    "InboundError": ProviderEvent.FAILED,
}
_DEAD = ("HardBounce", "BadEmailAddress")
_CHANGES = {
    "HardBounce": ProviderEvent.HARD_BOUNCE,
    "SpamComplaint": ProviderEvent.COMPLAINT,
    "ManualSuppression": ProviderEvent.UNSUBSCRIBE,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the event of a call."""
    row = mapping(read_json(call))
    yield Reported(
        _event(row),
        recipient=address(row.get("Email"), row.get("Recipient")),
        message_id=text(row.get("MessageID")),
        event_id=text(row.get("ID")),
        timestamp=moment(*(row.get(name) for name in ("BouncedAt", "DeliveredAt", "ReceivedAt", "ChangedAt"))),
        detail=text(row.get("Details"), row.get("Description"), row.get("OriginalLink"), row.get("SuppressionReason")),
    )


def _event(row: Mapping[str, Any]) -> ProviderEvent:
    record = text(row.get("RecordType"))
    if record == "SubscriptionChange":
        if row.get("SuppressSending") is False:
            return ProviderEvent.RESUBSCRIBE
        return _CHANGES.get(text(row.get("SuppressionReason")) or "", ProviderEvent.UNKNOWN)
    if record != "Bounce":
        return _RECORDS.get(record or "", ProviderEvent.UNKNOWN)
    kind = text(row.get("Type")) or ""
    if kind in _TYPES:
        return _TYPES[kind]
    return bounced(text(row.get("Details")), is_permanent=kind in _DEAD)


def verify(call: Call, door: Door) -> None:
    """HTTP Basic authentication in the address that Postmark calls; it signs nothing."""
    verify_password(call, door)
