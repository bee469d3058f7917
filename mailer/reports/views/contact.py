"""The contact page: who it is, what permits or forbids mail, everything that happened."""

import uuid

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mailer.accounts.queries import find_staff_by_id
from mailer.consent import queries as consent
from mailer.contacts import queries as contacts
from mailer.privacy.queries import list_requests
from mailer.reports.timeline import list_timeline
from mailer.schema.consent import Consent
from mailer.schema.contacts import Company
from mailer.segments.visibility import make_viewer
from mailer.statuses import Purpose, Role
from mailer.web.access import access, who
from mailer.web.requests import app_context, is_fragment

pages = Blueprint("contact", __name__, url_prefix="/contacts")
KINDS = ("mail", "event", "task", "consent", "activity", "segment")


@pages.get("/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a contact; `?kind=` filters the timeline, which htmx asks for alone."""
    kind = request.args.get("kind", "")
    kind = kind if kind in KINDS else ""
    with app_context().read() as session:
        contact = contacts.get_contact(session, public_id)
        timeline = list_timeline(session, contact, kind=kind, viewer=make_viewer(who().id, who().role))
        if is_fragment():
            return render_template(
                "admin/reports/timeline.html", timeline=timeline, kind=kind, contact=contact, KINDS=KINDS
            )
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
            timeline=timeline,
            kind=kind,
            KINDS=KINDS,
            asked_for=list_requests(session, contact_id=contact.id, limit=5),
            may_answer=who().has_role(Role.APPROVER),
        )
