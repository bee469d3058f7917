"""All providers by their slug. A new one: a file with `parse(call)` that yields events, and a line here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlencode

from mailer.bounces.webhooks import (
    brevo,
    mailersend,
    mailgun,
    mailjet,
    mandrill,
    postmark,
    resend,
    sendgrid,
    ses,
    sparkpost,
)
from mailer.bounces.webhooks.call import Call, is_form, read_form, read_json
from mailer.bounces.webhooks.event import Reported
from mailer.statuses import Provider

_PARSERS: dict[Provider, Callable[[Call], Iterator[Reported]]] = {
    Provider.SES: ses.parse,
    Provider.SENDGRID: sendgrid.parse,
    Provider.MAILGUN: mailgun.parse,
    Provider.POSTMARK: postmark.parse,
    Provider.SPARKPOST: sparkpost.parse,
    Provider.BREVO: brevo.parse,
    Provider.MAILJET: mailjet.parse,
    Provider.MANDRILL: mandrill.parse,
    Provider.MAILERSEND: mailersend.parse,
    Provider.RESEND: resend.parse,
}


def parse_call(provider: Provider, call: Call) -> list[Reported]:
    """Return what a call says, in the order of the call; an empty list where it says nothing of a mail.

    Raises:
        InputError: the body is not of the form in which the provider sends.
    """
    return list(_PARSERS[provider](call))


_FORM = "application/x-www-form-urlencoded"


def split_call(provider: Provider, call: Call) -> list[Call]:
    """Return a call of many events as calls of one, so that each can be kept for the person whom it is about.

    Raises:
        InputError: the body is not of the form in which the provider sends.
    """
    if provider is Provider.MANDRILL:
        rows = json.loads(read_form(call).get("mandrill_events", "[]"))
        bodies = [urlencode({"mandrill_events": json.dumps([row])}) for row in rows] if isinstance(rows, list) else []
        return [replace(call, body=body.encode(), content_type=_FORM) for body in bodies] or [call]
    if is_form(call):
        return [call]
    rows = read_json(call)
    if not isinstance(rows, list):
        return [call]
    return [replace(call, body=json.dumps([row]).encode()) for row in rows]
