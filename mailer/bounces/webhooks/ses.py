"""Amazon SES: notifications and event publishing through SNS, wrapped or as a raw message."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, items, mapping, moment, text
from mailer.statuses import ProviderEvent

_WORDS = {
    "Send": ProviderEvent.ACCEPTED,
    "Delivery": ProviderEvent.DELIVERED,
    "DeliveryDelay": ProviderEvent.DEFERRED,
    "Reject": ProviderEvent.REJECTED,
    "Rendering Failure": ProviderEvent.FAILED,
    "RenderingFailure": ProviderEvent.FAILED,
    "Open": ProviderEvent.OPEN,
    "Click": ProviderEvent.CLICK,
    "Subscription": ProviderEvent.UNSUBSCRIBE,
}
_SECTIONS = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure", "RenderingFailure": "failure"}


def parse(call: Call) -> Iterator[Reported]:
    """Yield an event for each recipient; nothing for what SNS says for itself, such as a subscription to confirm."""
    envelope = mapping(read_json(call))
    if text(envelope.get("Type")) in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return
    said = _unwrap(envelope)
    word = text(said.get("eventType"), said.get("notificationType")) or ""
    section = mapping(said.get(_SECTIONS.get(word, word.lower())))
    mail = mapping(said.get("mail"))
    for row in _recipients(word, section, mail):
        yield Reported(
            _event(word, section, row),
            recipient=address(row.get("emailAddress")),
            message_id=text(mail.get("messageId")),
            event_id=text(envelope.get("MessageId"), section.get("feedbackId")),
            timestamp=moment(envelope.get("Timestamp"), section.get("timestamp"), mail.get("timestamp")),
            detail=text(
                row.get("diagnosticCode"), section.get("smtpResponse"), section.get("errorMessage"),
                section.get("reason"), section.get("link"), section.get("complaintFeedbackType"),
            ),
        )  # fmt: skip


def _unwrap(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = envelope.get("Message")
    if not isinstance(inner, str):
        return envelope
    try:
        return mapping(json.loads(inner))
    except (ValueError, RecursionError):
        return {}


def _recipients(word: str, section: Mapping[str, Any], mail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    named = {
        "Bounce": section.get("bouncedRecipients"),
        "Complaint": section.get("complainedRecipients"),
        "DeliveryDelay": section.get("delayedRecipients"),
        "Delivery": section.get("recipients"),
    }.get(word)
    found = items(named) or items(mail.get("destination"))
    return [row if isinstance(row, dict) else {"emailAddress": row} for row in found] or [{}]


def _event(word: str, section: Mapping[str, Any], row: Mapping[str, Any]) -> ProviderEvent:
    if word == "Bounce":
        is_permanent = text(section.get("bounceType")) == "Permanent"
        return bounced(text(row.get("diagnosticCode")), text(row.get("status")), is_permanent=is_permanent)
    if word == "Complaint":
        is_praise = text(section.get("complaintFeedbackType")) == "not-spam"
        return ProviderEvent.NOT_BOUNCE if is_praise else ProviderEvent.COMPLAINT
    return _WORDS.get(word, ProviderEvent.UNKNOWN)
