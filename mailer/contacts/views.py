"""Pages of contacts: the list with its search, and the forms to add and change one. The contact page is in reports/."""

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.contacts import queries, service
from mailer.contacts.queries import ContactLine
from mailer.errors import MailerError
from mailer.schema.contacts import ContactField
from mailer.statuses import FieldType, Role
from mailer.web.access import MARKETING, access
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("contacts", __name__, url_prefix="/contacts")
field_pages = Blueprint("fields", __name__, url_prefix="/fields")
_FORM = "admin/contacts/edit.html"


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List contacts, newest first; `?q=` looks at address, names and company."""
    search = request.args.get("q", "").strip()[:100]
    with app_context().read() as session:
        lines = queries.list_contacts(session, search=search, before_id=page_key(), limit=PAGE_SIZE + 1)
        total = queries.count_contacts(session)
    return render_template("admin/contacts/index.html", page=cut_page(lines, _key), search=search, total=total)


@pages.get("/new")
@access(*MARKETING, Role.SALES)
def new() -> ResponseReturnValue:
    """Show an empty form."""
    return render_template(_FORM, contact=None, values={}, fields=_fields())


@pages.post("")
@access(*MARKETING, Role.SALES)
def create() -> ResponseReturnValue:
    """Add a contact by hand; it has no permission yet."""
    fields = _fields()
    try:
        contact = service.create_contact(
            app_context(), form_text("email"), _values(fields), company=form_text("company"), tags=_tags()
        )
    except MailerError as error:
        return page_with_problems(_FORM, error, contact=None, values=request.form, fields=fields)
    return done(_("Added. There is no permission for e-marketing yet."), _page(contact.public_id))


@pages.get("/<uuid:public_id>/edit")
@access(*MARKETING, Role.SALES)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form of a contact."""
    with app_context().read() as session:
        contact = queries.get_contact(session, public_id)
        values = {name: getattr(contact, name) or "" for name in service.PLAIN_FIELDS}
        values |= contact.data | {"tags": ", ".join(queries.list_tags(session, contact.id))}
    return render_template(_FORM, contact=contact, values=values, fields=_fields())


@pages.post("/<uuid:public_id>")
@access(*MARKETING, Role.SALES)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change a contact."""
    fields = _fields()
    with app_context().read() as session:
        contact = queries.get_contact(session, public_id)
    try:
        service.update_contact(app_context(), contact.id, _values(fields), tags=_tags())
    except MailerError as error:
        return page_with_problems(_FORM, error, contact=contact, values=request.form, fields=fields)
    return done(_("Saved."), _page(public_id))


@pages.post("/<uuid:public_id>/do-not-mail")
@access()
def do_not_mail(public_id: uuid.UUID) -> ResponseReturnValue:
    """Set or clear the mark do not mail."""
    is_marked = form_text("mark") == "1"
    with app_context().read() as session:
        contact = queries.get_contact(session, public_id)
    service.mark_do_not_mail(app_context(), contact.id, is_marked=is_marked)
    return done(_("Marked: no mail to this person.") if is_marked else _("The mark is gone."), _page(public_id))


@field_pages.get("", endpoint="index")
@access(*MARKETING)
def index_fields() -> ResponseReturnValue:
    """List the own fields with a form for another."""
    return render_template("admin/contacts/fields.html", fields=_fields(), kinds=list(FieldType), values={})


@field_pages.post("")
@access(*MARKETING)
def create_field() -> ResponseReturnValue:
    """Create an own field."""
    kind = form_text("type")
    choices = [choice.strip() for choice in form_text("choices").splitlines() if choice.strip()]
    try:
        field = service.create_field(
            app_context(),
            form_text("key"),
            form_text("label"),
            FieldType(kind) if kind in set(FieldType) else FieldType.TEXT,
            choices,
        )
    except MailerError as error:
        shown = {"fields": _fields(), "kinds": list(FieldType), "values": request.form}
        return page_with_problems("admin/contacts/fields.html", error, **shown)
    text = _("%(label)s can be used in forms, imports, segments and mails.", label=field.label)
    return done(text, url_for("fields.index"))


def _fields() -> list[ContactField]:
    with app_context().read() as session:
        return list(queries.list_fields(session))


def _values(fields: list[ContactField]) -> dict[str, Any]:
    plain = {name: form_text(name) for name in service.PLAIN_FIELDS}
    return plain | {field.key: _typed(field, request.form) for field in fields}


def _typed(field: ContactField, form: Mapping[str, str]) -> Any:
    """Return a form value as the field's type wants it; what cannot be read stays text for the service to judge."""
    text = form.get(field.key, "").strip()
    if field.type == FieldType.YES_NO:
        return text == "1"
    if field.type == FieldType.NUMBER and text:
        try:
            return float(text.replace(",", ".")) if "." in text or "," in text else int(text)
        except ValueError:
            return text
    return text or None


def _tags() -> list[str]:
    return [tag.strip() for tag in form_text("tags").split(",") if tag.strip()]


def _key(line: ContactLine) -> int:
    return line.id


def _page(public_id: uuid.UUID) -> str:
    return url_for("contact.show", public_id=public_id)
