"""Pages of bulk tasks: choose what is done to all members, watch it, stop it, see what came of it, take it back."""

import uuid
from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_babel.speaklater import LazyString
from sqlalchemy.orm import Session

from mailer.accounts.queries import list_staff
from mailer.errors import InputError, MailerError
from mailer.schema.segments import BulkTask, Segment
from mailer.segments import queries as segments
from mailer.segments.bulk import queries, service
from mailer.segments.bulk.fields import list_settable
from mailer.segments.bulk.queries import BulkLine, TaskLine
from mailer.segments.views.live import today, viewer
from mailer.segments.visibility import get_visible, list_visible
from mailer.statuses import BulkKind, BulkOutcome, BulkStatus, SegmentKind
from mailer.web.access import MARKETING, access, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("bulk", __name__, url_prefix="/segments")
KINDS: dict[BulkKind, tuple[LazyString, LazyString, str]] = {
    BulkKind.FOLLOW_UPS: (
        lazy_gettext("Create follow-up tasks"),
        lazy_gettext("a call or a visit for each contact or company"),
        "telephone",
    ),
    BulkKind.SET_FIELD: (
        lazy_gettext("Set or clear a field"),
        lazy_gettext("one value for all of them"),
        "input-cursor-text",
    ),
    BulkKind.ADD_TAG: (lazy_gettext("Add a tag"), lazy_gettext("an interest they share"), "tag"),
    BulkKind.REMOVE_TAG: (lazy_gettext("Remove a tag"), lazy_gettext("where they carry it"), "tags"),
    BulkKind.ADD_TO_SEGMENT: (
        lazy_gettext("Add to a static segment"),
        lazy_gettext("a list that stays as it is"),
        "person-plus",
    ),
    BulkKind.REMOVE_FROM_SEGMENT: (
        lazy_gettext("Take out of a static segment"),
        lazy_gettext("where they are on its list"),
        "person-dash",
    ),
    BulkKind.ARCHIVE: (
        lazy_gettext("Archive the contacts"),
        lazy_gettext("out of every list and audience"),
        "archive",
    ),
}
OUTCOMES: dict[str, LazyString] = {
    BulkOutcome.WAITING: lazy_gettext("Waiting"),
    BulkOutcome.CHANGED: lazy_gettext("Changed"),
    BulkOutcome.UNCHANGED: lazy_gettext("Was so already"),
    BulkOutcome.SKIPPED: lazy_gettext("Skipped"),
    BulkOutcome.UNDONE: lazy_gettext("Undone"),
    BulkOutcome.KEPT: lazy_gettext("Changed again since"),
}
REASONS: dict[str, LazyString] = {
    "archived": lazy_gettext("archived meanwhile"),
    "same_company": lazy_gettext("a colleague has the task"),
}
_NEW = "admin/segments/bulk_new.html"


