"""Mails of people who want to leave: to the address of a List-Unsubscribe header, or as a reply (FEATURES C5, C11).

The address carries a signed token (RFC 2369, section 3.2), so a mail to it does what the header promises. A reply is a
person's words: it becomes a task for a person and changes nothing by itself.
"""

import re
from email.utils import parseaddr

from sqlalchemy.orm import Session

from mailer.addresses import AddressError, check_address
from mailer.bounces.classify import Classification
from mailer.bounces.mail import Part
from mailer.consent.preferences import unsubscribe_by_mail
from mailer.contacts.queries import list_by_email
from mailer.context import Context
from mailer.errors import UntrustedRequestError
from mailer.followups.rules import find_calendar
from mailer.followups.service import TaskSpec, create_for_contact
from mailer.schema.bounces import BounceReport
from mailer.schema.delivery import Message as SentMessage
from mailer.statuses import Verdict
from mailer.workspace.queries import get_workspace

_LOCAL = re.compile(r"\bu\+[a-z2-7]{48}(?![a-z2-7])", re.IGNORECASE)
_ADDRESSED = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
TASK_SOURCE = "reply"


def find_local(rcpt_to: str, parsed: Part) -> str | None:
    """Return the address that the mail was sent to, if it is one that unsubscribes: envelope first, then headers."""
    for text in (rcpt_to, *parsed.get_all(*_ADDRESSED)):
        if found := _LOCAL.search(text):
            return found.group()
    return None


def is_request(said: Classification) -> bool:
    """Return whether a mail to such an address asks for what it says: no bounce, no answer of a program."""
    return said.verdict is Verdict.UNSUBSCRIBE or said.reason == "other_mail"


def unsubscribe(session: Session, ctx: Context, local: str) -> bool:
    """End the topic that the address names; False where it is none of ours, or its contact is gone."""
    try:
        return unsubscribe_by_mail(session, ctx, local)
    except UntrustedRequestError:
        return False


def ask_a_person(session: Session, ctx: Context, report: BounceReport, parsed: Part) -> bool:
    """Make a task of a reply that asks to be left alone, for whom it is from; False where nobody is known by it."""
    contact_id = _find_contact(session, report, parsed)
    if contact_id is None:
        return False
    today = ctx.clock.today(get_workspace(session).timezone)
    task = TaskSpec(
        title="Asked by mail to be left alone: read it, then record the objection",
        note=f"Report {report.id}: {report.diagnostic}"[:500],
        due_on=find_calendar(session).add_working_days(today, 1),
        source=TASK_SOURCE,
    )
    return create_for_contact(session, contact_id, task, dedupe_key=f"reply:{report.id}")


def _find_contact(session: Session, report: BounceReport, parsed: Part) -> int | None:
    """By our token in the mail that it answers, else by its sender: enough for a task, never for a change."""
    if report.message_id is not None:
        return session.get_one(SentMessage, report.message_id).contact_id
    try:
        address = check_address(parseaddr(parsed.get("from"))[1])
    except AddressError:
        return None
    found = list_by_email(session, address.email)
    return found[0].id if found else None
