"""Segments: the list, one with its sentence and people, the editors of rules and set operations."""

import json
import uuid
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.accounts.queries import list_staff
from mailer.context import Context
from mailer.errors import ConflictError, MailerError
from mailer.schema.segments import Segment
from mailer.segments import freezing, queries, removal, service
from mailer.segments.listing import SORTS, ListQuery, list_lines, list_namesakes
from mailer.segments.parts import list_branches
from mailer.segments.recipes import RECIPES, Recipe
from mailer.segments.rules import parse_json
from mailer.segments.uses import list_uses
from mailer.segments.views.live import look, read_operation, today, viewer
from mailer.segments.views.members import member_page
from mailer.segments.views.words import rule_words
from mailer.segments.visibility import get_visible, list_visible
from mailer.statuses import SegmentKind, SegmentOperation
from mailer.web.access import MARKETING, access, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("segments", __name__, url_prefix="/segments")
_EMPTY_RULE: dict[str, Any] = {"version": 1, "all": []}
_EDIT = "admin/segments/edit.html"


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List the segments; counts come one by one, live."""
    wanted = _list_query()
    with app_context().read() as session:
        lines, people = list_lines(session, wanted, viewer()), list_staff(session)
    is_filtered = bool(wanted.search or wanted.kind or wanted.owner or wanted.is_archived)
    return render_template(
        "admin/segments/index.html", lines=lines, wanted=wanted, people=people, is_filtered=is_filtered,
        sorts=_sorts(), recipes=_recipes(),
    )  # fmt: skip


@pages.get("/new")
@access(*MARKETING)
def new() -> ResponseReturnValue:
    """Show an empty editor; `?kind=` says of what, `?recipe=` begins with a ready rule."""
    kind = request.args.get("kind", "")
    kind = kind if kind in set(SegmentKind) else SegmentKind.DYNAMIC.value
    recipe = next((one for one in RECIPES if one.name == request.args.get("recipe")), None)
    rule = recipe.rule if recipe else _EMPTY_RULE
    values = {
        "name": _free_name(recipe) if recipe else "",
        "description": recipe.description if recipe else "",
        "rule": json.dumps(rule, indent=2),
        "operation": SegmentOperation.INTERSECTION.value,
        "inputs": [],
    }
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
                operation = read_operation(values["operation"])
                segment = service.create_combined(ctx, values["name"], operation, _inputs(values), by=by)
            case _:
                rule = parse_json(values["rule"])
                segment = service.create_dynamic(ctx, values["name"], rule, description=values["description"], by=by)
        if values["description"] and segment.description != values["description"]:
            segment = service.update_segment(ctx, segment.id, description=values["description"])
    except MailerError as error:
        with ctx.read() as session:
            return page_with_problems(
                _EDIT, error, segment=None, kind=values["kind"], values=values, **_editor(session)
            )
    _warn_of_namesakes(ctx, segment)
    return done(_("The segment is saved."), _address(segment))


@pages.get("/<uuid:public_id>")
@access()
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a segment: its sentence, who is in, who uses it."""
    ctx = app_context()
    with ctx.read() as session:
        segment = get_visible(session, public_id, viewer())
        values = {
            "segment": segment,
            "uses": list_uses(session, segment.id),
            "people": list_staff(session),
            "today": today(),
            **look(session, segment),
            **member_page(session, segment),
        }
        if segment.kind == SegmentKind.COMBINED:
            values["branches"] = _branches(session, segment)
    return render_template("admin/segments/show.html", **values)


