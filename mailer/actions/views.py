"""Pages of actions: what could not be done, over all campaigns, and the webhooks that links may call."""

import uuid

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.actions import queries, webhooks
from mailer.actions.service import try_again
from mailer.errors import MailerError
from mailer.schema.content import LinkAction
from mailer.statuses import Role
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("actions", __name__, url_prefix="/actions")
webhook_pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def index() -> ResponseReturnValue:
    """List the actions that were refused or failed."""
    with app_context().read() as session:
        lines = queries.list_not_done(session, before_id=page_key(), limit=PAGE_SIZE + 1)
        shown = [LinkAction(params=dict(line.params)) for line in lines]
        return render_template(
            "admin/actions/index.html",
            page=cut_page(lines, _key),
            names=queries.load_names(session, shown),
            may_act=who().has_role(*MARKETING, *OPERATIONS),
        )


@pages.post("/again")
@access(*MARKETING, *OPERATIONS)
def again() -> ResponseReturnValue:
    """Have the marked actions tried again."""
    chosen = [int(text) for text in request.form.getlist("run") if text.isdecimal() and len(text) < 19]  # noqa: PLR2004 - 63 bits
    count = try_again(app_context(), chosen[:PAGE_SIZE], by=who().id)
    text = ngettext("%(num)d action is tried again.", "%(num)d actions are tried again.", count)
    return done(text, url_for("actions.index"))


@webhook_pages.get("")
@access(Role.ADMIN)
def index_webhooks() -> ResponseReturnValue:
    """List the webhooks in use."""
    with app_context().read() as session:
        found = queries.list_webhooks(session)
    return render_template("admin/actions/webhooks.html", webhooks=found, values={}, secret="")


@webhook_pages.post("")
@access(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Add a webhook; its secret is shown on the page that answers, and never again."""
    ctx = app_context()
    try:
        _public_id, secret = webhooks.create_webhook(ctx, form_text("name"), form_text("url"), by=who().id)
    except MailerError as error:
        with ctx.read() as session:
            found = queries.list_webhooks(session)
        return page_with_problems("admin/actions/webhooks.html", error, webhooks=found, values=request.form, secret="")
    with ctx.read() as session:
        found = queries.list_webhooks(session)
    return render_template("admin/actions/webhooks.html", webhooks=found, values={}, secret=secret)


@webhook_pages.post("/<uuid:public_id>/archive")
@access(Role.ADMIN)
def archive(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take a webhook out of use."""
    webhooks.archive_webhook(app_context(), public_id, by=who().id)
    return done(_("Nothing calls it any more."), url_for("webhooks.index_webhooks"))


def _key(line: queries.RunLine) -> int:
    return line.id
