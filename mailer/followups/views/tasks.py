"""Pages of follow-up tasks: mine, my group's or all; done with an outcome, moved, handed over, one or many at once."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from mailer.accounts.queries import list_groups, list_staff
from mailer.contacts.queries import get_contact
from mailer.errors import InputError, MailerError
from mailer.followups import queries, service
from mailer.followups.meetings import Clash, find_clash, find_hours
from mailer.followups.queries import Filter, FollowUpLine, Key, key_of
from mailer.followups.rules import find_calendar
from mailer.followups.service import TaskSpec
from mailer.followups.slots import DEFAULT_MINUTES, Hours, parse_hour, show_hour
from mailer.schema.followups import OUTCOMES
from mailer.statuses import FollowUpKind, FollowUpStatus
from mailer.web.access import access, who
from mailer.web.formats import day, exact, zone_name
from mailer.web.paging import PAGE_SIZE, cut_page
from mailer.web.requests import app_context, done, form_text, page_with_problems
from mailer.web.words import state_word

pages = Blueprint("followups", __name__, url_prefix="/follow-ups")
_MAX_TASKS = 500
_GROUP = "group:"
WORDS = [word for word in OUTCOMES if word]


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List tasks by due date; `?whose=group|all`, `?status=done`, `?link=` or `?campaign=` by number."""
    ctx = app_context()
    today = ctx.clock.today(zone_name())
    me = who()
    whose = request.args.get("whose", "mine")
    status = FollowUpStatus.DONE if request.args.get("status") == "done" else FollowUpStatus.OPEN
    with ctx.read() as session:
        people, groups = list_staff(session), list_groups(session)
        group = next((person.group_name for person in people if person.id == me.id), "")
        scopes = {"mine": Filter(owner_id=me.id), "all": Filter()} | ({"group": Filter(group=group)} if group else {})
        whose = whose if whose in scopes else "mine"
        wanted = Filter(
            status=status,
            owner_id=scopes[whose].owner_id,
            group=scopes[whose].group,
            campaign_id=_number("campaign"),
            link_id=_number("link"),
        )
        lines = queries.list_follow_ups(session, wanted, after=_page_key(), limit=PAGE_SIZE + 1)
        counts = {name: queries.count_open(session, today, scope) for name, scope in scopes.items()}
        hours = find_hours(session)
        origins = queries.list_origins(session)
    return render_template(
        "admin/followups/index.html",
        page=cut_page(lines, _line_key),
        now=ctx.clock.now(),
        whose=whose,
        wanted=wanted,
        counts=counts,
        group=group,
        people=people,
        groups=groups,
        origins=origins,
        today=today,
        tomorrow=hours.calendar.add_working_days(today, 1),
        in_a_week=hours.calendar.add_working_days(today + timedelta(days=6), 1),
        week_end=today + timedelta(days=6 - today.weekday()),
        outcomes=WORDS,
    )


@pages.get("/new")
@access()
def new() -> ResponseReturnValue:
    """Show an empty task about `?contact=`."""
    ctx = app_context()
    with ctx.read() as session:
        due_on = find_calendar(session).add_working_days(ctx.clock.today(zone_name()), 1)
    kind, minutes = FollowUpKind.TO_DO.value, str(DEFAULT_MINUTES)
    return _form({"kind": kind, "due_on": due_on.isoformat(), "minutes": minutes, "owner": str(who().id)})


@pages.post("")
@access()
def create() -> ResponseReturnValue:
    """Create a task by hand."""
    values, ctx = _typed(), app_context()
    try:
        spec = _read_spec(values)
        with ctx.read() as session:
            contact = get_contact(session, _contact_id())
        task = service.create_by_hand(ctx, contact.id, spec, by=who().id)
    except MailerError as error:
        return _form(values, error)
    with ctx.read() as session:
        clash = find_clash(session, task, ctx.clock.now())
    return _told(_("The task is made."), task.public_id, clash)


