"""A link of a mail that opens a form: which form, and what of the reader it may be filled in with (FEATURES L2, M5).

Whoever holds the mail holds the link: a colleague it was forwarded to, a scanner. So the page shows the address masked
and only those fields that the form's maker chose; it changes nothing, and what is sent from it needs the same proof as
from everywhere else (docs/decisions/0033-a-link-is-no-proof.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.addresses import mask_address
from mailer.clock import utc_now
from mailer.contacts.columns import PLAIN_COLUMNS
from mailer.context import Context
from mailer.errors import NotFoundError, UntrustedRequestError
from mailer.forms.answers import Question
from mailer.forms.queries import FormPage, load_page
from mailer.schema.contacts import Address, Company, Contact
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.forms import Form
from mailer.statuses import FieldType
from mailer.tokens import CLICK, TrackToken, read_track_token

FILLED_FOR = timedelta(days=90)
"""So long after the mail a link fills a form in; an old mail lies in more places than its reader remembers."""


@dataclass(frozen=True)
class Known:
    """Who a mail went to: their address, and texts by the key of the question."""

    contact_id: int
    email: str
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def masked(self) -> str:
        """The address as a stranger may see it."""
        return mask_address(self.email)


@dataclass(frozen=True)
class Opened:
    """What a link opens: the page of its form, open or not, and for whom; else `url` and `text` of the link itself."""

    page: FormPage
    url: str
    label: str
    text: str
    known: Known | None


def open_link(ctx: Context, token: str) -> Opened:
    """Return what the link of a click token opens; changes nothing.

    Raises:
        UntrustedRequestError: none of our tokens.
        NotFoundError: the mail is gone, or its link opens no form.
    """
    read = read_track_token(ctx.keys, token)
    if read.kind != CLICK:
        raise UntrustedRequestError("not one of our tokens")
    with ctx.read() as session:
        link = _find_link(session, read)
        if link is None or link.form_id is None:
            raise NotFoundError("this link opens no form")
        page = load_page(session, session.get_one(Form, link.form_id), ctx.clock.now())
        known = _find_known(session, read.message_id, page.questions)
    return Opened(page, link.url, link.label, link.page_text, known)


def _find_link(session: Session, token: TrackToken) -> TrackedLink | None:
    return session.scalar(
        select(TrackedLink)
        .join(Sending, Sending.content_version_id == TrackedLink.content_version_id)
        .join(Message, Message.sending_id == Sending.id)
        .where(Message.id == token.message_id, TrackedLink.ordinal == token.link)
    )


def _find_known(session: Session, message_id: int, questions: Sequence[Question]) -> Known | None:
    """Return who a mail went to; None where it is long ago, they are gone, or have another address by now.

    A mail to another address than the contact's own, such as a test, fills in nothing.
    """
    sent_at = func.coalesce(Message.accepted_at, Message.gate_at, Sending.created_at)
    row = session.execute(
        select(Contact, Address.email, func.coalesce(Company.name, ""))
        .join(Message, Message.contact_id == Contact.id)
        .join(Sending, Sending.id == Message.sending_id)
        .join(Address, Address.id == Message.address_id)
        .outerjoin(Company, Company.id == Contact.company_id)
        .where(
            Message.id == message_id,
            Message.to_address.is_(None),
            Message.address_id == Contact.address_id,
            Contact.archived_at.is_(None),
            sent_at > utc_now() - FILLED_FOR,
        )
    ).one_or_none()
    if row is None:
        return None
    contact, email, company = row
    if not email:
        return None
    texts = {one.key: _text_of(one, contact, company) for one in questions if one.is_filled_in}
    return Known(contact.id, email, {key: text for key, text in texts.items() if text})


def _text_of(question: Question, contact: Contact, company: str) -> str:
    """Return what a form's field would hold, had the person typed it."""
    value: Any = (contact.data or {}).get(question.key)
    if question.key == "company":
        value = company
    elif question.key in PLAIN_COLUMNS:
        value = getattr(contact, question.key)
    if question.type is FieldType.YES_NO:
        return "1" if value is True else ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value)
    return text if len(text) <= question.limit else ""
