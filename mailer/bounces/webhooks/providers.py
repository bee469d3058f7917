"""All providers by their slug. A new one: a file with `parse(call)` that yields events, and a line here."""

from collections.abc import Callable, Iterator

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
from mailer.bounces.webhooks.call import Call
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
