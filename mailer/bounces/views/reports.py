"""Reports that came back: the list, one with its raw mail."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mailer.bounces import queries
from mailer.schema.bounces import REPORT_STATES, BounceReport
from mailer.web.access import MARKETING, OPERATIONS, access
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context

pages = Blueprint("bounces", __name__, url_prefix="/bounces")


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def index() -> ResponseReturnValue:
    """List reports, newest first."""
    chosen = request.args.get("state", "")
    with app_context().read() as session:
        rows = queries.list_reports(
            session, before=page_key(), state=chosen if chosen in REPORT_STATES else None, limit=PAGE_SIZE + 1
        )
    return render_template("admin/bounces/index.html", page=cut_page(rows, _key), chosen=chosen, states=REPORT_STATES)


@pages.get("/<int:report_id>")
@access(*MARKETING, *OPERATIONS)
def show(report_id: int) -> ResponseReturnValue:
    """Show one report: what was read out of it, and the mail as it came."""
    with app_context().read() as session:
        report = queries.get_report(session, report_id)
    raw = (report.raw or b"").decode("utf-8", "backslashreplace")
    return render_template("admin/bounces/show.html", report=report, raw=raw)


def _key(report: BounceReport) -> int:
    return report.id
