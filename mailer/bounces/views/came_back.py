"""What came back: the list of a campaign or of all, what can be done about the addresses, mistakes of providers."""

import csv
import io
import uuid
from collections.abc import Iterator

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.addresses import PROVIDER_NAMES
from mailer.bounces import came_back, mistakes
from mailer.bounces.came_back import COLUMNS, KINDS, Choice, Line
from mailer.bounces.words import Kind
from mailer.context import Context
from mailer.delivery.reasons import Reason
from mailer.errors import InputError
from mailer.segments.queries import get_by_public_id, list_segments
from mailer.statuses import EventKind, SegmentKind
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text

pages = Blueprint("came_back", __name__, url_prefix="/bounces")
_GUARDED = ("=", "+", "-", "@", "\t", "\r")
_REASONS = (*Reason, Kind.FEEDBACK_ABUSE, Kind.TAUGHT)


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def index() -> ResponseReturnValue:
    """List what came back, newest first."""
    choice = _choice()
    with app_context().read() as session:
        lines = came_back.list_lines(session, choice, before=page_key(), limit=PAGE_SIZE + 1)
        segments = [one for one in list_segments(session) if one.kind == SegmentKind.STATIC]
        open_incidents = mistakes.list_open(session)
        campaign = came_back.find_campaign_name(session, choice.campaign)
    return render_template(
        "admin/bounces/came_back.html", page=cut_page(lines, _key), choice=choice, kinds=KINDS, reasons=_REASONS,
        providers=PROVIDER_NAMES, segments=segments, incidents=open_incidents, campaign=campaign,
    )  # fmt: skip


@pages.get("/export")
@access(*MARKETING, *OPERATIONS)
def export() -> ResponseReturnValue:
    """Return what the filter means as CSV; no spreadsheet takes a cell for a formula."""
    response = Response(_csv(app_context(), _choice()), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="bounces.csv"'
    return response


@pages.post("/clear")
@access(*OPERATIONS)
def clear() -> ResponseReturnValue:
    """Let the chosen addresses be mailed again."""
    count = came_back.clear_flags(app_context(), _chosen(), by=who().id)
    text = ngettext("%(num)d address may be mailed again.", "%(num)d addresses may be mailed again.", count)
    return done(text if count else _("Nothing of it is staff's to lift."), _back())


@pages.post("/segment")
@access(*MARKETING)
def add_to_segment() -> ResponseReturnValue:
    """Put the chosen contacts into a segment."""
    ctx = app_context()
    try:
        public_id = uuid.UUID(form_text("segment"))
    except ValueError as error:
        raise InputError(_("choose a segment"), where="segment") from error
    with ctx.read() as session:
        segment = get_by_public_id(session, public_id)
    count = came_back.add_to_segment(ctx, _chosen(), segment.id, by=who().id)
    return done(ngettext("%(num)d contact is new in it.", "%(num)d contacts are new in it.", count), _back())


@pages.get("/mistakes")
@access(*MARKETING, *OPERATIONS)
def list_mistakes() -> ResponseReturnValue:
    """Show hours in which a provider called far too many mailboxes dead."""
    with app_context().read() as session:
        lines = [(one, mistakes.count_suspects(session, one)) for one in mistakes.list_open(session)]
        closed = mistakes.list_closed(session)
    return render_template("admin/bounces/mistakes.html", lines=lines, closed=closed)


@pages.post("/mistakes/<int:incident_id>/release")
@access(*OPERATIONS)
def release(incident_id: int) -> ResponseReturnValue:
    """Lift what a provider's mistake suppressed."""
    count = mistakes.release_incident(app_context(), incident_id, by=who().id)
    text = ngettext("%(num)d address may be mailed again.", "%(num)d addresses may be mailed again.", count)
    return done(text, url_for("came_back.list_mistakes"))


@pages.post("/mistakes/<int:incident_id>/dismiss")
@access(*OPERATIONS)
def dismiss(incident_id: int) -> ResponseReturnValue:
    """Say that the mailboxes are dead."""
    mistakes.dismiss_incident(app_context(), incident_id, by=who().id)
    return done(_("They stay suppressed; mails to the provider go on."), url_for("came_back.list_mistakes"))


def _choice() -> Choice:
    kind, campaign = request.args.get("kind", ""), request.args.get("campaign", "")
    try:
        chosen = uuid.UUID(campaign) if campaign else None
    except ValueError:
        chosen = uuid.UUID(int=0)  # no campaign has it: nothing is shown, rather than everything
    reason, provider = request.args.get("reason", ""), request.args.get("provider", "")
    return Choice(
        campaign=chosen,
        kind=EventKind(kind) if kind in KINDS else None,
        reason=reason if reason in _REASONS else "",
        provider=provider if provider in PROVIDER_NAMES else "",
        email=request.args.get("q", "").replace("\0", "").strip()[:254],
    )


def _chosen() -> list[int]:
    chosen = [int(value) for value in request.form.getlist("event") if value.isdecimal() and len(value) < 19]  # noqa: PLR2004 - 63 bits
    if not chosen:
        raise InputError(_("choose at least one line"), where="event")
    return chosen[: PAGE_SIZE * 2]


def _back() -> str:
    campaign = form_text("campaign")
    return url_for("came_back.index", campaign=campaign) if campaign else url_for("came_back.index")


def _csv(ctx: Context, choice: Choice) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for row in came_back.iter_rows(ctx, choice):
        writer.writerow([f"'{cell}" if cell.startswith(_GUARDED) else cell for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _key(line: Line) -> int:
    return line.event_id
