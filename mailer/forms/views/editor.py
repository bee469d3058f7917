"""The builder: a form made and changed field by field, without a script; what is wrong stands beside its field."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.errors import MailerError
from mailer.forms import queries, service
from mailer.forms.spec import ACCENT, LANGUAGES, RESPONSE, FormFile, build_form_file
from mailer.segments.visibility import find_viewer, list_visible
from mailer.statuses import FollowUpKind, SegmentKind
from mailer.web.access import MARKETING, access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems
from mailer.workspace.queries import get_workspace, list_senders

pages = Blueprint("form_editor", __name__, url_prefix="/forms")
_EDIT = "admin/forms/edit.html"
_PLAIN = (
    "name", "sender", "wording", "title", "intro", "button", "thanks", "redirect", "privacy_url", "accent", "language",
    "closes_at",
)  # fmt: skip


@pages.get("/new")
@access(*MARKETING)
def new() -> ResponseReturnValue:
    """Show the builder with what most forms have."""
    with app_context().read() as session:
        return render_template(_EDIT, form=None, values=_suggested(session), **_choices(session))


@pages.post("")
@access(*MARKETING)
def create() -> ResponseReturnValue:
    """Keep a new form as a draft."""
    values = _read()
    try:
        form = service.create_form(app_context(), _spec(values), by=who().id)
    except MailerError as error:
        with app_context().read() as session:
            return page_with_problems(_EDIT, error, form=None, values=values, **_choices(session))
    return done(_("%(name)s is there as a draft.", name=form.name), url_for("forms.show", public_id=form.public_id))


@pages.get("/<uuid:public_id>/edit")
@access(*MARKETING)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show the builder with a form."""
    with app_context().read() as session:
        form = queries.get_form(session, public_id)
        values = service.describe_form(session, form)
        return render_template(_EDIT, form=form, values=values, **_choices(session))


@pages.post("/<uuid:public_id>/edit")
@access(*MARKETING)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Keep the changes; an open form shows them at once."""
    values = _read()
    try:
        form = service.update_form(app_context(), public_id, _spec(values), by=who().id)
    except MailerError as error:
        with app_context().read() as session:
            form = queries.get_form(session, public_id)
            return page_with_problems(_EDIT, error, form=form, values=values, **_choices(session))
    return done(_("Saved."), url_for("forms.show", public_id=form.public_id))


def _suggested(session: Session) -> dict[str, Any]:
    workspace = get_workspace(session).name
    senders = list_senders(session)
    topics = queries.list_topic_names(session)
    return {
        "sender": senders[0].name if senders else "",
        "double_opt_in": True,
        "topics": [topics[0].name] if len(topics) == 1 else [],
        "wording": _(
            "Yes, please write to me about what I have chosen here. %(workspace)s may use my address for that; "
            "I can leave at any time by the link in each mail.",
            workspace=workspace,
        ),
        "fields": [{"field": "first_name", "label": "", "required": False}],
        "accent": ACCENT,
        "language": "en",
        "sites": [],
        "actions": [],
    }


def _choices(session: Session) -> dict[str, Any]:
    """Return what the builder offers to choose from."""
    return {
        "senders": [sender.name for sender in list_senders(session)],
        "topics": queries.list_topic_names(session),
        "askable": queries.list_askable(session),
        "segments": [
            (segment.id, segment.name)
            for segment in list_visible(session, find_viewer(session, who().id))
            if segment.kind == SegmentKind.STATIC
        ],
        "languages": LANGUAGES,
        "task_kinds": list(FollowUpKind),
        "zone": get_workspace(session).timezone,
    }


def _spec(values: Mapping[str, Any]) -> FormFile:
    return build_form_file({key: value for key, value in values.items() if value is not None})


def _read() -> dict[str, Any]:
    """Return what was sent in the keys of a form file."""
    places = form_text("closes_after")
    return {
        **{name: form_text(name) for name in _PLAIN},
        "double_opt_in": form_text("double_opt_in") != "single",
        "topics": request.form.getlist("topics"),
        "fields": _read_fields(),
        "sites": [line.strip() for line in form_text("sites").splitlines() if line.strip()],
        "actions": _read_actions(),
        "closes_after": (int(places) if places.isdecimal() and len(places) < 12 else places) if places else None,  # noqa: PLR2004
    }


def _read_fields() -> list[dict[str, Any]]:
    """Return the fields that are asked for, in the order of their numbers, then of the page."""
    lines = []
    for place, key in enumerate(request.form.getlist("field_key")):
        asks = form_text(f"ask_{key}")
        if asks not in ("optional", "required"):
            continue
        order = form_text(f"order_{key}")
        number = int(order) if order.isdecimal() and len(order) < 4 else place + 100  # noqa: PLR2004
        line = {
            "field": key,
            "label": form_text(f"label_{key}"),
            "required": asks == "required",
            "prefill": form_text(f"prefill_{key}") == "1",
        }
        lines.append((number, place, line))
    return [line for _number, _place, line in sorted(lines, key=lambda item: item[:2])]


def _read_actions() -> list[dict[str, Any]]:
    segments: Sequence[str] = request.form.getlist("add_to_segment")
    actions: list[dict[str, Any]] = [{"add_to_segment": int(text)} for text in segments if text.isdecimal()]
    if form_text("task_title"):
        actions.append({"follow_up": _read_task()})
    if form_text("response_subject") or form_text("response_text"):
        mail = {"subject": form_text("response_subject"), "text": form_text("response_text")}
        actions.append({RESPONSE: mail})
    return actions


def _read_task() -> dict[str, Any]:
    """Return the task that a form makes; owner and note, which a file may give it, are carried along."""
    days, minutes = form_text("task_days"), form_text("task_minutes")
    task: dict[str, Any] = {
        "title": form_text("task_title"),
        "due_working_days": int(days) if days.isdecimal() and len(days) < 4 else 1,  # noqa: PLR2004
        "kind": form_text("task_kind") or FollowUpKind.TO_DO.value,
    }
    if minutes and task["kind"] == FollowUpKind.MEETING:  # else a length that was typed means nothing
        task["minutes"] = int(minutes) if minutes.isdecimal() and len(minutes) < 5 else minutes  # noqa: PLR2004
    return task | {key: text for key in ("owner", "note") if (text := form_text(f"task_{key}"))}
