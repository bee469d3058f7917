"""Reports that came back: the list, one with its raw mail, and what a person teaches about it."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.bounces import queries, teaching
from mailer.schema.bounces import REPORT_STATES, BounceReport
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text

pages = Blueprint("bounces", __name__, url_prefix="/bounces/reports")
UNREAD = "to_teach"


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def index() -> ResponseReturnValue:
    """List reports, newest first."""
    chosen = request.args.get("state", "")
    with app_context().read() as session:
        waiting = teaching.count_unrecognized(session)
        if chosen == UNREAD:
            rows = teaching.list_unrecognized(session, before=page_key(), limit=PAGE_SIZE + 1)
        else:
            state = chosen if chosen in REPORT_STATES else None
            rows = queries.list_reports(session, before=page_key(), state=state, limit=PAGE_SIZE + 1)
    return render_template(
        "admin/bounces/index.html", page=cut_page(rows, _key), chosen=chosen, states=REPORT_STATES, waiting=waiting,
        UNREAD=UNREAD,
    )  # fmt: skip


@pages.get("/<int:report_id>")
@access(*MARKETING, *OPERATIONS)
def show(report_id: int) -> ResponseReturnValue:
    """Show one report: what was read out of it, and the mail as it came."""
    with app_context().read() as session:
        report = queries.get_report(session, report_id)
    raw = (report.raw or b"").decode("utf-8", "backslashreplace")
    may_teach = report.wording is not None and report.raw is not None
    return render_template(
        "admin/bounces/show.html", report=report, raw=raw, may_teach=may_teach, verdicts=teaching.TEACHABLE
    )


@pages.post("/<int:report_id>/teach")
@access(*OPERATIONS)
def teach(report_id: int) -> ResponseReturnValue:
    """Say what a report means, and every other with the same words."""
    taught = teaching.teach(app_context(), report_id, form_text("verdict"), by=who().id)
    text = ngettext("%(num)d report is read again with it.", "%(num)d reports are read again with it.", taught.again)
    if taught.lifted:
        lifted = ngettext("%(num)d suppression was lifted.", "%(num)d suppressions were lifted.", taught.lifted)
        text = f"{text} {lifted}"
    return done(text, url_for("bounces.show", report_id=report_id))


@pages.get("/lessons")
@access(*MARKETING, *OPERATIONS)
def lessons() -> ResponseReturnValue:
    """List what was taught."""
    with app_context().read() as session:
        rows = teaching.list_lessons(session)
    return render_template("admin/bounces/lessons.html", rows=rows)


@pages.post("/lessons/<int:lesson_id>/forget")
@access(*OPERATIONS)
def forget(lesson_id: int) -> ResponseReturnValue:
    """Take a lesson back."""
    teaching.forget(app_context(), lesson_id, by=who().id)
    return done(_("Forgotten. What it decided stays as it is."), url_for("bounces.lessons"))


def _key(report: BounceReport) -> int:
    return report.id
