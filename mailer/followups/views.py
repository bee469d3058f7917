"""Pages of follow-up tasks: mine or all, done with an outcome, snoozed, handed over."""

import uuid
from datetime import date

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.accounts.queries import list_staff
from mailer.errors import InputError
from mailer.followups import queries, service
from mailer.followups.queries import FollowUpLine
from mailer.schema.followups import OUTCOMES
from mailer.statuses import FollowUpStatus
from mailer.web.access import access, who
from mailer.web.formats import zone_name
from mailer.web.paging import PAGE_SIZE, cut_page
from mailer.web.requests import app_context, done, form_text

pages = Blueprint("followups", __name__, url_prefix="/follow-ups")


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List tasks by due date; `?whose=all` shows everybody's, `?status=done` the closed ones."""
    whose = "all" if request.args.get("whose") == "all" else "mine"
    status = FollowUpStatus.DONE if request.args.get("status") == "done" else FollowUpStatus.OPEN
    owner_id = None if whose == "all" else who().id
    ctx = app_context()
    today = ctx.clock.today(zone_name())
    with ctx.read() as session:
        lines = queries.list_follow_ups(
            session, owner_id=owner_id, status=status, after=_page_key(), limit=PAGE_SIZE + 1
        )
        counts = {
            "mine": queries.count_open(session, today, owner_id=who().id),
            "all": queries.count_open(session, today),
        }
        people = list_staff(session)
    return render_template(
        "admin/followups/index.html",
        page=cut_page(lines, _line_key),
        whose=whose,
        status=status.value,
        counts=counts,
        people=people,
        today=today,
        outcomes=[word for word in OUTCOMES if word],
    )


@pages.post("/<uuid:public_id>/done")
@access()
def complete(public_id: uuid.UUID) -> ResponseReturnValue:
    """Close a task with an outcome."""
    service.complete(app_context(), public_id, form_text("outcome"))
    return done(_("Done."), _back())


@pages.post("/<uuid:public_id>/reopen")
@access()
def reopen(public_id: uuid.UUID) -> ResponseReturnValue:
    """Open a closed task again."""
    service.reopen(app_context(), public_id)
    return done(_("The task is open again."), _back())


@pages.post("/<uuid:public_id>/snooze")
@access()
def snooze(public_id: uuid.UUID) -> ResponseReturnValue:
    """Move a task by working days, or to a day."""
    text = form_text("until")
    try:
        until = date.fromisoformat(text)
    except ValueError as error:
        raise InputError(_("not a day: %(text)s", text=text), where="until", mend="2026-12-31") from error
    service.snooze(app_context(), public_id, until)
    return done(_("Moved to %(day)s.", day=until.isoformat()), _back())


@pages.post("/<uuid:public_id>/owner")
@access()
def reassign(public_id: uuid.UUID) -> ResponseReturnValue:
    """Hand a task to somebody else."""
    text = form_text("owner")
    if not text.isdecimal():
        raise InputError(_("choose a person"), where="owner")
    service.reassign(app_context(), public_id, int(text))
    return done(_("Handed over."), _back())


def _back() -> str:
    wanted = form_text("back")
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else url_for("followups.index")


def _page_key() -> tuple[date, int] | None:
    day, _sep, number = request.args.get("after", "").partition("_")
    try:
        return (date.fromisoformat(day), int(number)) if number.isdecimal() else None
    except ValueError:
        return None


def _line_key(line: FollowUpLine) -> str:
    return f"{line.task.due_on.isoformat()}_{line.task.id}"
