"""Pages of a watched segment: its size over time, who entered and left, and the switch of the watch."""

import uuid
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.clock import utc_now
from mailer.schema.segments import Segment
from mailer.segments.history import queries, watch
from mailer.segments.history.look import look as look_now
from mailer.segments.history.queries import HistoryLine
from mailer.segments.views.causes import cause_words
from mailer.segments.views.live import viewer
from mailer.segments.visibility import get_visible
from mailer.statuses import SegmentChange
from mailer.web.access import MARKETING, access, who
from mailer.web.formats import zone_name
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done

pages = Blueprint("segment_history", __name__, url_prefix="/segments")
SPANS = (1, 7, 30, 90, 365)
_DAYS = 30


@pages.get("/<uuid:public_id>/history")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show size over time and who came and went; `?days=`, `?kind=` and `?q=` choose."""
    kind = request.args.get("kind", "")
    kind = kind if kind in set(SegmentChange) else ""
    search = request.args.get("q", "").strip()[:100]
    days = int(request.args.get("days", "") or _DAYS) if request.args.get("days", "").isdecimal() else _DAYS
    days = days if days in SPANS else _DAYS
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        since = utc_now() - timedelta(days=days)
        lines = queries.list_events(
            session, segment.id, kind=kind, search=search, before_id=page_key(), limit=PAGE_SIZE + 1
        )
        sizes = queries.list_sizes(session, segment.id, since, utc_now())
        entered, left = queries.count_events(session, segment.id, since)
        values = {
            "segment": segment,
            "watch": queries.find_watch(session, segment.id),
            "page": cut_page(lines, _key),
            "causes": cause_words(session, [line.cause for line in lines]),
            "plot": make_plot(sizes, is_hourly=days <= 2),  # noqa: PLR2004 - as list_sizes does
        }
    return render_template(
        "admin/segments/history.html", **values, kind=kind, search=search, days=days, spans=SPANS,
        entered=entered, left=left,
    )  # fmt: skip


@pages.get("/<uuid:public_id>/history/panel")
@access()
def panel(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the figures of the last 30 days as a fragment, for the segment's own page."""
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        since = utc_now() - timedelta(days=_DAYS)
        entered, left = queries.count_events(session, segment.id, since)
        found = queries.find_watch(session, segment.id)
        lines = queries.list_events(session, segment.id, limit=5)
        causes = cause_words(session, [line.cause for line in lines])
    return render_template(
        "admin/segments/history_recent.html", segment=segment, watch=found, entered=entered, left=left, lines=lines,
        causes=causes,
    )  # fmt: skip


@pages.post("/<uuid:public_id>/watch")
@access(*MARKETING)
def begin(public_id: uuid.UUID) -> ResponseReturnValue:
    """Watch a segment from now on."""
    segment = _segment(public_id)
    watch.watch(app_context(), segment.id, by=who().id)
    return done(_("Watched from now on. Who is in now did not enter."), _page(public_id))


@pages.post("/<uuid:public_id>/unwatch")
@access(*MARKETING)
def end(public_id: uuid.UUID) -> ResponseReturnValue:
    """End the watch."""
    segment = _segment(public_id)
    watch.unwatch(app_context(), segment.id, by=who().id)
    return done(_("No longer watched. What was recorded stays."), _page(public_id))


@pages.post("/<uuid:public_id>/look")
@access(*MARKETING)
def look(public_id: uuid.UUID) -> ResponseReturnValue:
    """Look at once."""
    seen = look_now(app_context(), _segment(public_id).id)
    if seen is None:
        return done(_("Somebody is looking just now; come back in a moment."), _page(public_id), kind="warning")
    text = _("%(entered)s entered, %(left)s left since the last look.", entered=seen.entered, left=seen.left)
    return done(text, _page(public_id))


def make_plot(sizes: list[tuple[datetime, int]], *, is_hourly: bool) -> dict[str, object] | None:
    """Return what a plot of sizes needs; None where there is nothing to draw."""
    if not sizes:
        return None
    zone, shape = ZoneInfo(zone_name()), "%H:%M" if is_hourly else "%d %b"
    return {
        "kind": "line",
        "axis": _("Hour") if is_hourly else _("Day"),
        "labels": [at.astimezone(zone).strftime(shape) for at, _members in sizes],
        "series": [{"name": _("Members"), "values": [members for _at, members in sizes]}],
        "unit": "",
    }


def _segment(public_id: uuid.UUID) -> Segment:
    with app_context().read() as session:
        return get_visible(session, public_id, viewer())


def _key(line: HistoryLine) -> int:
    return line.id


def _page(public_id: uuid.UUID) -> str:
    return url_for("segment_history.show", public_id=public_id)
