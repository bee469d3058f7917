"""Which mails about tasks I get; for admins, who gets what nobody owns and when nobody works."""

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from mailer.accounts.queries import list_groups, list_staff
from mailer.errors import InputError, MailerError
from mailer.followups import service
from mailer.followups.calendar import parse_holidays
from mailer.followups.rules import Rules, find_rules
from mailer.followups.slots import parse_hour, show_hour
from mailer.followups.telling import find_mode
from mailer.statuses import Role, TaskMail
from mailer.web.access import access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems
from mailer.workspace.queries import get_workspace

pages = Blueprint("followups_sharing", __name__, url_prefix="/follow-ups/sharing")


@pages.get("")
@access()
def show() -> ResponseReturnValue:
    """Show my choice and the workspace's rules."""
    with app_context().read() as session:
        rules = find_rules(session)
    values = {
        "group_name": rules.group_name,
        "owner_id": str(rules.owner_id or ""),
        "holidays": "\n".join(day.isoformat() for day in rules.holidays),
        "day_starts": show_hour(rules.day_starts),
        "day_ends": show_hour(rules.day_ends),
    }
    return _page(values)


@pages.post("/mails")
@access()
def choose_mails() -> ResponseReturnValue:
    """Set which mails I get."""
    service.choose_mails(app_context(), who().id, form_text("mode"))
    return done(_("Saved."), url_for("followups_sharing.show"))


@pages.post("")
@access(Role.ADMIN)
def save() -> ResponseReturnValue:
    """Set the workspace's rules."""
    values = {name: form_text(name) for name in ("group_name", "owner_id", "holidays")}
    values |= {name: form_text(name, hour) for name, hour in (("day_starts", "09:00"), ("day_ends", "17:00"))}
    try:
        owner = values["owner_id"]
        if owner and not (owner.isdecimal() and len(owner) < 19):  # noqa: PLR2004 - 63 bits
            raise InputError(_("nobody of the staff"), where="owner_id")
        rules = Rules(
            values["group_name"],
            int(owner) if owner else None,
            parse_holidays(values["holidays"]),
            parse_hour(values["day_starts"], "day_starts"),
            parse_hour(values["day_ends"], "day_ends"),
        )
        service.change_rules(app_context(), rules, by=who().id)
    except MailerError as error:
        return _page(values, error)
    return done(_("Saved."), url_for("followups_sharing.show"))


def _page(values: dict[str, str], error: MailerError | None = None) -> ResponseReturnValue:
    with app_context().read() as session:
        page = {
            "values": values,
            "zone": get_workspace(session).timezone,
            "mode": find_mode(session, who().id).value,
            "modes": [mode.value for mode in TaskMail],
            "group_choices": [("", _("None")), *((name, name) for name in list_groups(session))],
            "person_choices": [("", _("None")), *((one.id, one.name or one.email) for one in list_staff(session))],
        }
    if error is not None:
        return page_with_problems("admin/followups/sharing.html", error, **page)
    return render_template("admin/followups/sharing.html", problems=(), **page)
