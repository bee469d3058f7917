"""Resend: one event a call, delivered by Svix, whose id in a header tells a repeat."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from mailer.bounces.webhooks.call import Call, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, decode_base64, distrust, verify_hmac
from mailer.errors import UntrustedRequestError
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


_TOLERANCE = timedelta(minutes=5)


def verify(call: Call, door: Door) -> None:
    """Svix: HMAC-SHA256 over id, timestamp and body, in base64; one of several signatures; not older than 5 minutes."""
    stamp, number = call.headers.get("svix-timestamp", ""), call.headers.get("svix-id", "")
    sent = moment(stamp)
    if sent is None or abs(door.now - sent) > _TOLERANCE:
        raise distrust("the call is too old, or has no time")
    key = decode_base64(door.key.strip().removeprefix("whsec_"))
    signed = f"{number}.{stamp}.".encode() + call.body
    for given in call.headers.get("svix-signature", "").split():
        version, _, signature = given.partition(",")
        with suppress(UntrustedRequestError):
            if version == "v1":
                verify_hmac(signature, key, signed, is_hex=False)
                return
    raise distrust("no signature fits")
