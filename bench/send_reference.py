"""The plain way to send that `bench.send` compares with: smtplib, EmailMessage, rows read and written one by one."""

import smtplib
import time
from email.message import EmailMessage
from email.policy import SMTP

from jinja2.sandbox import ImmutableSandboxedEnvironment
from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.send_story import make_campaign
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.recipients import load_values
from mailer.schema.consent import Consent
from mailer.schema.contacts import Address
from mailer.schema.content import ContentVersion
from mailer.schema.delivery import Message, Sending


def run_reference(ctx: Context, smtp: str, size: int) -> float:
    """Send `size` mails on one connection, each in a transaction of its own, and return how many a second."""
    sending_id = make_campaign(ctx, size, first=10_000_000)
    with ctx.read() as session:
        sending = session.get_one(Sending, sending_id)
        version = session.get_one(ContentVersion, sending.content_version_id)
        ids = session.scalars(select(Message.id).where(Message.sending_id == sending_id)).all()
        environment = ImmutableSandboxedEnvironment(autoescape=True)
        html, plain = environment.from_string(version.html), environment.from_string(version.text)
    host, _, port = smtp.rpartition(":")
    started = time.perf_counter()
    with smtplib.SMTP(host, int(port)) as client:
        for number in ids:
            with ctx.write() as session:
                _send_one(session, client, number, html, plain)
    seconds = time.perf_counter() - started
    with ctx.write() as session:
        session.get_one(Sending, sending_id).state = "cancelled"
    return size / seconds


def _send_one(session: Session, client: smtplib.SMTP, number: int, html: object, plain: object) -> None:
    message = session.get_one(Message, number)
    if message.contact_id is None or message.address_id is None:
        return
    consent = session.get(Consent, (message.contact_id, "e_marketing"))
    if consent is None or consent.permission != "consent":
        return
    address = session.get_one(Address, message.address_id)
    links = [f"https://track.example.com/c/{number:030d}{link:06d}" for link in range(10)]
    values = load_values(session, [message.contact_id])[message.contact_id]
    context = {**values, "links": links, "unsubscribe_url": "https://example.com/u", "view_url": "", "pixel_url": ""}
    context["sender"] = {"postal_address": "Havnegata 1"}
    mail = EmailMessage(policy=SMTP)
    mail["Subject"], mail["From"], mail["To"] = "News", "news@example.com", address.email
    mail.set_content(plain.render(context), cte="quoted-printable")  # type: ignore[attr-defined]
    mail.add_alternative(html.render(context), subtype="html", cte="quoted-printable")  # type: ignore[attr-defined]
    client.sendmail("news@example.com", [address.email or ""], mail.as_bytes())
    message.state, message.gate_at, message.accepted_at = "accepted", utc_now(), utc_now()
