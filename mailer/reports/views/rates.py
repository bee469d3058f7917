"""Bounces and rates: today's state of deliverability by day and by mailbox provider."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from mailer.reports import figures
from mailer.reports.figures import COMPLAINT_LIMIT, HARD_LIMIT
from mailer.reports.views.dashboard import rate_plot
from mailer.reputation.queries import worst_state
from mailer.web.access import access
from mailer.web.requests import app_context

pages = Blueprint("rates", __name__, url_prefix="/deliverability")


@pages.get("")
@access()
def show() -> ResponseReturnValue:
    """Show the rates."""
    with app_context().read() as session:
        days = figures.list_rates_by_day(session)
        providers = figures.list_rates_by_provider(session)
        overview = figures.get_overview(session)
        breaker = worst_state(session)
    return render_template(
        "admin/reports/rates.html",
        overview=overview,
        breaker=breaker.value,
        providers=providers,
        silent=[rate.name for rate in providers if rate.name not in figures.REPORTS_COMPLAINTS],
        hard_plot=rate_plot(days, "hard", HARD_LIMIT),
        complaint_plot=rate_plot(days, "complaints", COMPLAINT_LIMIT),
        HARD_LIMIT=HARD_LIMIT,
        COMPLAINT_LIMIT=COMPLAINT_LIMIT,
    )
