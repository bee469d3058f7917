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
from mailer.bounces.webhooks.proof import Door, distrust
from mailer.errors import InputError
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

_VERIFIERS: dict[Provider, Callable[[Call, Door], None]] = {
    Provider.SES: ses.verify,
    Provider.SENDGRID: sendgrid.verify,
    Provider.MAILGUN: mailgun.verify,
    Provider.POSTMARK: postmark.verify,
    Provider.SPARKPOST: sparkpost.verify,
    Provider.BREVO: brevo.verify,
    Provider.MAILJET: mailjet.verify,
    Provider.MANDRILL: mandrill.verify,
    Provider.MAILERSEND: mailersend.verify,
    Provider.RESEND: resend.verify,
}
BY_PASSWORD = frozenset({Provider.POSTMARK, Provider.SPARKPOST, Provider.BREVO, Provider.MAILJET})
"""These sign nothing: a name and a password that we make up stand in the address that they call."""


def verify_call(provider: Provider, call: Call, door: Door) -> None:
    """Check that a call is the provider's.

    Raises:
        UntrustedRequestError: it does not prove it.
    """
    try:
        _VERIFIERS[provider](call, door)
    except InputError as error:
        raise distrust("the call is not of the form in which the provider sends") from error


def find_nonce(provider: Provider, call: Call) -> str:
    """Return what may come once only; empty where the whole call is signed."""
    return mailgun.find_nonce(call) if provider is Provider.MAILGUN else ""


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
