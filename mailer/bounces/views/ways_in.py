"""The ways in: endpoints that mail providers call, mailboxes that reports are fetched from."""

import uuid

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.bounces import endpoints, mailboxes, ways
from mailer.bounces.endpoints import NEEDS_KEY
from mailer.bounces.mailboxes import MailboxValues
from mailer.errors import MailerError
from mailer.schema.bounces import SECURITIES, BounceMailbox, WebhookEndpoint
from mailer.statuses import Provider
from mailer.web.access import OPERATIONS, access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("ways_in", __name__, url_prefix="/bounces/ways-in")
_FIELDS = ("name", "host", "port", "security", "username", "folder", "move_to")
_DEFAULTS = {"port": "993", "security": "tls", "folder": "INBOX"}


@pages.get("")
@access(*OPERATIONS)
def index() -> ResponseReturnValue:
    """List endpoints and mailboxes with their last call."""
    with app_context().read() as session:
        doors, boxes = ways.list_ways(session, WebhookEndpoint), ways.list_ways(session, BounceMailbox)
    return render_template("admin/bounces/ways_in.html", doors=doors, boxes=boxes)


@pages.get("/endpoints/new")
@access(*OPERATIONS)
def new_endpoint() -> ResponseReturnValue:
    """Show an empty form."""
    return render_template("admin/bounces/endpoint_new.html", providers=list(Provider), needs_key=NEEDS_KEY, values={})


@pages.post("/endpoints")
@access(*OPERATIONS)
def create_endpoint() -> ResponseReturnValue:
    """Let a provider call."""
    values = {name: form_text(name) for name in ("provider", "name")}
    try:
        row = endpoints.add_endpoint(app_context(), **values, key=form_text("key"), by=who().id)
    except MailerError as error:
        return page_with_problems(
            "admin/bounces/endpoint_new.html", error, providers=list(Provider), needs_key=NEEDS_KEY, values=values
        )
    return done(_("Now enter its address at the provider."), url_for("ways_in.show_endpoint", public_id=row.public_id))


@pages.get("/endpoints/<uuid:public_id>")
@access(*OPERATIONS)
def show_endpoint(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show an endpoint: the address to be entered at the provider, and its last call."""
    ctx = app_context()
    with ctx.read() as session:
        row = ways.get_way(session, WebhookEndpoint, public_id)
    return render_template(
        "admin/bounces/endpoint.html", row=row, address=endpoints.shown_address(ctx, row),
        takes_key=row.provider in NEEDS_KEY or row.provider == Provider.SES, problems=(),
    )  # fmt: skip


@pages.post("/endpoints/<uuid:public_id>/key")
@access(*OPERATIONS)
def change_key(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change the key that a provider signs with."""
    endpoints.change_key(app_context(), public_id, form_text("key"), by=who().id)
    return done(_("Saved."), url_for("ways_in.show_endpoint", public_id=public_id))


@pages.get("/mailboxes/new")
@access(*OPERATIONS)
def new_mailbox() -> ResponseReturnValue:
    """Show an empty form."""
    return render_template("admin/bounces/mailbox.html", row=None, values=_DEFAULTS, securities=SECURITIES)


@pages.post("/mailboxes")
@access(*OPERATIONS)
def create_mailbox() -> ResponseReturnValue:
    """Fetch from a mailbox."""
    values = {name: form_text(name) for name in _FIELDS}
    try:
        row = mailboxes.add_mailbox(app_context(), MailboxValues(**values, password=form_text("password")), by=who().id)
    except MailerError as error:
        return page_with_problems("admin/bounces/mailbox.html", error, row=None, values=values, securities=SECURITIES)
    return done(_("“%(name)s” is read from now on. Try it.", name=row.name), url_for("ways_in.index"))


@pages.get("/mailboxes/<uuid:public_id>")
@access(*OPERATIONS)
def show_mailbox(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a mailbox; its password stays hidden."""
    with app_context().read() as session:
        row = ways.get_way(session, BounceMailbox, public_id)
    values = {name: str(getattr(row, name)) for name in _FIELDS}
    return render_template("admin/bounces/mailbox.html", row=row, values=values, securities=SECURITIES)


@pages.post("/mailboxes/<uuid:public_id>")
@access(*OPERATIONS)
def save_mailbox(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change a mailbox."""
    values = {name: form_text(name) for name in _FIELDS}
    with app_context().read() as session:
        row = ways.get_way(session, BounceMailbox, public_id)
    try:
        mailboxes.change_mailbox(
            app_context(), public_id, MailboxValues(**values, password=form_text("password")), by=who().id
        )
    except MailerError as error:
        return page_with_problems("admin/bounces/mailbox.html", error, row=row, values=values, securities=SECURITIES)
    return done(_("Saved."), url_for("ways_in.index"))


@pages.post("/mailboxes/<uuid:public_id>/poll")
@access(*OPERATIONS)
def poll_mailbox(public_id: uuid.UUID) -> ResponseReturnValue:
    """Fetch at once, and say what the server said."""
    try:
        count = mailboxes.poll_now(app_context(), public_id)
    except MailerError as error:
        return done(error.message, url_for("ways_in.index"), kind="danger")
    return done(ngettext("%(num)d mail was fetched.", "%(num)d mails were fetched.", count), url_for("ways_in.index"))


@pages.post("/<any(endpoints,mailboxes):kind>/<uuid:public_id>/enable")
@access(*OPERATIONS)
def enable(kind: str, public_id: uuid.UUID) -> ResponseReturnValue:
    """Switch an endpoint or a mailbox on or off."""
    is_enabled = form_text("on") == "1"
    if kind == "endpoints":
        ways.enable_way(app_context(), WebhookEndpoint, public_id, is_enabled=is_enabled, by=who().id)
        said = _("It takes calls.") if is_enabled else _("It takes no calls.")
    else:
        ways.enable_way(app_context(), BounceMailbox, public_id, is_enabled=is_enabled, by=who().id)
        said = _("It is read.") if is_enabled else _("It is left alone.")
    return done(said, url_for("ways_in.index"))


@pages.post("/<any(endpoints,mailboxes):kind>/<uuid:public_id>/remove")
@access(*OPERATIONS)
def remove(kind: str, public_id: uuid.UUID) -> ResponseReturnValue:
    """End an address, or leave a mailbox, for good."""
    if kind == "endpoints":
        ways.end_way(app_context(), WebhookEndpoint, public_id, by=who().id)
        return done(_("Its address is no more."), url_for("ways_in.index"))
    ways.end_way(app_context(), BounceMailbox, public_id, by=who().id)
    return done(_("It is gone, and its password with it."), url_for("ways_in.index"))
