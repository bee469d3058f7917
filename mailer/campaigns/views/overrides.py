"""The page of a campaign's override: a right of its own, with a reason and, for many people, a second person."""

import uuid
from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.campaigns import overriding, queries
from mailer.campaigns.drafts import EDITABLE
from mailer.consent.overrides import ALONE
from mailer.errors import MailerError
from mailer.statuses import Role
from mailer.web.access import access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("override", __name__, url_prefix="/campaigns/<uuid:public_id>/override")


@pages.get("")
@access(Role.APPROVER)
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show whom an override would reach, and what was asked for."""
    return render_template("admin/campaigns/override.html", **_values(public_id))


@pages.post("")
@access(Role.APPROVER)
def ask(public_id: uuid.UUID) -> ResponseReturnValue:
    """Ask for one; it counts at once for few people."""
    try:
        made = overriding.request_override(app_context(), _id_of(public_id), form_text("reason"), by=who().id)
    except MailerError as error:
        return page_with_problems("admin/campaigns/override.html", error, **_values(public_id))
    text = _("The override counts.") if made.approved_at else _("Asked for. A second person has to agree.")
    return done(text, url_for("override.show", public_id=public_id))


@pages.post("/<uuid:override_id>/approve")
@access(Role.APPROVER)
def approve(public_id: uuid.UUID, override_id: uuid.UUID) -> ResponseReturnValue:
    """Agree as the second person."""
    overriding.approve_override(app_context(), _id_of(public_id), override_id, by=who().id)
    return done(_("The override counts."), url_for("override.show", public_id=public_id))


@pages.post("/<uuid:override_id>/end")
@access(Role.APPROVER)
def end(public_id: uuid.UUID, override_id: uuid.UUID) -> ResponseReturnValue:
    """Take it back."""
    overriding.end_override(app_context(), _id_of(public_id), override_id, by=who().id)
    return done(_("Taken back. No later message goes by it."), url_for("override.show", public_id=public_id))


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return queries.get_by_public_id(session, public_id).id


def _values(public_id: uuid.UUID) -> dict[str, Any]:
    ctx = app_context()
    with ctx.read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        lines = overriding.list_lines(session, campaign.id)
    is_open = campaign.status in EDITABLE and not any(line.row.ended_at is None for line in lines)
    missing, named = overriding.count_missing(ctx, campaign.id) if campaign.status in EDITABLE else (0, 0)
    return {
        "campaign": campaign, "lines": lines, "is_open": is_open, "missing": missing, "named": named, "alone": ALONE,
    }  # fmt: skip
