"""Forms that links of campaigns open: found by name or id, judged before the start, and who uses them (FEATURES L2)."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.content.check import Finding, Level
from mailer.errors import ConflictError, NotFoundError
from mailer.schema.campaigns import Campaign
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Sending
from mailer.schema.forms import Form
from mailer.statuses import FormState, SendingState

_OVER = (SendingState.FINISHED, SendingState.CANCELLED)


def list_forms_in_use(session: Session) -> Sequence[Form]:
    """Return the forms that a link may open: open ones, by name."""
    wanted = (Form.archived_at.is_(None), Form.state == FormState.OPEN.value)
    return session.scalars(select(Form).where(*wanted).order_by(Form.name, Form.id)).all()


def find_form_id(session: Session, named: object) -> object:
    """Return the id of a form by its name or id; what is neither is left to the reader of links.

    Raises:
        NotFoundError: there is no such form, or it is archived.
        ConflictError: several have this name.
    """
    if isinstance(named, bool) or not isinstance(named, int | str) or named == "":
        return named
    is_it = Form.name == named if isinstance(named, str) else Form.id == named
    found = session.scalars(select(Form.id).where(is_it, Form.archived_at.is_(None)).order_by(Form.id)).all()
    if not found:
        known = ", ".join(form.name for form in list_forms_in_use(session)) or "none yet"
        raise NotFoundError(f"there is no form {named!r}", mend=f"open forms: {known}")
    if len(found) > 1:
        raise ConflictError(f"several forms are called {named!r}", mend="name it by its id: mailer forms list")
    return found[0]


def check_forms(session: Session, links: Iterable[Mapping[str, Any]], starts_at: datetime) -> list[Finding]:
    """Return a red finding for each form that a link opens and that takes no answers when the campaign starts."""
    ids = {link["form"] for link in links if isinstance(link.get("form"), int)}
    closed = [form for form in session.scalars(select(Form).where(Form.id.in_(ids))) if not form.is_open_at(starts_at)]
    mend = "open it, choose another, or let the link answer in another way"
    return [
        Finding("form_closed", Level.RED, f"the form “{form.name}” that a link opens takes no answers", "content", mend)
        for form in sorted(closed, key=lambda form: form.id)
    ]


@dataclass(frozen=True)
class FormUse:
    """A campaign with a link that opens a form; `is_active`: it has not ended, so its readers are still to come."""

    name: str
    public_id: uuid.UUID
    is_active: bool


def list_form_uses(session: Session, form: Form) -> list[FormUse]:
    """Return the campaigns whose links open a form, drafts too, by name."""
    frozen = select(TrackedLink.content_version_id).where(TrackedLink.form_id == form.id)
    state = func.coalesce(Sending.state, Campaign.status)
    columns = (Campaign.name, Campaign.public_id, state, Campaign.links, Sending.id)
    rows = session.execute(
        select(*columns)
        .outerjoin(Sending, Sending.id == Campaign.sending_id)
        .where(Campaign.archived_at.is_(None), Sending.id.is_(None) | Sending.content_version_id.in_(frozen))
        .order_by(Campaign.name, Campaign.id)
    )
    return [
        FormUse(name, public_id, status not in _OVER)
        for name, public_id, status, links, sending_id in rows
        if sending_id is not None or any(link.get("form") in (form.id, form.name) for link in links)
    ]