@pages.get("/<uuid:public_id>/edit")
@access()
def change(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a task to be changed."""
    with app_context().read() as session:
        task = queries.get_line(session, public_id).task
    local = task.starts_at.astimezone(ZoneInfo(zone_name())) if task.starts_at else None
    values = {
        "title": task.title,
        "kind": task.kind,
        "note": task.note,
        "due_on": (local.date() if local else task.due_on).isoformat(),
        "start": f"{local:%H:%M}" if local else "",
        "minutes": str(task.minutes or DEFAULT_MINUTES),
    }
    return _form(values, public_id=public_id)


@pages.post("/<uuid:public_id>/edit")
@access()
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change what a task says and when it is."""
    values = _typed()
    try:
        clash = service.edit(app_context(), public_id, _read_spec(values))
    except MailerError as error:
        return _form(values, error, public_id=public_id)
    return _told(_("Saved."), public_id, clash)


def _typed() -> dict[str, str]:
    return {name: form_text(name) for name in ("title", "kind", "due_on", "start", "minutes", "note", "owner")}


def _read_spec(values: dict[str, str]) -> TaskSpec:
    """Return a task as it was typed; hour and length count for a meeting only."""
    owner, due_on = values["owner"], _day(values["due_on"], "due_on")
    spec = TaskSpec(
        title=values["title"],
        kind=values["kind"],
        note=values["note"],
        due_on=due_on,
        owner_id=int(owner) if owner.isdecimal() and len(owner) < 19 else None,  # noqa: PLR2004 - 63 bits
        group=owner.removeprefix(_GROUP) if owner.startswith(_GROUP) else "",
    )
    if not spec.is_meeting:
        return spec
    starts_at = None
    if values["start"]:
        hour = parse_hour(values["start"], "start")
        starts_at = Hours(zone=zone_name()).instant(due_on, hour)
    text = values["minutes"]
    if text and not (text.isascii() and text.isdecimal() and len(text) < 5):  # noqa: PLR2004 - an int
        raise InputError(_("not a number"), where="minutes")
    return replace(spec, starts_at=starts_at, minutes=int(text) if text else None)


def _form(
    values: dict[str, str], error: MailerError | None = None, *, public_id: uuid.UUID | None = None
) -> ResponseReturnValue:
    """Show the fields of a task: of a new one, or of the one with `public_id`."""
    with app_context().read() as session:
        line = queries.get_line(session, public_id) if public_id else None
        contact = line.contact if line else get_contact(session, _contact_id())
        people, groups = list_staff(session), list_groups(session)
        hours = find_hours(session)
    kinds = [(kind.value, state_word(kind.value).label) for kind in FollowUpKind]
    page = {
        "values": values,
        "contact": contact,
        "people": people,
        "groups": groups,
        "kinds": kinds,
        "task": line.task if line else None,
        "zone": zone_name(),
        "work": (show_hour(hours.day_starts), show_hour(hours.day_ends)),
    }
    if error is not None:
        return page_with_problems("admin/followups/new.html", error, **page)
    return render_template("admin/followups/new.html", problems=(), **page)


def _told(text: str, public_id: uuid.UUID, clash: Clash | None) -> ResponseReturnValue:
    """Go to a task; one that overlaps another says so there, too."""
    if clash is not None:
        text += " " + _("It overlaps another meeting of the same person.")
    return done(text, url_for("followups.show", public_id=public_id), kind="warning" if clash else "success")


@pages.get("/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show one task."""
    ctx = app_context()
    today = ctx.clock.today(zone_name())
    with ctx.read() as session:
        line = queries.get_line(session, public_id)
        clash = find_clash(session, line.task, ctx.clock.now())
        people = list_staff(session)
        calendar = find_calendar(session)
    return render_template(
        "admin/followups/show.html",
        line=line,
        clash=clash,
        people=people,
        now=ctx.clock.now(),
        today=today,
        tomorrow=calendar.add_working_days(today, 1),
        in_a_week=calendar.add_working_days(today + timedelta(days=6), 1),
        outcomes=WORDS,
    )


@pages.post("/done")
@access()
def complete() -> ResponseReturnValue:
    """Close tasks with an outcome."""
    count = service.complete(app_context(), _chosen(), form_text("outcome"))
    return done(ngettext("Done.", "%(num)s tasks are done.", count), _back())


@pages.post("/reopen")
@access()
def reopen() -> ResponseReturnValue:
    """Open closed tasks again."""
    count = service.reopen(app_context(), _chosen())
    return done(ngettext("The task is open again.", "%(num)s tasks are open again.", count), _back())


@pages.post("/snooze")
@access()
def snooze() -> ResponseReturnValue:
    """Move tasks to a day."""
    until = _day(form_text("until"), "until")
    moved = service.snooze(app_context(), _chosen(), until)
    if moved.count == len(moved.starts) == 1:
        return done(_("Moved to %(moment)s.", moment=exact(moved.starts[0])), _back())
    text = ngettext("Moved to %(day)s.", "%(num)s tasks moved to %(day)s.", moved.count, day=day(until))
    if moved.starts:
        text += " " + _("Meetings went to the first free hours from then on.")
    return done(text, _back())


@pages.post("/owner")
@access()
def reassign() -> ResponseReturnValue:
    """Hand tasks to somebody else."""
    text = form_text("owner")
    if not text.isdecimal() or len(text) > 18:  # noqa: PLR2004 - 63 bits
        raise InputError(_("choose a person"), where="owner")
    handed = service.reassign(app_context(), _chosen(), int(text))
    told = ngettext("Handed over.", "%(num)s tasks handed over.", handed.count)
    if not handed.clashes:
        return done(told, _back())
    told += " " + ngettext(
        "They have another meeting then.", "At %(num)s of them they have another meeting.", len(handed.clashes)
    )
    if len(handed.clashes) == 1 and (free := handed.clashes[0].free):
        told += " " + _("Free: %(moment)s.", moment=exact(free[0]))
    return done(told, _back(), kind="warning")


def _chosen() -> Sequence[uuid.UUID]:
    """Return the tasks of a form; InputError where none is chosen or one is no task."""
    try:
        chosen = [uuid.UUID(text) for text in request.form.getlist("task")]
    except ValueError as error:
        raise InputError(_("this is no task"), where="task") from error
    if not chosen or len(chosen) > _MAX_TASKS:
        raise InputError(_("choose at least one task, and at most %(most)s", most=_MAX_TASKS), where="task")
    return chosen


def _contact_id() -> uuid.UUID:
    try:
        return uuid.UUID(request.values.get("contact", ""))
    except ValueError as error:
        raise InputError(
            _("a task is about a contact"), where="contact", mend=_("begin on the contact's page")
        ) from error


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(_("not a day: %(text)s", text=text), where=where, mend="2026-12-31") from error


def _back() -> str:
    wanted = form_text("back")
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else url_for("followups.index")


def _number(name: str) -> int | None:
    text = request.args.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 - 63 bits


def _page_key() -> Key | None:
    day_text, _sep, rest = request.args.get("after", "").partition("_")
    start, _sep, number = rest.partition("_")
    if not number.isdecimal() or len(number) > 18:  # noqa: PLR2004 - 63 bits
        return None
    try:
        starts_at = datetime.fromisoformat(start) if start else None
        return (date.fromisoformat(day_text), starts_at if starts_at and starts_at.tzinfo else None, int(number))
    except ValueError:
        return None


def _line_key(line: FollowUpLine) -> str:
    due_on, starts_at, number = key_of(line)
    return f"{due_on.isoformat()}_{starts_at.isoformat() if starts_at else ''}_{number}"
