"""The contact page: who it is, what permits or forbids mail, everything that happened."""

import uuid
from datetime import datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mailer.accounts.queries import find_staff_by_id
from mailer.consent import queries as consent
from mailer.contacts import queries as contacts
from mailer.privacy.queries import list_requests
from mailer.reports.timeline import Entry, Key, key_of, list_timeline
from mailer.schema.consent import Consent
from mailer.schema.contacts import Company
from mailer.segments.visibility import make_viewer
from mailer.statuses import Purpose, Role
from mailer.web.access import access, who
from mailer.web.paging import cut_page
from mailer.web.requests import app_context, is_fragment

pages = Blueprint("contact", __name__, url_prefix="/contacts")
KINDS = ("mail", "event", "task", "consent", "activity", "segment", "action")
TIMELINE_SIZE = 50


@pages.get("/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a contact; `?kind=` filters the timeline, which htmx asks for alone."""
    kind = request.args.get("kind", "")
    kind = kind if kind in KINDS else ""
    with app_context().read() as session:
        contact = contacts.get_contact(session, public_id)
        viewer = make_viewer(who().id, who().role)
        found = list_timeline(session, contact, kind=kind, viewer=viewer, before=_read_key(), limit=TIMELINE_SIZE + 1)
        page = cut_page(found, _write_key, size=TIMELINE_SIZE)
        if is_fragment():
            return render_template("admin/reports/timeline.html", page=page, kind=kind, contact=contact)
        address = contacts.find_address(session, contact)
        return render_template(
            "admin/reports/contact.html",
            contact=contact,
            address=address,
            company=session.get(Company, contact.company_id) if contact.company_id else None,
            owner=find_staff_by_id(session, contact.owner_id) if contact.owner_id else None,
            tags=contacts.list_tags(session, contact.id),
            fields=contacts.list_fields(session),
            choices=consent.list_choices(session, contact.id),
            permission=session.get(Consent, (contact.id, Purpose.E_MARKETING.value)),
            suppressions=consent.list_active_suppressions(session, address.email_hash) if address else [],
            page=page,
            kind=kind,
            asked_for=list_requests(session, contact_id=contact.id, limit=5),
            may_answer=who().has_role(Role.APPROVER),
        )


def _read_key() -> Key | None:
    """Return where the page of the timeline begins; None on the first one or for nonsense."""
    at, _mark, rest = request.args.get("after", "").partition("~")
    source, _mark, number = rest.partition("~")
    try:
        moment = datetime.fromisoformat(at)
        return (moment, source, int(number)) if moment.tzinfo and len(number) < 19 else None  # noqa: PLR2004 - 63 bits
    except ValueError:
        return None


def _write_key(entry: Entry) -> str:
    at, source, number = key_of(entry)
    return f"{at.isoformat()}~{source}~{number}"
