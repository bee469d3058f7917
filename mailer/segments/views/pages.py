"""Segments: the list, one with its sentence and live count, the editors of rules and set operations, members."""

import csv
import io
import json
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from mailer.accounts.queries import list_staff
from mailer.contacts.queries import list_by_email
from mailer.context import Context
from mailer.errors import InputError, MailerError
from mailer.schema.segments import Segment
from mailer.segments import queries, service
from mailer.segments.queries import Source
from mailer.segments.views.words import rule_words
from mailer.statuses import SegmentKind, SegmentOperation
from mailer.web.access import MARKETING, access, who
from mailer.web.formats import zone_name
from mailer.web.requests import app_context, done, form_text, page_with_problems, problems_of

pages = Blueprint("segments", __name__, url_prefix="/segments")
EMPTY_RULE = {"version": 1, "all": [{"field": "category", "op": "equals", "value": ""}]}
_EDIT = "admin/segments/edit.html"


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List the segments; counts come one by one, live."""
    with app_context().read() as session:
        segments = queries.list_segments(session)
    return render_template("admin/segments/index.html", segments=segments)


@pages.get("/new")
@access(*MARKETING)
def new() -> ResponseReturnValue:
    """Show an empty editor; `?kind=` says of what."""
    kind = request.args.get("kind", "")
    kind = kind if kind in set(SegmentKind) else SegmentKind.DYNAMIC.value
    values = {"name": "", "description": "", "rule": json.dumps(EMPTY_RULE, indent=2), "operation": "", "inputs": []}
    with app_context().read() as session:
        return render_template(_EDIT, segment=None, kind=kind, values=values, **_editor(session))


@pages.post("")
@access(*MARKETING)
def create() -> ResponseReturnValue:
    """Create a segment of the kind in the form."""
    ctx, by, values = app_context(), who().id, _form_values()
    try:
        match values["kind"]:
            case SegmentKind.STATIC:
                segment = service.create_static(ctx, values["name"], by=by)
            case SegmentKind.COMBINED:
                operation = _operation(values["operation"])
                segment = service.create_combined(ctx, values["name"], operation, values["inputs"], by=by)
            case _:
                rule = _read_json(values["rule"])
                segment = service.create_dynamic(ctx, values["name"], rule, description=values["description"], by=by)
    except MailerError as error:
        with ctx.read() as session:
            return page_with_problems(
                _EDIT, error, segment=None, kind=values["kind"], values=values, **_editor(session)
            )
    return done(_("The segment is saved."), _address(segment))


@pages.get("/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a segment: its sentence, who is in, who uses it."""
    ctx = app_context()
    with ctx.read() as session:
        segment = queries.get_by_public_id(session, public_id)
        values = {
            "segment": segment,
            "uses": queries.list_uses(session, segment.id),
            "inputs": queries.list_inputs(session, segment.id),
            "people": list_staff(session),
            "today": ctx.clock.today(zone_name()),
            **_live(session, segment),
        }
    return render_template("admin/segments/show.html", **values)


