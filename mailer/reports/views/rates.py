"""Are we safe? Rates against their limits, what is stopped and why, the mails behind a figure, outside figures."""

import uuid
from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from mailer.campaigns.queries import get_by_public_id
from mailer.clock import utc_now
from mailer.errors import ConflictError, InputError
from mailer.reports.mails import KINDS, Choice, MailLine, list_mails
from mailer.reports.safety import get_safety
from mailer.reports.views.dashboard import rate_plot
from mailer.reputation import outside
from mailer.reputation.policy import Figure, Window
from mailer.reputation.queries import list_days, load_limits
from mailer.reputation.service import resume
from mailer.reputation.watching import release_now
from mailer.statuses import Role
from mailer.web.access import MARKETING, OPERATIONS, access, takes_upload, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("rates", __name__, url_prefix="/deliverability")
_UPLOAD_BYTES = 1024 * 1024
_SCOPES = ("sending", "domain", "provider")


@pages.get("")
@access()
def show() -> ResponseReturnValue:
    """Show where the sender's reputation stands."""
    with app_context().read() as session:
        return render_template("admin/reports/rates.html", **_values(session), values={})


@pages.get("/live")
@access()
def live() -> ResponseReturnValue:
    """Return the part that moves, as a fragment that asks again."""
    ctx = app_context()
    with ctx.read() as session:
        safety = get_safety(session, ctx, _window())
    return render_template("admin/reports/rates_live.html", safety=safety, windows=list(Window))


def _values(session: Session) -> dict[str, Any]:
    days, limits = list_days(session, utc_now()), load_limits(session)
    safety = get_safety(session, app_context(), _window())
    return {
        "safety": safety,
        "windows": list(Window),
        "plots": [
            (_("Hard bounces"), rate_plot(days, Figure.HARD, limits.hard_pause)),
            (_("Complaints"), rate_plot(days, Figure.COMPLAINTS, limits.complaint_throttle)),
            (_("Unsubscribed"), rate_plot(days, Figure.UNSUBSCRIBES, limits.unsubscribe_review)),
        ],
        "growth_plot": _growth_plot(safety.growth),
    }


def _growth_plot(growth: Sequence[tuple[date, int]]) -> dict[str, Any]:
    return {
        "kind": "bar",
        "unit": "",
        "axis": _("Day"),
        "labels": [day.isoformat()[5:] for day, _count in growth],
        "series": [{"name": _("Suppressed"), "values": [count for _day, count in growth]}],
    }


def _window() -> Window:
    text = request.args.get("window", "")
    return Window(text) if text in tuple(Window) else Window.DAY


@pages.get("/mails")
@access(*MARKETING, *OPERATIONS)
def mails() -> ResponseReturnValue:
    """List the mails behind a figure."""
    asked = request.args
    kind = asked.get("kind", "")
    choice = Choice(
        kind=kind if kind in KINDS else KINDS[0],
        window=_window(),
        domain=asked.get("domain", ""),
        provider=asked.get("provider", ""),
        campaign=_uuid(asked.get("campaign", "")),
    )
    with app_context().read() as session:
        lines = list_mails(session, choice, before_id=page_key(), limit=PAGE_SIZE + 1)
        campaign = get_by_public_id(session, choice.campaign) if choice.campaign else None
    return render_template(
        "admin/reports/mails.html",
        page=cut_page(lines, _key),
        choice=choice,
        campaign=campaign,
        kinds=KINDS,
        windows=list(Window),
    )


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def _key(line: MailLine) -> int:
    return line.event_id


@pages.post("/release")
@access(*MARKETING, *OPERATIONS)
def release() -> ResponseReturnValue:
    """Let go on what the breaker slowed down or stopped; a note says why. Disabled ones are for operators."""
    scope, key = form_text("scope"), form_text("key")
    if scope not in _SCOPES:
        raise InputError(_("no such breaker"), where="scope")
    resume(app_context(), scope, key, form_text("note"), by=who().id, is_operator=who().has_role(Role.OPS))
    return done(_("Released. What went out before does not stop it again, unless it becomes worse."), _back())


@pages.post("/canary")
@access(*MARKETING, *OPERATIONS)
def release_canary() -> ResponseReturnValue:
    """Let the rest of a campaign go before its first share has been watched to the end."""
    ctx, public_id = app_context(), _uuid(form_text("campaign"))
    if public_id is None:
        raise InputError(_("no such campaign"), where="campaign")
    with ctx.read() as session:
        sending_id = get_by_public_id(session, public_id).sending_id
    if sending_id is None:
        raise ConflictError(_("it does not run yet"))
    release_now(ctx, sending_id, form_text("note"), by=who().id)
    return done(_("Everything goes out now."), url_for("report.show", public_id=public_id))


def _back() -> str:
    public_id = _uuid(form_text("campaign"))
    return url_for("report.show", public_id=public_id) if public_id else url_for("rates.show")


@pages.post("/outside")
@access(*MARKETING, *OPERATIONS)
@takes_upload(_UPLOAD_BYTES)
def add_outside() -> ResponseReturnValue | Response:
    """Take in figures of Google Postmaster Tools, a day by hand or a CSV file."""
    ctx, file = app_context(), request.files.get("file")
    values = {name: form_text(name) for name in ("domain", "day", "spam_rate", "domain_reputation")}
    try:
        if file is not None and file.filename:
            figures = outside.read_csv(file.read(), values["domain"])
        else:
            figures = [outside.read_figures(**_typed(values))]
        count = outside.record_figures(ctx, figures, by=who().id)
    except InputError as error:
        with ctx.read() as session:
            return page_with_problems("admin/reports/rates.html", error, **_values(session), values=values)
    return done(ngettext("%(num)d day taken in.", "%(num)d days taken in.", count), url_for("rates.show") + "#outside")


def _typed(values: dict[str, str]) -> dict[str, str]:
    """A number that people type is per cent, as Google shows it."""
    rate = values["spam_rate"]
    return {
        "domain": values["domain"],
        "day": values["day"],
        "spam_rate": f"{rate} %" if rate and not rate.endswith("%") else rate,
        "reputation": values["domain_reputation"],
    }