@pages.get("/<uuid:public_id>/count")
@access()
def count(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the number of members as text, for the list."""
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        try:
            number = queries.count_members(session, segment, today())
        except MailerError as error:
            return render_template("admin/segments/count.html", number=None, problem=error.message)
    return render_template("admin/segments/count.html", number=number, problem="")


@pages.get("/<uuid:public_id>/edit")
@access(*MARKETING)
def edit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show the editor of a segment."""
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        values = {
            "name": segment.name,
            "description": segment.description,
            "rule": json.dumps(segment.rule, indent=2) if segment.rule else "",
            "operation": segment.operation or "",
            "inputs": [str(operand.id) for operand in queries.list_inputs(session, segment.id)],
            "seen": segment.updated_at.isoformat(),
        }
        return render_template(_EDIT, segment=segment, kind=segment.kind, values=values, **_editor(session, segment))


@pages.post("/<uuid:public_id>")
@access(*MARKETING)
def save(public_id: uuid.UUID) -> ResponseReturnValue:
    """Change a segment; its kind stays."""
    ctx, values = app_context(), _form_values()
    with ctx.read() as session:
        segment = get_visible(session, public_id, viewer())
    try:
        changes: dict[str, Any] = {"name": values["name"], "description": values["description"]}
        if segment.kind == SegmentKind.DYNAMIC:
            changes["rule"] = parse_json(values["rule"])
        elif segment.kind == SegmentKind.COMBINED:
            changes |= {"operation": read_operation(values["operation"]), "inputs": _inputs(values)}
        service.update_segment(ctx, segment.id, **changes, seen=_seen(values), by=who().id)
    except MailerError as error:
        with ctx.read() as session:
            segment = get_visible(session, public_id, viewer())
            if isinstance(error, ConflictError):
                values["seen"] = segment.updated_at.isoformat()  # now they know; the next save is meant
            return page_with_problems(
                _EDIT, error, segment=segment, kind=segment.kind, values=values, **_editor(session, segment)
            )
    return done(_("Saved."), _address(segment))


@pages.post("/<uuid:public_id>/convert")
@access(*MARKETING)
def convert(public_id: uuid.UUID) -> ResponseReturnValue:
    """Freeze the members of today into a static segment."""
    ctx = app_context()
    segment = freezing.convert_to_static(ctx, _id_of(public_id), by=who().id)
    return done(_("The members of today are its list now."), _address(segment))


@pages.post("/<uuid:public_id>/delete")
@access(*MARKETING)
def delete(public_id: uuid.UUID) -> ResponseReturnValue:
    """Delete a segment that nobody uses."""
    removal.delete_segment(app_context(), _id_of(public_id), by=who().id)
    return done(_("The segment is deleted."), url_for("segments.index"))


# ------------------------------------------------------------------ what pages are made of


def _list_query() -> ListQuery:
    args = request.args
    owner, sort = args.get("owner", ""), args.get("sort", "")
    return ListQuery(
        search=args.get("q", "").strip()[:200],
        kind=args.get("kind", ""),
        owner=int(owner) if owner.isdecimal() else None,
        is_archived=args.get("archived") == "1",
        sort=sort if sort in SORTS else "name",
    )


def _sorts() -> list[tuple[str, str]]:
    words = {"name": _("name"), "changed": _("last changed"), "created": _("newest"), "uses": _("most used")}
    return [(name, words[name]) for name in SORTS]


def _recipes() -> list[tuple[Recipe, str]]:
    """Return the ready rules with the address of an editor that begins with each."""
    return [(recipe, url_for("segments.new", recipe=recipe.name)) for recipe in RECIPES]


def _free_name(recipe: Recipe) -> str:
    """Return the recipe's name, marked where a segment has it already."""
    with app_context().read() as session:
        taken = list_namesakes(session, recipe.name, None, viewer())
    return _("%(name)s (my version)", name=recipe.name) if taken else recipe.name


def _warn_of_namesakes(ctx: Context, segment: Segment) -> None:
    with ctx.read() as session:
        if list_namesakes(session, segment.name, segment.id, viewer()):
            flash(_("Another segment has the same name: “%(name)s”.", name=segment.name), "warning")


def _branches(session: Session, segment: Segment) -> list[Any]:
    try:
        return list_branches(session, segment)
    except MailerError:
        return []  # the figures beside it say what is wrong


def _editor(session: Session, segment: Segment | None = None) -> dict[str, Any]:
    others = [one for one in list_visible(session, viewer()) if segment is None or one.id != segment.id]
    return {
        "words": rule_words(session, viewer()),
        "combinable": [{"id": one.id, "name": one.name, "kind": one.kind} for one in others],
        "combined_texts": _combined_texts(),
        "operations": _operations(),
        "recipes": _recipes(),
        "people": list_staff(session),
    }


def _combined_texts() -> dict[str, str]:
    return {
        "segments": _("Segments"),
        "choose": _("choose a segment"),
        "nothing_found": _("No segment is called so."),
        "remove_value": _("Take %(value)s out"),
        "order": _("In this order: %(list)s"),
        "swap": _("Turn the order round"),
    }


def _operations() -> list[tuple[str, str, str]]:
    """Return the set operations with their names and a word on each."""
    return [
        (SegmentOperation.INTERSECTION.value, _("in all of them"), _("who is in every one")),
        (SegmentOperation.UNION.value, _("in any of them"), _("who is in at least one")),
        (SegmentOperation.ONLY_FIRST.value, _("only in the first"), _("in the first and not in the second")),
        (SegmentOperation.ONLY_SECOND.value, _("only in the second"), _("in the second and not in the first")),
        (SegmentOperation.EXACTLY_ONE.value, _("in exactly one"), _("in one of the two, not in both")),
    ]


def _form_values() -> dict[str, Any]:
    names = ("name", "description", "kind", "rule", "operation", "seen")
    values: dict[str, Any] = {name: form_text(name) for name in names}
    values["inputs"] = [name.strip() for name in request.form.getlist("inputs") if name.strip()]
    return values


def _seen(values: dict[str, Any]) -> datetime | None:
    """Return when the segment that the form shows was changed last; None where the form does not say."""
    try:
        return datetime.fromisoformat(values["seen"])
    except ValueError:
        return None


def _inputs(values: dict[str, Any]) -> list[int | str]:
    """Return the chosen segments; ids as numbers, so that no segment that is called by a number is meant."""
    return [int(text) if text.isdecimal() and len(text) < 19 else text for text in values["inputs"]]  # noqa: PLR2004 - 63 bits


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return get_visible(session, public_id, viewer()).id


def _address(segment: Segment) -> str:
    return url_for("segments.show", public_id=segment.public_id)
