"""Who clicked a link of a campaign, and what its clicks set off (FEATURES L5)."""

import uuid
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from mailer.actions.clickers import add_clickers
from mailer.actions.queries import RunLine, count_outcomes, list_actions, list_runs, load_names
from mailer.actions.service import try_again
from mailer.campaigns.queries import get_by_public_id
from mailer.delivery.queries import get_sending
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.reports.clickers import ClickLine, Key, get_link, list_clicks
from mailer.schema.actions import ACTION_RUN_STATES
from mailer.schema.campaigns import Campaign
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Sending
from mailer.segments import members
from mailer.segments.service import create_static
from mailer.segments.visibility import get_visible, list_visible, make_viewer
from mailer.statuses import SegmentKind
from mailer.web.access import MARKETING, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text

pages = Blueprint("clickers", __name__, url_prefix="/campaigns/<uuid:public_id>")


@pages.get("/links/<int:ordinal>")
@access()
def show(public_id: uuid.UUID, ordinal: int) -> ResponseReturnValue:
    """List the clicks on a link, people's or, by `?by=machines`, all others."""
    by_people = request.args.get("by") != "machines"
    with app_context().read() as session:
        campaign, sending = _sent(session, public_id)
        link = get_link(session, sending.id, ordinal)
        lines = list_clicks(session, sending.id, link.id, by_people=by_people, before=_read_key(), limit=PAGE_SIZE + 1)
        return render_template(
            "admin/reports/clickers.html",
            campaign=campaign,
            link=link,
            by_people=by_people,
            page=cut_page(lines, _key),
            segments=_pickable(session),
            outcomes=_outcomes(session, link),
        )


@pages.post("/links/<int:ordinal>/segment")
@access(*MARKETING)
def to_segment(public_id: uuid.UUID, ordinal: int) -> ResponseReturnValue:
    """Add everybody who clicked to a static segment, an old one or a new one."""
    ctx = app_context()
    with ctx.read() as session:
        _campaign, sending = _sent(session, public_id)
        link = get_link(session, sending.id, ordinal)
    segment_id = _chosen_segment()
    count = add_clickers(ctx, sending.id, link.id, segment_id, by=who().id)
    with ctx.read() as session:
        segment = members.require_static(session, segment_id)
    text = ngettext("%(num)d person is new in it.", "%(num)d people are new in it.", count)
    return done(f"{segment.name}: {text}", url_for("segments.show", public_id=segment.public_id))


@pages.get("/actions")
@access()
def actions(public_id: uuid.UUID) -> ResponseReturnValue:
    """List what clicks set off, with its outcome, by `?state=`."""
    state = request.args.get("state", "")
    state = state if state in ACTION_RUN_STATES else ""
    with app_context().read() as session:
        campaign, sending = _sent(session, public_id)
        version_id = sending.content_version_id
        lines = list_runs(session, version_id=version_id, state=state, before_id=page_key(), limit=PAGE_SIZE + 1)
        return render_template(
            "admin/reports/actions.html",
            campaign=campaign,
            page=cut_page(lines, _run_key),
            state=state,
            states=ACTION_RUN_STATES,
            names=load_names(session, list_actions(session, version_id)),
        )


@pages.post("/actions/again")
@access(*MARKETING)
def again(public_id: uuid.UUID) -> ResponseReturnValue:
    """Have actions that were refused or failed tried again."""
    chosen = [int(text) for text in request.form.getlist("run") if text.isdecimal() and len(text) < 19]  # noqa: PLR2004 - 63 bits
    count = try_again(app_context(), chosen[:PAGE_SIZE], by=who().id)
    text = ngettext("%(num)d action is tried again.", "%(num)d actions are tried again.", count)
    return done(text, url_for("clickers.actions", public_id=public_id))


def _sent(session: Session, public_id: uuid.UUID) -> tuple[Campaign, Sending]:
    campaign = get_by_public_id(session, public_id)
    if campaign.sending_id is None:
        raise NotFoundError("this campaign was not sent yet")
    return campaign, get_sending(session, campaign.sending_id)


def _pickable(session: Session) -> list[Any]:
    viewer = make_viewer(who().id, who().role)
    return [one for one in list_visible(session, viewer) if one.kind == SegmentKind.STATIC]


def _chosen_segment() -> int:
    """Return the segment that was chosen, or make the one that was named."""
    ctx = app_context()
    if name := form_text("name"):
        return create_static(ctx, name, by=who().id).id
    try:
        public_id = uuid.UUID(form_text("segment"))
    except ValueError as error:
        raise InputError(_("choose a segment, or name a new one"), where="segment") from error
    with ctx.read() as session:
        segment = get_visible(session, public_id, make_viewer(who().id, who().role))
        if segment.kind != SegmentKind.STATIC:
            raise ConflictError(_("this segment is not a list"))
        return segment.id


def _outcomes(session: Session, link: TrackedLink) -> list[dict[str, Any]]:
    """Return the actions of a link in words, with how many runs are in each state."""
    found = [one for one in list_actions(session, link.content_version_id) if one.tracked_link_id == link.id]
    names, counts = load_names(session, found), count_outcomes(session, link.content_version_id)
    return [
        {
            "kind": one.kind,
            "what": names.of(one.params),
            "ends_at": one.ends_at,
            "counts": {state: counts.get((one.id, state), 0) for state in ACTION_RUN_STATES},
        }
        for one in found
    ]


def _read_key() -> Key | None:
    at, _mark, number = request.args.get("after", "").rpartition("~")
    try:
        moment = datetime.fromisoformat(at)
        return (moment, int(number)) if moment.tzinfo and len(number) < 19 else None  # noqa: PLR2004 - 63 bits
    except ValueError:
        return None


def _key(line: ClickLine) -> str:
    return f"{line.key[0].isoformat()}~{line.key[1]}"


def _run_key(line: RunLine) -> int:
    return line.id
