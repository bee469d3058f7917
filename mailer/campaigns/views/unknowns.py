"""Unknown messages of a campaign: what is known of each, and another copy where a person asks for it."""

import uuid

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.campaigns import queries
from mailer.campaigns.resend import resend_unknowns
from mailer.delivery.unknowns import UnknownLine, list_unknowns
from mailer.errors import InputError
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done

pages = Blueprint("unknowns", __name__, url_prefix="/campaigns/<uuid:public_id>/unknown")

_DIGITS = 19


@pages.get("")
@access()
def index(public_id: uuid.UUID) -> ResponseReturnValue:
    """List them, in pages."""
    with app_context().read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        lines = (
            list_unknowns(session, campaign.sending_id, after_id=page_key() or 0, limit=PAGE_SIZE + 1)
            if campaign.sending_id
            else []
        )
    return render_template("admin/campaigns/unknowns.html", campaign=campaign, page=cut_page(lines, _key))


@pages.post("/resend")
@access(*MARKETING, *OPERATIONS)
def resend(public_id: uuid.UUID) -> ResponseReturnValue:
    """Send the chosen ones again."""
    chosen = [request.args["only"]] if "only" in request.args else request.form.getlist("message")
    ids = [int(text) for text in chosen if text.isdecimal() and len(text) < _DIGITS]
    if not ids:
        raise InputError(_("choose at least one message"), where="message")
    ctx = app_context()
    with ctx.read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        own = queries.keep_own_messages(session, campaign, ids)
    resent = resend_unknowns(ctx, own, by=who().id)
    text = ngettext("%(num)d mail is sent again.", "%(num)d mails are sent again.", len(resent.queued))
    if resent.refused:
        refused = ngettext("%(num)d was left alone", "%(num)d were left alone", len(resent.refused))
        text = f"{text} {refused}: {', '.join(sorted(set(resent.refused.values())))}."
    kind = "success" if resent.queued else "warning"
    return done(text, url_for("unknowns.index", public_id=public_id), kind=kind)


def _key(line: UnknownLine) -> int:
    return line.message_id
