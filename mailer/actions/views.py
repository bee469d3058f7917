"""Bulk tasks on the members of a segment (FEATURES S17)."""

import uuid
from datetime import date

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.actions import service
from mailer.errors import InputError
from mailer.segments.queries import get_by_public_id
from mailer.web.access import MARKETING, access, who
from mailer.web.requests import app_context, done, form_text

pages = Blueprint("bulk", __name__, url_prefix="/segments")


@pages.post("/<uuid:public_id>/follow-ups")
@access(*MARKETING)
def follow_ups(public_id: uuid.UUID) -> ResponseReturnValue:
    """Create a follow-up task for each member."""
    ctx = app_context()
    with ctx.read() as session:
        segment = get_by_public_id(session, public_id)
    text = form_text("due_on")
    try:
        due_on = date.fromisoformat(text)
    except ValueError as error:
        raise InputError(_("not a day: %(text)s", text=text), where="due_on", mend="2026-12-31") from error
    owner = form_text("owner")
    made = service.create_follow_ups(
        ctx,
        segment.id,
        title=form_text("title"),
        due_on=due_on,
        kind=form_text("kind") or "to_do",
        note=form_text("note"),
        owner_id=int(owner) if owner.isdecimal() else None,
        by=who().id,
        dedupe=form_text("once"),
    )
    return done(
        ngettext("%(num)d task created.", "%(num)d tasks created.", made), url_for("followups.index", whose="all")
    )
