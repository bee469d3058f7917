"""Pages of requests and of one person's data: what is kept, take it along, erase it."""

import re
import uuid
from datetime import date

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.contacts.queries import get_contact
from mailer.context import Context
from mailer.errors import InputError, MailerError, NotFoundError
from mailer.privacy import queries, service
from mailer.privacy.due import EXTENDED_MONTHS
from mailer.privacy.erasure import STEPS, preview_erasure, refuse_wrong_confirmation, start_erasure
from mailer.privacy.export import export_person
from mailer.privacy.person import Person
from mailer.privacy.service import RequestValues
from mailer.privacy.views.words import CHANNEL_WORDS, KIND_WORDS, STEP_WORDS, TABLE_WORDS
from mailer.schema.contacts import Contact
from mailer.schema.privacy import SubjectRequest
from mailer.statuses import Role
from mailer.web.access import access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems
from mailer.workspace.queries import get_workspace

pages = Blueprint("privacy", __name__, url_prefix="/privacy")
OFFICERS = (Role.APPROVER,)
"""Who answers requests and takes data out; an admin may, too. Erasing is for admins alone."""


@pages.get("")
@access(*OFFICERS)
def index() -> ResponseReturnValue:
    """List requests, overdue ones on top, and the erasures of late."""
    ctx = app_context()
    with ctx.read() as session:
        rows = queries.list_requests(session, after=_key(page_key()), limit=PAGE_SIZE + 1)
        today = _today(ctx, session)
        counts = queries.count_open(session, today)
        erasures = queries.list_erasures(session, limit=5)
    return render_template(
        "admin/privacy/index.html",
        page=cut_page(rows, _page_number),
        counts=counts,
        today=today,
        erasures=erasures,
        **_words(),
    )


def _page_number(row: SubjectRequest) -> str:
    """Return where a request stands as digits: rank, day and number."""
    rank, due, number = queries.order_of(row)
    return f"{rank}{due:%Y%m%d}{number:09d}"


def _key(number: int | None) -> tuple[int, date, int] | None:
    digits = f"{number or 0:018d}"
    try:
        return (int(digits[0]), date(int(digits[1:5]), int(digits[5:7]), int(digits[7:9])), int(digits[9:]))
    except ValueError:
        return None  # no such day: the first page


def _today(ctx: Context, session: Session) -> date:
    return ctx.clock.today(get_workspace(session).timezone)


def _words() -> dict[str, object]:
    return {"KINDS": KIND_WORDS, "CHANNELS": CHANNEL_WORDS}


# ------------------------------------------------------------------ requests


@pages.get("/requests/new")
@access()
def new_request() -> ResponseReturnValue:
    """Show the form of a request, of a contact where one is named."""
    ctx = app_context()
    with ctx.read() as session:
        contact = _named_contact(session)
        values = {"received_on": _today(ctx, session).isoformat(), "kind": "access", "channel": "mail"}
    return render_template("admin/privacy/request_new.html", contact=contact, values=values, **_words())


@pages.post("/requests")
@access()
def record() -> ResponseReturnValue:
    """Write a request down; whoever hears of one may."""
    ctx = app_context()
    values = {name: form_text(name) for name in ("kind", "channel", "who", "note", "email", "received_on")}
    with ctx.read() as session:
        contact = _named_contact(session)
    try:
        row = service.record_request(
            ctx,
            RequestValues(
                kind=values["kind"], channel=values["channel"], who=values["who"], note=values["note"],
                email=values["email"], contact_id=contact.id if contact else None, received_on=_day("received_on"),
            ),
            by=who().id,
        )  # fmt: skip
    except MailerError as error:
        return page_with_problems("admin/privacy/request_new.html", error, contact=contact, values=values, **_words())
    text = _("Written down as number %(number)s. It is due on %(day)s.", number=row.id, day=row.due_on.isoformat())
    if who().has_role(*OFFICERS):
        return done(text, url_for("privacy.show_request", public_id=row.public_id))
    return done(text, url_for("contact.show", public_id=contact.public_id) if contact else url_for("accounts.home"))


def _named_contact(session: Session) -> Contact | None:
    text = request.values.get("contact", "")
    try:
        return get_contact(session, uuid.UUID(text)) if text else None
    except ValueError as error:
        raise NotFoundError("no such contact") from error


