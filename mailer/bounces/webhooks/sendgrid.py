"""Twilio SendGrid's event webhook: an array of events."""

from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, items, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, decode_base64, distrust
from mailer.statuses import ProviderEvent

_WORDS = {
    "processed": ProviderEvent.ACCEPTED,
    "delivered": ProviderEvent.DELIVERED,
    "deferred": ProviderEvent.DEFERRED,
    "dropped": ProviderEvent.REJECTED,
    "open": ProviderEvent.OPEN,
    "click": ProviderEvent.CLICK,
    "spamreport": ProviderEvent.COMPLAINT,
    "unsubscribe": ProviderEvent.UNSUBSCRIBE,
    "group_unsubscribe": ProviderEvent.UNSUBSCRIBE,
    "group_resubscribe": ProviderEvent.RESUBSCRIBE,
}
_DEAD = ("invalid address", "")
"""Classifications that leave a bounce hard; "blocked" never is."""


def parse(call: Call) -> Iterator[Reported]:
    """Yield the events of a call."""
    for row in map(mapping, items(read_json(call))):
        yield Reported(
            _event(row),
            recipient=address(row.get("email")),
            message_id=text(row.get("smtp-id"), row.get("sg_message_id")),
            event_id=text(row.get("sg_event_id")),
            timestamp=moment(row.get("timestamp")),
            detail=text(row.get("reason"), row.get("response"), row.get("url")),
        )


def _event(row: Any) -> ProviderEvent:
    word = text(row.get("event"))
    if word != "bounce":
        return _WORDS.get(word or "", ProviderEvent.UNKNOWN)
    kind = (text(row.get("bounce_classification")) or "").lower()
    is_permanent = text(row.get("type")) != "blocked" and kind in _DEAD
    return bounced(text(row.get("reason")), text(row.get("status")), is_permanent=is_permanent)


def verify(call: Call, door: Door) -> None:
    """ECDSA with SHA-256 over timestamp and body, by the public key that SendGrid shows."""
    given = decode_base64(call.headers.get("x-twilio-email-event-webhook-signature", ""))
    stamp = call.headers.get("x-twilio-email-event-webhook-timestamp", "")
    try:
        key = load_der_public_key(decode_base64(door.key.strip()))
        if not isinstance(key, EllipticCurvePublicKey):
            raise distrust("the key of the endpoint is not one of SendGrid's")
        key.verify(given, stamp.encode() + call.body, ECDSA(SHA256()))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise distrust("the signature does not fit") from error
