"""Amazon SES: notifications and event publishing through SNS, wrapped or as a raw message."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, items, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, decode_base64, distrust
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


_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]
_HASHES: Mapping[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - version 1 of SNS
_HOST = re.compile(r"sns\.[a-z0-9-]{2,30}\.amazonaws\.com(?:\.cn)?")


def is_amazons(host: str) -> bool:
    """Tell whether a host is one of SNS: nothing is fetched from elsewhere, whatever a call says."""
    return _HOST.fullmatch(host) is not None


def verify(call: Call, door: Door) -> None:
    """RSA over the fields of SNS, by a certificate that only a host of Amazon's may give (SNS: verifying signatures).

    `door.key` is the ARN of the topic; empty: any topic, since the path is secret.
    """
    envelope = mapping(read_json(call))
    names = _SIGNED.get(text(envelope.get("Type")) or "")
    algorithm = _HASHES.get(text(envelope.get("SignatureVersion")) or "")
    if names is None or algorithm is None or door.certificate is None:
        raise distrust("the call is none of SNS, or raw delivery is on: switch it off, it is not signed")
    if door.key and envelope.get("TopicArn") != door.key:
        raise distrust("the call is of another topic")
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    given = decode_base64(text(envelope.get("Signature")) or "")
    try:
        certificate = load_pem_x509_certificate(door.certificate(text(envelope.get("SigningCertURL")) or ""))
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise distrust("the certificate is not one of SNS")
        key.verify(given, signed.encode(), PKCS1v15(), algorithm)
    except (InvalidSignature, ValueError) as error:
        raise distrust("the signature does not fit") from error


def find_subscription(call: Call) -> str | None:
    """Return the address that confirms a subscription; None where the call asks for none."""
    envelope = mapping(read_json(call))
    return text(envelope.get("SubscribeURL")) if envelope.get("Type") == "SubscriptionConfirmation" else None
