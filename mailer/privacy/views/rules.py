"""Pages of retention and of incidents; for admins."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from flask import Blueprint, Response, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.accounts.control import change_settings
from mailer.errors import InputError, MailerError
from mailer.privacy.incident import Question, iter_touched, list_choices, write_csv
from mailer.privacy.queries import find_last_night
from mailer.privacy.retention import RULES, preview_retention
from mailer.privacy.views.words import LIMIT_WORDS
from mailer.statuses import Role
from mailer.web.access import access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems
from mailer.workspace.limits import LIMITS
from mailer.workspace.queries import get_workspace

retention_pages = Blueprint("retention", __name__, url_prefix="/privacy/retention")
incident_pages = Blueprint("incident", __name__, url_prefix="/privacy/incident")
_NAMES = tuple(rule.limit for rule in RULES)


@retention_pages.get("")
@access(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show the rules, their reasons, and what would go now."""
    return render_template("admin/privacy/retention.html", **_rules())


@retention_pages.post("")
@access(Role.ADMIN)
def save() -> ResponseReturnValue:
    """Change the values; what they mean is shown at once."""
    ctx = app_context()
    typed = {name: form_text(name) for name in _NAMES}
    with ctx.read() as session:
        limits = get_workspace(session).limits
    try:
        change_settings(ctx, by=who().id, limits={**limits, **typed})
    except MailerError as error:
        return page_with_problems("admin/privacy/retention.html", error, **(_rules() | {"typed": typed}))
    return done(_("Saved. This is what would go tonight."), url_for("retention.show"))


def _rules() -> dict[str, Any]:
    ctx = app_context()
    due = preview_retention(ctx)
    with ctx.read() as session:
        night = find_last_night(session)
    limits = {limit.name: limit for limit in LIMITS}
    typed = {one.limit: f"{one.value:g}" for one in due}
    return {"due": due, "limits": limits, "typed": typed, "night": night, "WORDS": LIMIT_WORDS}


@incident_pages.get("", endpoint="show")
@access(Role.ADMIN)
def show_incident() -> ResponseReturnValue:
    """Ask who was touched by what."""
    with app_context().read() as session:
        choices = list_choices(session)
    return render_template("admin/privacy/incident.html", choices=choices, values={"what": "campaign"})


@incident_pages.post("", endpoint="download")
@access(Role.ADMIN)
def download_incident() -> ResponseReturnValue:
    """Return who was touched as CSV."""
    ctx = app_context()
    what, number = form_text("what"), form_text(form_text("what") or "campaign")
    try:
        rows = iter_touched(ctx, _question(what, number, form_text("on")), by=who().id)
    except MailerError as error:
        with ctx.read() as session:
            choices = list_choices(session)
        values = {"what": what, what: number, "on": form_text("on")}
        return page_with_problems("admin/privacy/incident.html", error, choices=choices, values=values)
    response = Response(_stream(rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="touched-{what}-{number}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _stream(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield from write_csv(rows)


def _question(what: str, number: str, on: str) -> Question:
    if what not in ("campaign", "import", "segment") or not number.isdecimal():
        raise InputError(_("choose a campaign, an import or a segment"), where="what")
    try:
        day = date.fromisoformat(on) if on and what == "segment" else None
    except ValueError as error:
        raise InputError(_("this is not a day"), where="on") from error
    return Question(**{f"{what}_id": int(number)}, on=day)
