"""Pages of the workspace's settings, its sender profiles, and the button that stops everything."""

import uuid

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.accounts import control
from mailer.errors import MailerError
from mailer.statuses import Role
from mailer.web.access import MARKETING, OPERATIONS, access, public, who
from mailer.web.requests import app_context, done, form_text, page_with_problems
from mailer.workspace import queries
from mailer.workspace.brand import build_style
from mailer.workspace.limits import LIMITS, limit_value
from mailer.workspace.service import SenderValues

pages = Blueprint("settings", __name__, url_prefix="/settings")
brand_pages = Blueprint("brand", __name__)
sender_pages = Blueprint("senders", __name__, url_prefix="/senders")
_SENDER_FIELDS = tuple(SenderValues.__dataclass_fields__)


@pages.get("")
@access(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show the settings."""
    with app_context().read() as session:
        row = queries.get_workspace(session)
    values = {"name": row.name, "timezone": row.timezone, "brand_color": row.brand_color}
    limits = {limit.name: f"{limit_value(row.limits, limit.name):g}" for limit in LIMITS}
    return render_template("admin/workspace/settings.html", values=values, limits=limits, LIMITS=LIMITS)


@pages.post("")
@access(Role.ADMIN)
def save() -> ResponseReturnValue:
    """Change them."""
    values = {name: form_text(name) for name in ("name", "timezone", "brand_color")}
    limits = {limit.name: form_text(limit.name) for limit in LIMITS}
    try:
        control.change_settings(app_context(), by=who().id, **values, limits=limits)
    except MailerError as error:
        return page_with_problems("admin/workspace/settings.html", error, values=values, limits=limits, LIMITS=LIMITS)
    return done(_("Saved."), url_for("settings.show"))


@pages.post("/stop")
@access(*MARKETING, *OPERATIONS)
def stop() -> ResponseReturnValue:
    """Stop everything: all marketing is held at the next gate."""
    control.stop_everything(app_context(), note=form_text("note"), by=who().id)
    text = _("Everything is stopped. No marketing mail leaves until somebody releases it.")
    return done(text, _back(), kind="warning")


@pages.post("/release")
@access(*OPERATIONS)
def release() -> ResponseReturnValue:
    """Let marketing go on."""
    control.release_everything(app_context(), note=form_text("note"), by=who().id)
    return done(_("Released. Sending goes on."), _back())


@brand_pages.get("/brand.css")
@public
def style() -> ResponseReturnValue:
    """Return the workspace's color as a style sheet for public pages."""
    with app_context().read() as session:
        color = queries.get_workspace(session).brand_color
    response = Response(build_style(color), mimetype="text/css")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@sender_pages.get("")
@access(*MARKETING)
def index() -> ResponseReturnValue:
    """List the sender profiles."""
    with app_context().read() as session:
        senders = queries.list_senders(session)
    return render_template("admin/workspace/senders.html", senders=senders)


@sender_pages.get("/new")
@access(Role.ADMIN)
def new() -> ResponseReturnValue:
    """Show an empty form."""
    return render_template("admin/workspace/sender_edit.html", sender=None, values={})


@sender_pages.post("")
@access(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Create a sender profile."""
    values = {name: form_text(name) for name in _SENDER_FIELDS}
    try:
        control.add_sender(app_context(), SenderValues(**values), by=who().id)
    except MailerError as error:
        return page_with_problems("admin/workspace/sender_edit.html", error, sender=None, values=values)
    return done(_("The sender profile is ready for use."), url_for("senders.index"))


@sender_pages.get("/<uuid:public_id>")
@access(Role.ADMIN)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a sender profile."""
    with app_context().read() as session:
        sender = queries.get_sender(session, public_id)
    values = {name: getattr(sender, name) for name in _SENDER_FIELDS}
    return render_template("admin/workspace/sender_edit.html", sender=sender, values=values)


@sender_pages.post("/<uuid:public_id>")
@access(Role.ADMIN)
def save_sender(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change a sender profile."""
    values = {name: form_text(name) for name in _SENDER_FIELDS}
    with app_context().read() as session:
        sender = queries.get_sender(session, public_id)
    try:
        control.change_sender(app_context(), public_id, SenderValues(**values), by=who().id)
    except MailerError as error:
        return page_with_problems("admin/workspace/sender_edit.html", error, sender=sender, values=values)
    return done(_("Saved."), url_for("senders.index"))


def _back() -> str:
    """Return the page that the button was pressed on, as a path of ours."""
    wanted = request.form.get("back", "")
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else url_for("accounts.home")
