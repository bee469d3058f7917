"""Pages of staff and of the audit; for admins."""

import uuid

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.accounts import queries, service
from mailer.errors import MailerError
from mailer.schema.accounts import AuditEvent
from mailer.statuses import Role
from mailer.web.access import access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("staff", __name__, url_prefix="/staff")
audit_pages = Blueprint("audit", __name__, url_prefix="/audit")


@pages.get("")
@access(Role.ADMIN)
def index() -> ResponseReturnValue:
    """List the staff."""
    with app_context().read() as session:
        people = queries.list_staff(session, with_archived=True)
    return render_template("admin/accounts/staff.html", people=people)


@pages.get("/new")
@access(Role.ADMIN)
def new() -> ResponseReturnValue:
    """Show an empty form."""
    return render_template("admin/accounts/staff_new.html", values={"role": Role.MARKETER.value})


@pages.post("")
@access(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Create a member of staff and show the one-time password once."""
    values = {name: form_text(name) for name in ("email", "name", "role")}
    try:
        staff, password = service.create_staff(
            app_context(), values["email"], _role(values["role"]), name=values["name"], by=who().id
        )
    except MailerError as error:
        return page_with_problems("admin/accounts/staff_new.html", error, values=values)
    return render_template("admin/accounts/staff_password.html", person=staff, password=password)


@pages.get("/<uuid:public_id>")
@access(Role.ADMIN)
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a member of staff."""
    with app_context().read() as session:
        person = queries.get_staff(session, public_id)
        groups = queries.list_groups(session)
    return render_template("admin/accounts/staff_edit.html", person=person, values=vars(person), groups=groups)


@pages.post("/<uuid:public_id>")
@access(Role.ADMIN)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change name, role and group."""
    service.update_staff(
        app_context(),
        public_id,
        role=_role(form_text("role")),
        name=form_text("name"),
        group_name=form_text("group_name"),
        by=who().id,
    )
    return done(_("Saved."), url_for("staff.index"))


@pages.post("/<uuid:public_id>/password")
@access(Role.ADMIN)
def reset(public_id: uuid.UUID) -> ResponseReturnValue:
    """Give a new one-time password and show it once."""
    staff, password = service.reset_password(app_context(), public_id, by=who().id)
    return render_template("admin/accounts/staff_password.html", person=staff, password=password)


@pages.post("/<uuid:public_id>/archive")
@access(Role.ADMIN)
def archive(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take away a person's access."""
    staff = service.archive_staff(app_context(), public_id, by=who().id)
    return done(_("%(who)s can no longer sign in.", who=staff.name or staff.email), url_for("staff.index"))


@audit_pages.get("", endpoint="index")
@access(Role.ADMIN)
def index_audit() -> ResponseReturnValue:
    """List what was done, newest first."""
    with app_context().read() as session:
        lines = queries.list_audit(session, before_id=page_key(), limit=PAGE_SIZE + 1)
        names = {person.id: person.name or person.email for person in queries.list_staff(session, with_archived=True)}
    return render_template("admin/accounts/audit.html", page=cut_page(lines, _audit_key), names=names)


def _audit_key(line: AuditEvent) -> int:
    return line.id


def _role(text: str) -> Role:
    return Role(text) if text in set(Role) else Role.SALES
