"""Mandrill, Mailchimp's transactional mail: a form with an array of events in one field."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mailer.bounces.webhooks.call import Call, read_form
from mailer.bounces.webhooks.event import Reported, address, bounced, items, mapping, moment, text
from mailer.bounces.webhooks.proof import Door, verify_hmac
from mailer.errors import InputError
from mailer.statuses import ProviderEvent

_WORDS = {
    "send": ProviderEvent.ACCEPTED,
    "delivered": ProviderEvent.DELIVERED,
    "deferral": ProviderEvent.DEFERRED,
    "soft_bounce": ProviderEvent.SOFT_BOUNCE,
    "reject": ProviderEvent.REJECTED,
    "spam": ProviderEvent.COMPLAINT,
    "unsub": ProviderEvent.UNSUBSCRIBE,
    "open": ProviderEvent.OPEN,
    "click": ProviderEvent.CLICK,
}


def parse(call: Call) -> Iterator[Reported]:
    """Yield the events of a call.

    Raises:
        InputError: the field with the events is missing or no JSON.
    """
    try:
        rows = json.loads(read_form(call)["mandrill_events"])
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError("the form has no JSON in mandrill_events", mend="see what the provider sends") from error
    for row in map(mapping, items(rows)):
        mail = mapping(row.get("msg"))
        yield Reported(
            _event(row, mail),
            recipient=address(mail.get("email")),
            message_id=text(row.get("_id"), mail.get("_id")),
            timestamp=moment(row.get("ts")),
            detail=text(mail.get("diag"), mail.get("bounce_description"), mapping(mail.get("reject")).get("reason"))
            or text(row.get("url")),
        )


def _event(row: Mapping[str, Any], mail: Mapping[str, Any]) -> ProviderEvent:
    word = text(row.get("event")) or ""
    if word == "hard_bounce":
        return bounced(text(mail.get("diag")), is_permanent=True)
    return _WORDS.get(word, ProviderEvent.UNKNOWN)


def verify(call: Call, door: Door) -> None:
    """HMAC-SHA1 over the address and the sorted fields of the form, in base64."""
    fields = sorted(read_form(call).items())
    signed = door.url + "".join(name + value for name, value in fields)
    given = call.headers.get("x-mandrill-signature", "")
    verify_hmac(given, door.key.encode(), signed.encode(), algorithm="sha1", is_hex=False)