@pages.get("/<uuid:public_id>/tasks/new")
@access()
def new(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show what can be done to the members; `?kind=` shows its form."""
    wanted = request.args.get("kind", "")
    kind = BulkKind(wanted) if wanted in set(BulkKind) and service.may_do(BulkKind(wanted), who().role) else None
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        values = {"due_on": today().isoformat(), "owner": "chain", "per": "contact"}
        return render_template(_NEW, kind=kind, values=values, **_form(session, segment))


@pages.get("/<uuid:public_id>/tasks/value")
@access(*MARKETING)
def value_input(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the input that suits the field in `?field=`, as a fragment."""
    with app_context().read() as session:
        get_visible(session, public_id, viewer())
        field = next((one for one in list_settable(session) if one.key == request.args.get("field")), None)
        people = list_staff(session)
    return render_template("admin/segments/bulk_value.html", field=field, people=people, values={})


@pages.post("/<uuid:public_id>/tasks")
@access()
def start(public_id: uuid.UUID) -> ResponseReturnValue:
    """Start a task."""
    ctx, wanted = app_context(), form_text("what")
    with ctx.read() as session:
        segment = get_visible(session, public_id, viewer())
    if wanted not in set(BulkKind):
        raise InputError(_("choose what is to be done"), where="what")
    kind, values = BulkKind(wanted), {key: form_text(key) for key in request.form if key != "csrf_token"}
    try:
        task = service.start_bulk_task(ctx, segment.id, kind, values, by=who().id, role=who().role)
    except InputError as error:
        with ctx.read() as session:
            return page_with_problems(_NEW, error, kind=kind, values=values, **_form(session, segment))
    return done(_("Under way. You may leave this page."), _page(task))


@pages.get("/tasks")
@access()
def index() -> ResponseReturnValue:
    """List bulk tasks, newest first."""
    with app_context().read() as session:
        lines = queries.list_bulk_tasks(session, viewer(), before_id=page_key(), limit=PAGE_SIZE + 1)
    return render_template("admin/segments/bulk_index.html", page=cut_page(lines, _task_key), kinds=KINDS, told=told)


@pages.get("/tasks/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a task: how far it is, and what came of each contact; `?outcome=` chooses."""
    outcome = request.args.get("outcome", "")
    with app_context().read() as session:
        task = queries.get_bulk_task(session, public_id, viewer())
        lines = queries.list_bulk_members(session, task.id, outcome=outcome, after_id=page_key(), limit=PAGE_SIZE + 1)
        values = {"page": cut_page(lines, _line_key), **_progress(session, task)}
    return render_template("admin/segments/bulk_show.html", outcome=outcome, **values)


@pages.get("/tasks/<uuid:public_id>/live")
@access()
def live(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return how far a task is as a fragment; the whole page once it has ended."""
    with app_context().read() as session:
        task = queries.get_bulk_task(session, public_id, viewer())
        values = _progress(session, task)
    response = make_response(render_template("admin/segments/bulk_live.html", **values))
    if not values["is_moving"]:
        response.headers["HX-Refresh"] = "true"  # the list of contacts and the buttons are others now
    return response


@pages.post("/tasks/<uuid:public_id>/cancel")
@access()
def cancel(public_id: uuid.UUID) -> ResponseReturnValue:
    """Stop a task."""
    task = service.cancel_bulk_task(app_context(), _visible(public_id), by=who().id, role=who().role)
    return done(_("Stopped. What it did so far stays until you undo it."), _page(task))


@pages.post("/tasks/<uuid:public_id>/undo")
@access()
def undo(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take back what a task did."""
    task = service.undo_bulk_task(app_context(), _visible(public_id), by=who().id, role=who().role)
    return done(_("It is being undone."), _page(task))


_MOVING = (BulkStatus.GATHERING.value, BulkStatus.RUNNING.value, BulkStatus.UNDOING.value)


def told(task: BulkTask) -> str:
    """Return what a task does in a few words: `Add a tag: spring fair`."""
    params: dict[str, Any] = task.params
    label = str(KINDS[BulkKind(task.kind)][0])
    match task.kind:
        case BulkKind.FOLLOW_UPS:
            return f"{label}: {params['title']}"
        case BulkKind.SET_FIELD:
            shown = params["value"]
            value = _("nothing") if shown is None else str(shown)
            return f"{params['label']} = {value}"
        case BulkKind.ADD_TAG | BulkKind.REMOVE_TAG:
            return f"{label}: {params['tag']}"
        case BulkKind.ADD_TO_SEGMENT | BulkKind.REMOVE_FROM_SEGMENT:
            return f"{label}: {params['segment']}"
        case _:
            return label


def _form(session: Session, segment: Segment) -> dict[str, Any]:
    problem, number = "", 0
    try:
        number = segments.count_members(session, segment, today())
    except MailerError as error:
        problem = error.message
    lists = [one for one in list_visible(session, viewer()) if one.kind == SegmentKind.STATIC and one.id != segment.id]
    own = [segment] if segment.kind == SegmentKind.STATIC else []
    return {
        "segment": segment,
        "number": number,
        "problem": problem,
        "kinds": {kind: words for kind, words in KINDS.items() if service.may_do(kind, who().role)},
        "people": list_staff(session),
        "fields": list_settable(session),
        "lists": lists,
        "own_and_lists": own + lists,
        "may_export": who().has_role(*MARKETING),
        "once": uuid.uuid4().hex,
    }


def _progress(session: Session, task: BulkTask) -> dict[str, Any]:
    line = next((one for one in queries.list_bulk_tasks(session, None, before_id=task.id + 1, limit=1)), None)
    done_with = task.changed_count + task.unchanged_count + task.skipped_count
    back = task.undone_count + task.kept_count
    is_undoing = task.status == BulkStatus.UNDOING
    has_ended = task.status not in _MOVING
    return {
        "task": task,
        "what": told(task),
        "segment_id": line.segment if line else None,
        "by": line.by if line else "",
        "is_moving": not has_ended,
        "done_with": back if is_undoing else done_with,
        "total": task.changed_count if is_undoing else task.total,
        "skipped": queries.count_skipped(session, task.id) if has_ended and task.skipped_count else [],
        "why_not_undo": service.why_not_undo(task),
        "may": service.may_do(BulkKind(task.kind), who().role),
        "OUTCOMES": OUTCOMES,
        "REASONS": REASONS,
    }


def _visible(public_id: uuid.UUID) -> uuid.UUID:
    with app_context().read() as session:
        return queries.get_bulk_task(session, public_id, viewer()).public_id


def _task_key(line: TaskLine) -> int:
    return line.task.id


def _line_key(line: BulkLine) -> int:
    return line.contact_id


def _page(task: BulkTask) -> str:
    return url_for("bulk.show", public_id=task.public_id)
