"""The dashboard: tiles, running campaigns, rates against their limits, my follow-ups, first steps."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.transports import list_relays
from mailer.followups.queries import Filter, count_open, list_follow_ups
from mailer.reports import campaign_figures, figures
from mailer.reputation.policy import Counts, Figure, share_of
from mailer.reputation.queries import list_days, load_limits
from mailer.web.access import access, who
from mailer.web.formats import zone_name
from mailer.web.requests import app_context

pages = Blueprint("dashboard", __name__, url_prefix="/dashboard")
_TASKS_SHOWN = 6


@pages.get("")
@access()
def show() -> ResponseReturnValue:
    """Show where everything stands."""
    ctx = app_context()
    today = ctx.clock.today(zone_name())
    with ctx.read() as session:
        days, limits = list_days(session, utc_now()), load_limits(session)
        mine = Filter(owner_id=who().id)
        values = {
            "overview": figures.get_overview(session),
            "running": campaign_figures.list_running(session),
            "tasks": list_follow_ups(session, mine, limit=_TASKS_SHOWN),
            "counts": count_open(session, today, mine),
            "steps": figures.get_real_use(session, has_transport=has_own_transport(session, ctx)),
        }
    month = sum((counts for _day, counts in days), Counts())
    return render_template(
        "admin/reports/dashboard.html",
        today=today,
        now=ctx.clock.now(),
        limits=limits,
        shares={
            "hard": share_of(*month.part_of(Figure.HARD)),
            "complaints": share_of(*month.part_of(Figure.COMPLAINTS)),
        },
        hard_plot=rate_plot(days, Figure.HARD, limits.hard_pause),
        complaint_plot=rate_plot(days, Figure.COMPLAINTS, limits.complaint_throttle),
        **values,
    )


@pages.get("/running")
@access()
def running() -> ResponseReturnValue:
    """Return the running campaigns as a fragment that refreshes itself."""
    with app_context().read() as session:
        lines = campaign_figures.list_running(session)
    return render_template("admin/reports/running.html", running=lines)


def has_own_transport(session: Session, ctx: Context) -> bool:
    """Return whether mail leaves through a server of one's own, not the catcher."""
    return any(not one.is_embedded for one in list_relays(session, ctx))


def rate_plot(days: Sequence[tuple[date, Counts]], figure: Figure, limit: float) -> dict[str, Any]:
    """Return the plot of a daily rate in per cent with its limit as a line."""
    values = [round(100 * share_of(*counts.part_of(figure)), 3) for _day, counts in days]
    names = {
        Figure.HARD: _("Hard bounces"),
        Figure.COMPLAINTS: _("Complaints"),
        Figure.UNSUBSCRIBES: _("Unsubscribed"),
    }
    return {
        "kind": "line",
        "unit": " %",
        "axis": _("Day"),
        "labels": [day.isoformat()[5:] for day, _counts in days],
        "series": [{"name": names[figure], "values": values}],
        "limit": limit * 100,
        "limit_label": _("limit %(limit)g %%", limit=round(limit * 100, 3)),
        "max": round(max(limit * 150, *values), 2) if values else limit * 150,
    }
