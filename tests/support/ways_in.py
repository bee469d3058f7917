"""What came back and how, for pages: endpoints, mailboxes, reports nobody could read, a provider that is suspected."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from mailer.bounces import endpoints, mailboxes, service, teaching
from mailer.bounces.mailboxes import MailboxValues
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.bounces import BounceMailbox, ProviderIncident, WebhookEndpoint

STRANGE = (
    b"From: MAILER-DAEMON@mx.example.net\r\nSubject: Undelivered mail\r\nTo: b@bounce.localhost\r\n\r\n"
    b"The pigeon post of mx.example.net found nobody <b>awake</b> for <ada%d@example.org> on 12 May.\r\n"
)


@dataclass(frozen=True)
class WaysIn:
    """What was made."""

    endpoint: uuid.UUID
    mailbox: uuid.UUID
    strange_report: int


def make_ways_in(ctx: Context) -> WaysIn:
    """Make one of each."""
    endpoint = endpoints.add_endpoint(ctx, "postmark", name="Postmark, newsletters")
    endpoints.add_endpoint(ctx, "ses", key="arn:aws:sns:eu-west-1:1:ses-events")
    values = MailboxValues(
        name="Old bounce box", host="imap.example.com", username="bounces@example.com", password="a password"
    )
    mailbox = mailboxes.add_mailbox(ctx, values)
    reports = [service.record_report(ctx, STRANGE % number, "file") for number in range(3)]
    other = b"From: MAILER-DAEMON@mx.example.net\r\nSubject: Undelivered mail\r\n\r\nThe owl of the house is tired.\r\n"
    taught = service.record_report(ctx, other, "file")
    service.process_reports(ctx)
    teaching.teach(ctx, taught, "soft")
    service.process_reports(ctx)
    now = utc_now()
    with ctx.write() as session:
        row = session.get_one(WebhookEndpoint, endpoint.id)
        row.last_call_at, row.last_outcome, row.calls, row.refused = now - timedelta(minutes=2), "stored", 1_840, 3
        box = session.get_one(BounceMailbox, mailbox.id)
        box.error, box.polled_at = "imap.example.com: [AUTHENTICATIONFAILED] login failed", now
        incident = {"began_at": now - timedelta(hours=1), "created_at": now, "hard": 61, "tried": 540}
        session.add(ProviderIncident(provider="yahoo", hard_rate=0.113, mean_rate=0.011, **incident))
    return WaysIn(endpoint.public_id, mailbox.public_id, reports[0])
