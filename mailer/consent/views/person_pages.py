"""Staff pages about one person's consent: the proof, a permission given by hand, an objection (FEATURES C1, C11)."""

import uuid
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent import byhand, queries, service
from mailer.consent.proof import build_proof
from mailer.consent.service import Cause
from mailer.contacts.queries import get_contact
from mailer.errors import InputError, MailerError
from mailer.schema.contacts import Contact
from mailer.statuses import PERMITS_MARKETING, Permission, Role
from mailer.web.access import MARKETING, access, who
from mailer.web.formats import zone_name
from mailer.web.requests import app_context, done, form_text, problems_of

proof_pages = Blueprint("proof", __name__, url_prefix="/proof")
objection_pages = Blueprint("objections", __name__, url_prefix="/objections")
CHANNELS = ("phone", "reply", "meeting", "letter")


@proof_pages.get("/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show everything that the ledger says about a person, for the screen and for paper."""
    with app_context().read() as session:
        return _proof_page(session, get_contact(session, public_id))


@proof_pages.post("/<uuid:public_id>")
@access(*MARKETING, Role.SALES)
def record(public_id: uuid.UUID) -> ResponseReturnValue:
    """Record a permission that was given on paper, by phone or in person."""
    with app_context().read() as session:
        contact = get_contact(session, public_id)
    note = form_text("note")
    cause = Cause(
        source=_("by hand"), channel=_channel(), by_staff_id=who().id,
        evidence={"note": note, "written_by": who().shown_name} if note else {},
    )  # fmt: skip
    try:
        byhand.record_permission(
            app_context(), contact.id, _permission(), cause,
            topic_ids={int(value) for value in request.form.getlist("topic") if value.isdecimal()},
            expires_at=_end_of(form_text("expires_on")),
        )  # fmt: skip
    except MailerError as error:
        with app_context().read() as session:
            page = _proof_page(session, contact, problems=problems_of(error), values=request.form)
        return make_response(page, 400)
    return done(_("Recorded."), url_for("proof.show", public_id=public_id))


@objection_pages.get("/<int:contact_id>")
@access()
def ask(contact_id: int) -> ResponseReturnValue:
    """Show the form of an objection, for pages that have none themselves."""
    with app_context().read() as session:
        contact = service.get_contact(session, contact_id)
        choices = queries.list_choices(session, contact_id)
    return render_template(
        "admin/consent/objection.html", contact=contact, choices=choices, back=_back(request.args.get("back", ""))
    )


@objection_pages.post("/<int:contact_id>", endpoint="record")
@access()
def record_objection(contact_id: int) -> ResponseReturnValue:
    """Record an objection by phone or reply: everything, one topic, or a complaint."""
    topic = form_text("topic")
    cause = Cause(
        source="objection", channel=_channel(), by_staff_id=who().id, evidence={"note": form_text("note")}
    )  # fmt: skip
    service.object_to_mail(
        app_context(), contact_id, cause,
        topic_id=int(topic) if topic.isdecimal() else None, is_complaint=topic == "complaint",
    )  # fmt: skip
    return done(_("Recorded. It holds for every message that has not left."), _back(form_text("back")))


def _proof_page(session: Session, contact: Contact, **more: Any) -> str | Response:
    proof = build_proof(session, contact, checks_seals=request.args.get("check") == "1")
    return render_template(
        "admin/consent/proof.html",
        contact=contact, proof=proof, made_at=utc_now(), permissions=PERMITS_MARKETING, channels=CHANNELS,
        **{"problems": (), "values": {}, **more},
    )  # fmt: skip


def _channel() -> str:
    return form_text("channel") if form_text("channel") in CHANNELS else CHANNELS[0]


def _permission() -> Permission:
    word = form_text("permission")
    return Permission(word) if word in list(Permission) else Permission.NONE


def _end_of(text: str) -> datetime | None:
    """Return the end of a day in the reader's zone; None for an empty text."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InputError(_("not a date"), where="expires_on", mend=_("such as 2027-12-31")) from error
    return datetime.combine(day, time.max, ZoneInfo(zone_name())).astimezone(UTC)


def _back(address: str) -> str:
    """Return where to go after it: an address of our own, else the contacts."""
    is_own = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_own else url_for("contacts.index")
