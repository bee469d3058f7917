"""The properties of a segment: name, description, owner, who sees it; archive, bring back, copy its members."""

import uuid

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.accounts.queries import list_staff
from mailer.errors import MailerError
from mailer.schema.segments import Segment
from mailer.segments import removal, service
from mailer.segments.uses import list_uses
from mailer.segments.views.live import viewer
from mailer.segments.visibility import Visibility, get_visible, visibility_of
from mailer.web.access import MARKETING, access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("segment_properties", __name__, url_prefix="/segments")
_FORM = "admin/segments/properties.html"


@pages.get("/<uuid:public_id>/properties")
@access(*MARKETING)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form."""
    segment = _segment(public_id)
    values = {
        "name": segment.name,
        "description": segment.description,
        "owner": segment.owner_id or "",
        "visibility": visibility_of(segment).value,
    }
    return render_template(_FORM, **_form(segment), values=values)


@pages.post("/<uuid:public_id>/properties")
@access(*MARKETING)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change them; another segment of the same name is told, not refused."""
    segment = _segment(public_id)
    values = {name: form_text(name) for name in ("name", "description", "owner", "visibility")}
    wanted = values["visibility"]
    try:
        changed = service.set_properties(
            app_context(),
            segment.id,
            name=values["name"],
            description=values["description"],
            owner_id=int(values["owner"]) if values["owner"].isdecimal() else None,
            visibility=Visibility(wanted) if wanted in set(Visibility) else None,
            by=who().id,
        )
    except MailerError as error:
        return page_with_problems(_FORM, error, **_form(segment), values=values)
    with app_context().read() as session:
        twins = service.list_twins(session, changed.name, except_id=changed.id)
    if twins:
        flash(_("Another segment is called %(name)s, too; rules and files can no longer name it.", name=changed.name),
              "warning")  # fmt: skip
    return done(_("Saved."), url_for("segments.show", public_id=public_id))


@pages.post("/<uuid:public_id>/archive")
@access(*MARKETING)
def archive(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take it out of lists."""
    removal.archive_segment(app_context(), _segment(public_id).id, by=who().id)
    return done(_("Archived. It is in no list any more; you can bring it back."), _page(public_id))


@pages.post("/<uuid:public_id>/unarchive")
@access(*MARKETING)
def unarchive(public_id: uuid.UUID) -> ResponseReturnValue:
    """Bring it back."""
    removal.archive_segment(app_context(), _segment(public_id).id, is_archived=False, by=who().id)
    return done(_("It is back in the lists."), _page(public_id))


@pages.post("/<uuid:public_id>/copy")
@access(*MARKETING)
def copy(public_id: uuid.UUID) -> ResponseReturnValue:
    """Create a static segment with the members of now."""
    segment = _segment(public_id)
    name = form_text("name") or _("%(name)s, as of today", name=segment.name)[:200]
    made = service.copy_members(app_context(), segment, name, by=who().id)
    return done(_("The members of now are copied."), _page(made.public_id))


def _segment(public_id: uuid.UUID) -> Segment:
    with app_context().read() as session:
        return get_visible(session, public_id, viewer())


def _form(segment: Segment) -> dict[str, object]:
    with app_context().read() as session:
        return {
            "segment": segment,
            "people": list_staff(session),
            "uses": [use for use in list_uses(session, segment.id) if use.is_active],
        }


def _page(public_id: uuid.UUID) -> str:
    return url_for("segments.show", public_id=public_id)
