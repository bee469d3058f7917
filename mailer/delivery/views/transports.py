"""Pages of transports: relays with state and limits, a try in the server's own words, warm-up of domains."""

import uuid
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.delivery import transport_service as service
from mailer.delivery.transport_service import TransportValues
from mailer.delivery.transports import SETTINGS, transport_key
from mailer.delivery.warm_up import list_warm_ups, set_warm_up
from mailer.errors import MailerError, NotFoundError
from mailer.web.access import OPERATIONS, access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("transports", __name__, url_prefix="/transports")
_FIELDS = ("name", "url", "weight", "connections", "rate_per_second")
_DEFAULTS = {"weight": "1", "connections": "2", "rate_per_second": "5"}


@pages.get("")
@access(*OPERATIONS)
def index() -> ResponseReturnValue:
    """List the relays with their state, and the domains that may warm up."""
    ctx = app_context()
    with ctx.read() as session:
        lines = service.list_lines(session, ctx)
        warm_ups = list_warm_ups(session, ctx)
    return render_template("admin/delivery/transports.html", lines=lines, warm_ups=warm_ups, SETTINGS=SETTINGS)


@pages.get("/new")
@access(*OPERATIONS)
def new() -> ResponseReturnValue:
    """Show an empty form."""
    return render_template("admin/delivery/transport_edit.html", transport=None, values=_DEFAULTS)


@pages.post("")
@access(*OPERATIONS)
def create() -> ResponseReturnValue:
    """Add a relay."""
    values = _typed()
    try:
        row = service.add_transport(app_context(), TransportValues(**values), by=who().id)
    except MailerError as error:
        return page_with_problems("admin/delivery/transport_edit.html", error, transport=None, values=_safe(values))
    return done(_("“%(name)s” is in use. Try it now.", name=row.name), url_for("transports.index"))


@pages.get("/<uuid:public_id>")
@access(*OPERATIONS)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a relay; its URL stays hidden, since it holds a password."""
    with app_context().read() as session:
        row = service.get_transport(session, public_id)
    values = {name: _shown(getattr(row, name)) for name in _FIELDS if name != "url"}
    return render_template("admin/delivery/transport_edit.html", transport=row, values=values)


@pages.post("/<uuid:public_id>")
@access(*OPERATIONS)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change a relay."""
    values = _typed()
    with app_context().read() as session:
        row = service.get_transport(session, public_id)
    try:
        service.change_transport(app_context(), public_id, TransportValues(**values), by=who().id)
    except MailerError as error:
        return page_with_problems("admin/delivery/transport_edit.html", error, transport=row, values=_safe(values))
    return done(_("Saved."), url_for("transports.index"))


@pages.post("/<uuid:public_id>/enable")
@access(*OPERATIONS)
def enable(public_id: uuid.UUID) -> ResponseReturnValue:
    """Use a relay again."""
    service.enable_transport(app_context(), public_id, is_enabled=True, by=who().id)
    return done(_("It is used again."), url_for("transports.index"))


@pages.post("/<uuid:public_id>/disable")
@access(*OPERATIONS)
def disable(public_id: uuid.UUID) -> ResponseReturnValue:
    """Use a relay no more."""
    service.enable_transport(app_context(), public_id, is_enabled=False, by=who().id)
    return done(_("It is used no more."), url_for("transports.index"))


@pages.post("/<uuid:public_id>/remove")
@access(*OPERATIONS)
def remove(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take a relay away."""
    service.archive_transport(app_context(), public_id, by=who().id)
    return done(_("It is gone, and its password with it."), url_for("transports.index"))


@pages.post("/try")
@access(*OPERATIONS)
def try_settings() -> ResponseReturnValue:
    """Try the relay of the settings."""
    return _tried(SETTINGS)


@pages.post("/<uuid:public_id>/try")
@access(*OPERATIONS)
def try_one(public_id: uuid.UUID) -> ResponseReturnValue:
    """Try a relay: a session without a mail."""
    with app_context().read() as session:
        key = transport_key(service.get_transport(session, public_id).id)
    return _tried(key)


def _tried(key: str) -> ResponseReturnValue:
    ctx = app_context()
    finding = service.try_transport(ctx, key, by=who().id)
    with ctx.read() as session:
        line = next((one for one in service.list_lines(session, ctx) if one.key == key), None)
    if line is None:
        raise NotFoundError(_("no such transport"))
    return render_template("admin/delivery/transport_try.html", finding=finding, line=line)


@pages.post("/warm-up/<uuid:public_id>")
@access(*OPERATIONS)
def warm_up(public_id: uuid.UUID) -> ResponseReturnValue:
    """Begin or end the warm-up of a sending domain."""
    begins = request.form.get("begin") == "1"
    set_warm_up(app_context(), public_id, begins=begins, by=who().id)
    text = _("It begins with 500 mails a day.") if begins else _("Its limit is taken away.")
    return done(text, url_for("transports.index"))


def _typed() -> dict[str, str]:
    return {name: form_text(name) for name in _FIELDS}


def _safe(values: dict[str, str]) -> dict[str, str]:
    """A password is never sent back to the browser."""
    return {name: value for name, value in values.items() if name != "url"}


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
