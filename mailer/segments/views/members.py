"""The people of a segment: found, paged; added to static ones and taken out, with a way back."""

import uuid
from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from mailer.errors import ConflictError, MailerError, NotFoundError
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments.memberlist import list_member_lines
from mailer.segments.members import add_by_addresses, put_back, take_out
from mailer.segments.views.causes import cause_words
from mailer.segments.views.live import today, viewer
from mailer.segments.visibility import get_visible
from mailer.web.access import MARKETING, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, is_fragment, problems_of

pages = Blueprint("segment_members", __name__, url_prefix="/segments")
_WAY_BACK_SECONDS = 3600


@pages.get("/<uuid:public_id>/members")
@access()
def index(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return a page of members; `?q=` finds by name, address and company."""
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        return render_template("admin/segments/members.html", segment=segment, **member_page(session, segment))


@pages.post("/<uuid:public_id>/members")
@access(*MARKETING)
def add(public_id: uuid.UUID) -> ResponseReturnValue:
    """Add people to a static segment by their addresses, one a line."""
    ctx, segment_id = app_context(), _id_of(public_id)
    lines = [line.strip() for line in form_text("emails").replace(",", "\n").splitlines() if line.strip()]
    added, unknown = add_by_addresses(ctx, segment_id, lines, by=who().id)
    text = ngettext("%(num)d person added.", "%(num)d people added.", added)
    if unknown:
        text += "\n" + _("Not found: %(list)s", list=", ".join(unknown[:10]))
    return done(text, url_for("segments.show", public_id=public_id), kind="warning" if unknown else "success")


@pages.post("/<uuid:public_id>/members/remove")
@access(*MARKETING)
def remove(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take one person out of a static segment; the answer holds the way back."""
    ctx, text = app_context(), form_text("contact")
    contact_id = int(text) if text.isdecimal() else 0
    with ctx.read() as session:
        segment = get_visible(session, public_id, viewer())
        member = session.get(SegmentMember, (segment.id, contact_id))
    removed = take_out(ctx, segment.id, [contact_id], by=who().id)
    if is_fragment() and member is not None:
        name = form_text("name")
        return render_template("admin/segments/removed.html", segment=segment, name=name, token=_way_back(member))
    words = ngettext("%(num)d person taken out.", "%(num)d people taken out.", removed)
    return done(words, url_for("segments.show", public_id=public_id))


@pages.post("/<uuid:public_id>/members/restore")
@access(*MARKETING)
def restore(public_id: uuid.UUID) -> ResponseReturnValue:
    """Put somebody back who was just taken out, with who added them, when and why."""
    ctx, segment_id = app_context(), _id_of(public_id)
    try:
        member = _signer().loads(form_text("token"), max_age=_WAY_BACK_SECONDS)
    except BadData as error:
        raise ConflictError(_("the way back is closed"), mend=_("add the person by address")) from error
    if member["segment"] != segment_id:
        raise NotFoundError(_("no such segment"))
    added_at = datetime.fromisoformat(member["at"])
    put_back(ctx, segment_id, [(member["contact"], added_at, member["by"], member["cause"])], by=who().id)
    return done(_("Back on the list."), url_for("segments.show", public_id=public_id))


def member_page(session: Session, segment: Segment) -> dict[str, Any]:
    """Return what the list of members shows; a problem where the segment cannot be asked."""
    search = request.args.get("q", "").strip()[:200]
    try:
        lines = list_member_lines(session, segment, today(), search=search, before_id=page_key(), limit=PAGE_SIZE + 1)
    except MailerError as error:
        return {"members": None, "search": search, "member_problems": problems_of(error)}
    causes = cause_words(session, (line.cause for line in lines))
    return {"members": cut_page(lines, lambda line: line.id), "causes": causes, "search": search, "member_problems": []}


def _way_back(member: SegmentMember) -> str:
    added = {"at": member.added_at.isoformat(), "by": member.added_by, "cause": member.cause}
    return _signer().dumps({"segment": member.segment_id, "contact": member.contact_id, **added})


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="segment-member")


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return get_visible(session, public_id, viewer()).id
