"""Mailgun: JSON with `event-data`, and the form fields of its older webhooks."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from mailer.bounces.webhooks.call import Call, is_form, read_form, read_json
from mailer.bounces.webhooks.event import Reported, address, bounced, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, distrust, verify_hmac
from mailer.statuses import ProviderEvent

_WORDS = {
    "accepted": ProviderEvent.ACCEPTED,
    "delivered": ProviderEvent.DELIVERED,
    "rejected": ProviderEvent.REJECTED,
    "dropped": ProviderEvent.REJECTED,
    "opened": ProviderEvent.OPEN,
    "clicked": ProviderEvent.CLICK,
    "unsubscribed": ProviderEvent.UNSUBSCRIBE,
    "complained": ProviderEvent.COMPLAINT,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the event of a call."""
    yield _read_fields(read_form(call)) if is_form(call) else _read_data(mapping(read_json(call)))


def _read_data(body: Mapping[str, Any]) -> Reported:
    data, signature = mapping(body.get("event-data")), mapping(body.get("signature"))
    headers = mapping(mapping(data.get("message")).get("headers"))
    status = mapping(data.get("delivery-status"))
    said = text(status.get("message"), status.get("description"), mapping(data.get("reject")).get("reason"))
    return Reported(
        _event(data, status, said),
        recipient=address(data.get("recipient"), headers.get("to")),
        message_id=text(headers.get("message-id")),
        event_id=text(data.get("id"), signature.get("token")),
        timestamp=moment(data.get("timestamp")),
        detail=said or text(data.get("url"), data.get("reason")),
    )


def _event(data: Mapping[str, Any], status: Mapping[str, Any], said: str | None) -> ProviderEvent:
    word, reason = text(data.get("event")) or "", text(data.get("reason")) or ""
    if word != "failed":
        return _WORDS.get(word, ProviderEvent.UNKNOWN)
    if text(data.get("severity")) == "temporary":
        return ProviderEvent.DEFERRED
    if reason.startswith("suppress-"):
        return ProviderEvent.REJECTED
    is_permanent = reason != "old" and text(status.get("bounce-type")) != "soft"
    return bounced(said, text(status.get("enhanced-code")), is_permanent=is_permanent)


def _read_fields(fields: Mapping[str, str]) -> Reported:
    """Read the older form: a bounce by its code, everything dropped as rejected."""
    word = fields.get("event", "")
    said = text(fields.get("error"), fields.get("notification"), fields.get("description"), fields.get("reason"))
    event = _WORDS.get(word, ProviderEvent.UNKNOWN)
    if word == "bounced":
        code = fields.get("code", "")
        event = bounced(said, code, is_permanent=code.startswith("5"))
    return Reported(
        event,
        recipient=address(fields.get("recipient")),
        message_id=text(fields.get("Message-Id"), fields.get("message-id")),
        event_id=text(fields.get("token")),
        timestamp=moment(fields.get("timestamp")),
        detail=said or text(fields.get("url")),
    )


_TOLERANCE = timedelta(days=3)


def verify(call: Call, door: Door) -> None:
    """HMAC-SHA256 over timestamp and token; the body is not signed, so a token counts once (`find_nonce`).

    Mailgun repeats a call for eight hours. Tokens are known for longer than one is good for.
    """
    stamp, token, signature = _signature(call)
    sent = moment(stamp)
    if sent is None or abs(door.now - sent) > _TOLERANCE:
        raise distrust("the call is too old, or has no time")
    verify_hmac(signature, door.key.encode(), f"{stamp}{token}".encode())


def find_nonce(call: Call) -> str:
    """Return the token that a signature is good for, once."""
    return _signature(call)[1]


def _signature(call: Call) -> tuple[str, str, str]:
    fields: Mapping[str, Any] = read_form(call) if is_form(call) else mapping(mapping(read_json(call)).get("signature"))
    return text(fields.get("timestamp")) or "", text(fields.get("token")) or "", text(fields.get("signature")) or ""