@pages.get("/<uuid:public_id>/count")
@access()
def count(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the number of members as text, for the list."""
    with app_context().read() as session:
        segment = queries.get_by_public_id(session, public_id)
        try:
            number = queries.count_members(session, segment, _today())
        except MailerError as error:
            return render_template("admin/segments/count.html", number=None, problem=error.message)
    return render_template("admin/segments/count.html", number=number, problem="")


@pages.post("/preview")
@access(*MARKETING)
def preview() -> ResponseReturnValue:
    """Return sentence, count and ten people of the rule in the editor, or what is wrong with it."""
    with app_context().read() as session:
        try:
            shown = _live(session, queries.read_rule(session, _read_json(form_text("rule"))))
        except MailerError as error:
            return render_template("admin/segments/live.html", problems=problems_of(error))
    return render_template("admin/segments/live.html", **shown)


@pages.get("/<uuid:public_id>/edit")
@access(*MARKETING)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show the editor of a segment."""
    with app_context().read() as session:
        segment = queries.get_by_public_id(session, public_id)
        values = {
            "name": segment.name,
            "description": segment.description,
            "rule": json.dumps(segment.rule, indent=2) if segment.rule else "",
            "operation": segment.operation or "",
            "inputs": [operand.name for operand in queries.list_inputs(session, segment.id)],
        }
        return render_template(_EDIT, segment=segment, kind=segment.kind, values=values, **_editor(session))


@pages.post("/<uuid:public_id>")
@access(*MARKETING)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change a segment; its kind stays."""
    ctx, values = app_context(), _form_values()
    with ctx.read() as session:
        segment = queries.get_by_public_id(session, public_id)
    try:
        changes: dict[str, Any] = {"name": values["name"], "description": values["description"]}
        if segment.kind == SegmentKind.DYNAMIC:
            changes["rule"] = _read_json(values["rule"])
        elif segment.kind == SegmentKind.COMBINED:
            changes |= {"operation": _operation(values["operation"]), "inputs": values["inputs"]}
        service.update_segment(ctx, segment.id, **changes)
    except MailerError as error:
        with ctx.read() as session:
            return page_with_problems(
                _EDIT, error, segment=segment, kind=segment.kind, values=values, **_editor(session)
            )
    return done(_("Saved."), _address(segment))


@pages.post("/<uuid:public_id>/convert")
@access(*MARKETING)
def convert(public_id: uuid.UUID) -> ResponseReturnValue:
    """Freeze the members of today into a static segment."""
    ctx = app_context()
    segment = service.convert_to_static(ctx, _id_of(public_id))
    return done(_("The members of today are its list now."), _address(segment))


@pages.post("/<uuid:public_id>/delete")
@access(*MARKETING)
def delete(public_id: uuid.UUID) -> ResponseReturnValue:
    """Delete a segment that nobody uses."""
    service.delete_segment(app_context(), _id_of(public_id))
    return done(_("The segment is deleted."), url_for("segments.index"))


@pages.post("/<uuid:public_id>/members")
@access(*MARKETING)
def add_members(public_id: uuid.UUID) -> ResponseReturnValue:
    """Add people to a static segment by their addresses, one a line."""
    ctx, segment_id = app_context(), _id_of(public_id)
    lines = [line.strip() for line in form_text("emails").replace(",", "\n").splitlines() if line.strip()]
    added, unknown = service.add_by_addresses(ctx, segment_id, lines, by=who().id)
    text = ngettext("%(num)d person added.", "%(num)d people added.", added)
    if unknown:
        text += "\n" + _("Not found: %(list)s", list=", ".join(unknown[:10]))
    return done(text, url_for("segments.show", public_id=public_id), kind="warning" if unknown else "success")


@pages.post("/<uuid:public_id>/members/remove")
@access(*MARKETING)
def remove_member(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take one person out of a static segment."""
    text = form_text("contact")
    removed = service.take_out(app_context(), _id_of(public_id), [int(text)] if text.isdecimal() else [])
    return done(
        ngettext("%(num)d person taken out.", "%(num)d people taken out.", removed),
        url_for("segments.show", public_id=public_id),
    )


@pages.get("/<uuid:public_id>/explain")
@access()
def explain(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return why a contact is in or not, line by line."""
    email = request.args.get("email", "").strip()
    with app_context().read() as session:
        segment = queries.get_by_public_id(session, public_id)
        found = list_by_email(session, email) if email else []
        contact = found[0] if found else None
        reasons = queries.list_reasons(session, segment, contact.id, _today()) if contact else []
        is_in = queries.is_member(session, segment, contact.id, _today()) if contact else False
    return render_template("admin/segments/explain.html", email=email, contact=contact, reasons=reasons, is_in=is_in)


@pages.get("/<uuid:public_id>/members.csv")
@access(*MARKETING)
def export(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the members as CSV."""
    with app_context().read() as session:
        segment = queries.get_by_public_id(session, public_id)
    response = Response(_csv(app_context(), segment, _today()), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="segment-{segment.id}.csv"'
    return response


def _csv(ctx: Context, segment: Segment, today: date) -> Iterator[str]:
    yield "id,email,first_name,last_name\n"
    with ctx.read() as session:
        for member in queries.iter_members(session, segment, today):
            buffer = io.StringIO()
            names = [_plain(text) for text in (member.email or "", member.first_name, member.last_name)]
            csv.writer(buffer).writerow([member.id, *names])
            yield buffer.getvalue()


def _plain(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _live(session: Session, source: Source) -> dict[str, Any]:
    """Return what is shown of a segment or an unsaved rule; a problem instead of figures where it cannot be asked."""
    try:
        return {
            "sentence": queries.describe_segment(session, source),
            "number": queries.count_members(session, source, _today()),
            "sample": queries.list_sample(session, source, _today()),
        }
    except MailerError as error:
        return {"problems": problems_of(error), "sentence": "", "number": None, "sample": []}


def _editor(session: Session) -> dict[str, Any]:
    return {"words": rule_words(session), "segments": queries.list_segments(session), "operations": _operations()}


def _operations() -> list[tuple[str, str]]:
    return [
        (SegmentOperation.INTERSECTION.value, _("in all of them")),
        (SegmentOperation.UNION.value, _("in any of them")),
        (SegmentOperation.ONLY_FIRST.value, _("only in the first of two")),
        (SegmentOperation.ONLY_SECOND.value, _("only in the second of two")),
        (SegmentOperation.EXACTLY_ONE.value, _("in exactly one of two")),
    ]


def _form_values() -> dict[str, Any]:
    values: dict[str, Any] = {name: form_text(name) for name in ("name", "description", "kind", "rule", "operation")}
    values["inputs"] = [name.strip() for name in request.form.getlist("inputs") if name.strip()]
    return values


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = _("line %(line)d, column %(column)d", line=error.lineno, column=error.colno)
        raise InputError(_("this is not JSON: %(what)s", what=error.msg), where=f"rule, {place}") from error


def _operation(text: str) -> SegmentOperation:
    return SegmentOperation(text) if text in set(SegmentOperation) else SegmentOperation.INTERSECTION


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return queries.get_by_public_id(session, public_id).id


def _address(segment: Segment) -> str:
    return url_for("segments.show", public_id=segment.public_id)


def _today() -> date:
    return app_context().clock.today(zone_name())