def _day(name: str) -> date | None:
    text = form_text(name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InputError(_("this is not a day"), where=name) from error


@pages.get("/requests/<uuid:public_id>")
@access(*OFFICERS)
def show_request(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a request and what can be done about it."""
    ctx = app_context()
    with ctx.read() as session:
        row = queries.get_request(session, public_id)
        contact = session.get(Contact, row.contact_id) if row.contact_id else None
        return render_template(
            "admin/privacy/request.html", row=row, contact=contact, today=_today(ctx, session),
            more_months=EXTENDED_MONTHS - 1, **_words(),
        )  # fmt: skip


@pages.post("/requests/<uuid:public_id>/extend")
@access(*OFFICERS)
def extend(public_id: uuid.UUID) -> ResponseReturnValue:
    """Give a request two more months."""
    row = service.extend_request(app_context(), _number_of(public_id), form_text("note"), by=who().id)
    text = _("It is due on %(day)s now. Tell the person why, within the first month.", day=row.due_on.isoformat())
    return done(text, url_for("privacy.show_request", public_id=public_id))


@pages.post("/requests/<uuid:public_id>/close")
@access(*OFFICERS)
def close(public_id: uuid.UUID) -> ResponseReturnValue:
    """Note that a request was answered or refused."""
    is_refused = form_text("as") == "refused"
    service.close_request(
        app_context(), _number_of(public_id), form_text("answer"), is_refused=is_refused, by=who().id
    )  # fmt: skip
    return done(_("Closed."), url_for("privacy.index"))


def _number_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return queries.get_request(session, public_id).id


# ------------------------------------------------------------------ a person's data


@pages.get("/person")
@access(*OFFICERS)
def person() -> ResponseReturnValue:
    """Show what is kept about a contact, or about an address that none has."""
    ctx = app_context()
    with ctx.read() as session:
        try:
            preview = preview_erasure(session, _asked_person(session, ctx))
        except InputError as error:
            return page_with_problems("admin/privacy/person.html", error, preview=None, TITLES=TABLE_WORDS)
    return render_template("admin/privacy/person.html", preview=preview, TITLES=TABLE_WORDS)


def _asked_person(session: Session, ctx: Context) -> Person:
    contact = _named_contact(session)
    if contact is not None:
        return queries.find_person_of_contact(session, ctx, contact)
    return queries.find_person(session, ctx, request.values.get("email", "").replace("\0", "").strip())


@pages.post("/export")
@access(*OFFICERS)
def export() -> ResponseReturnValue:
    """Return everything about a person as a ZIP."""
    ctx = app_context()
    with ctx.read() as session:
        found = _asked_person(session, ctx)
    name = re.sub(r"[^A-Za-z0-9]+", "-", found.emails[0] if found.emails else "person").strip("-")[:60]
    response = Response(export_person(ctx, found, by=who().id), mimetype="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.post("/erase")
@access(Role.ADMIN)
def erase() -> ResponseReturnValue:
    """Erase a person whose address was typed; the background work does the rest."""
    ctx = app_context()
    with ctx.read() as session:
        preview = preview_erasure(session, _asked_person(session, ctx))
    try:
        refuse_wrong_confirmation(preview, form_text("typed"))
    except MailerError as error:
        return page_with_problems("admin/privacy/person.html", error, preview=preview, TITLES=TABLE_WORDS)
    erasure = start_erasure(ctx, preview.person, by=who().id)
    text = _("The address is closed: no mail can go there any more. The rest is being erased.")
    return done(text, url_for("privacy.show_erasure", public_id=erasure.public_id))


@pages.get("/erasures/<uuid:public_id>")
@access(*OFFICERS)
def show_erasure(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show how far an erasure is, and what it took."""
    return render_template("admin/privacy/erasure.html", **_erasure(public_id))


@pages.get("/erasures/<uuid:public_id>/live")
@access(*OFFICERS)
def live_erasure(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the part of the page that moves."""
    return render_template("admin/privacy/erasure_live.html", **_erasure(public_id))


def _erasure(public_id: uuid.UUID) -> dict[str, object]:
    with app_context().read() as session:
        row = queries.find_erasure(session, public_id)
    names = [step.name for step in STEPS]
    is_done = row.finished_at is not None
    done_steps = len(names) if is_done else names.index(row.step)
    steps = [(STEP_WORDS[name], place < done_steps, place == done_steps) for place, name in enumerate(names)]
    return {"row": row, "steps": steps, "is_done": is_done, "TITLES": TABLE_WORDS}
