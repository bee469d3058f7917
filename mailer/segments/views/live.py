"""Fragments of segment pages: what a rule or set operation means now, values to choose from, why somebody is in."""

import uuid
from datetime import date
from time import perf_counter
from typing import Any

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.contacts.queries import find_address, get_contact, list_by_email, list_contacts
from mailer.errors import InputError, MailerError, NotFoundError
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment
from mailer.segments import queries
from mailer.segments.chosen import business_day
from mailer.segments.cost import estimate_cost
from mailer.segments.doubts import list_doubts
from mailer.segments.indexes import create_index
from mailer.segments.memberlist import list_member_lines
from mailer.segments.parts import count_parts, list_branches
from mailer.segments.queries import Source
from mailer.segments.rules import named_segments, parse_json
from mailer.segments.suggestions import LIMIT, Suggestion, Suggestions, list_suggestions
from mailer.segments.tree import Group
from mailer.segments.turns import newest_only
from mailer.segments.uses import list_used
from mailer.segments.views.words import closed_choices
from mailer.segments.visibility import Viewer, get_visible, list_visible, make_viewer, require_visible
from mailer.statuses import SegmentOperation
from mailer.web.access import MARKETING, access, who
from mailer.web.formats import number as shown_number
from mailer.web.requests import app_context, form_text, problems_of

pages = Blueprint("segment_live", __name__, url_prefix="/segments")
SAMPLE = 10


@pages.post("/preview")
@access(*MARKETING)
def preview() -> ResponseReturnValue:
    """Return sentence, count and ten people of the rule in the editor, or what is wrong with it."""
    with app_context().read() as session, newest_only(session, f"rule {who().id} {form_text('turn')[:20]}"):
        try:
            group = _read_rule(session)
        except MailerError as error:
            return render_template("admin/segments/preview.html", problems=problems_of(error))
        doubts = list_doubts(session, group)
        return render_template("admin/segments/preview.html", doubts=doubts, **look(session, group))


@pages.post("/indexes")
@access(*MARKETING)
def index_field() -> ResponseReturnValue:
    """Make the index of a field, which the editor offers where a rule would be slow without."""
    try:
        create_index(app_context(), form_text("field"))
    except MailerError as error:
        return render_template("admin/segments/indexed.html", problem=error.message)
    return render_template("admin/segments/indexed.html", problem="")


@pages.post("/parts")
@access(*MARKETING)
def parts() -> ResponseReturnValue:
    """Return the figures of the set operation in the editor, part by part."""
    operation = read_operation(form_text("operation"))
    with app_context().read() as session, newest_only(session, f"parts {who().id} {form_text('turn')[:20]}"):
        known = {str(one.id): one for one in list_visible(session, viewer())}
        operands = [known[text] for text in request.form.getlist("inputs") if text in known]
        return render_template("admin/segments/parts.html", **figures(session, operation, operands, _own_id()))


@pages.get("/<uuid:public_id>/parts")
@access()
def stored_parts(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the figures of a combined segment, part by part; its page asks for them when it is there."""
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        operands = list(queries.list_inputs(session, segment.id))
        shown = figures(session, read_operation(str(segment.operation)), operands)
        return render_template("admin/segments/parts.html", **shown)


@pages.get("/values")
@access(*MARKETING)
def values() -> ResponseReturnValue:
    """Return values of a field as JSON, the most frequent first: `{items: [{value, label, count, hint}], note}`."""
    field, search = request.args.get("field", ""), request.args.get("q", "")
    campaigns = [int(text) for text in request.args.get("campaign", "").split(",") if text.isdecimal()][:20]
    with app_context().read() as session:
        try:
            found = list_suggestions(session, field, search, viewer=viewer(), campaigns=campaigns)
        except MailerError:
            found = Suggestions(())  # people can still type
        choices = closed_choices(session, field)
    if choices is not None:
        found = _complete(found, choices, search)
    items = [{"value": one.value, "label": one.label, "count": one.count, "hint": one.hint} for one in found.items]
    return jsonify({"items": items, "note": _note(found)})


@pages.get("/people")
@access()
def people() -> ResponseReturnValue:
    """Return people by a part of their name or address as JSON: `{items: [{value, label, hint}]}`."""
    with app_context().read() as session:
        found = list_contacts(session, search=request.args.get("q", ""), limit=8)
    items = []
    for one in found:
        name = f"{one.first_name} {one.last_name}".strip()
        items.append({"value": str(one.public_id), "label": name or one.email or str(one.id), "hint": one.email or ""})
    return jsonify({"items": items, "note": ""})


@pages.post("/why")
@access(*MARKETING)
def why() -> ResponseReturnValue:
    """Return why a contact is in the rule in the editor or not, line by line."""
    with app_context().read() as session:
        try:
            source: Source = _read_rule(session)
            return _explained(session, source, _find_contact(session, form_text("contact"), ""))
        except MailerError as error:
            return render_template("admin/segments/explain.html", contact=None, problems=problems_of(error))


@pages.get("/<uuid:public_id>/explain")
@access()
def explain(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return why a contact is in a segment or not, line by line; `?contact=` or `?email=` says who."""
    with app_context().read() as session:
        segment = get_visible(session, public_id, viewer())
        try:
            contact = _find_contact(session, request.args.get("contact", ""), request.args.get("email", ""))
            return _explained(session, segment, contact)
        except MailerError as error:
            return render_template("admin/segments/explain.html", contact=None, problems=problems_of(error))


def _explained(session: Session, source: Source, contact: Contact | None) -> str:
    day = today()
    address = find_address(session, contact) if contact else None
    return render_template(
        "admin/segments/explain.html",
        contact=contact,
        email=address.email if address else "",
        reasons=queries.list_reasons(session, source, contact.id, day) if contact else [],
        is_in=queries.is_member(session, source, contact.id, day) if contact else False,
        is_asked=True,
    )


def _find_contact(session: Session, public_id: str, email: str) -> Contact | None:
    if email.strip():
        found = list_by_email(session, email)
        return found[0] if found else None
    return get_contact(session, read_uuid(public_id)) if public_id else None


# ------------------------------------------------------------------ shared with the pages


def look(session: Session, source: Source) -> dict[str, Any]:
    """Return what is shown of a segment or an unsaved rule; a problem instead of figures where it cannot be asked."""
    shown: dict[str, Any] = {"sentence": "", "number": None, "sample": [], "milliseconds": 0, "cost": None}
    started = perf_counter()
    try:
        shown["sentence"] = queries.describe_segment(session, source)
        shown["cost"] = estimate_cost(session, source)
        shown["number"] = queries.count_members(session, source, today())
        shown["milliseconds"] = round((perf_counter() - started) * 1000)
        shown["sample"] = list_member_lines(session, source, today(), limit=SAMPLE)
    except MailerError as error:
        shown["problems"] = problems_of(error)
    return shown


def figures(
    session: Session, operation: SegmentOperation, operands: list[Segment], own_id: int | None = None
) -> dict[str, Any]:
    """Return what is shown of a set operation: the numbers of its parts, or what is missing."""
    if len(operands) < 2:  # noqa: PLR2004 - one alone is no combination
        return {"operation": operation, "figures": None, "problems": []}
    try:
        for operand in operands:
            branches = list_branches(session, operand)
            if own_id is not None and own_id in {branch.segment.id for branch in branches}:
                raise InputError(_("“%(name)s” is made of this segment: it would go round", name=operand.name))
        return {"operation": operation, "figures": count_parts(session, operation, operands, today()), "problems": []}
    except MailerError as error:
        return {"operation": operation, "figures": None, "problems": problems_of(error)}


def read_operation(text: str) -> SegmentOperation:
    """Return the operation of that name; in all of them where there is none."""
    return SegmentOperation(text) if text in set(SegmentOperation) else SegmentOperation.INTERSECTION


def read_uuid(text: str) -> uuid.UUID:
    """Return a public id, NotFoundError where it is none."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(_("nobody has this address")) from error


def viewer() -> Viewer:
    """Return who is signed in, as one who sees segments."""
    user = who()
    return make_viewer(user.id, user.role)


def today() -> date:
    """Return the day that rules are asked on: the workspace's, so that pages, commands and campaigns agree."""
    with app_context().read() as session:
        return business_day(app_context(), session)


def _read_rule(session: Session) -> Group:
    """Return the rule in the editor; NotFoundError where it asks about a segment that the reader may not see."""
    group = queries.read_rule(session, parse_json(form_text("rule")))
    known = list_used(session, "segment", _own_id() or 0)
    named = [queries.get_segment(session, name) for name in named_segments(group)]
    require_visible(session, [one for one in named if one.id not in known], who().id)
    return group


def _own_id() -> int | None:
    text = form_text("segment")
    return int(text) if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 - 63 bits


def _complete(found: Suggestions, choices: list[tuple[str, str]], search: str) -> Suggestions:
    """Return every choice of a closed list with its number, also those that nobody has."""
    numbers = {one.value: one.count or 0 for one in found.items}
    wanted = search.strip().casefold()
    listed = [Suggestion(value, label, numbers.get(value, 0)) for value, label in choices if wanted in label.casefold()]
    return Suggestions(sorted(listed, key=lambda one: -(one.count or 0)), looked_at=found.looked_at)


def _note(found: Suggestions) -> str:
    parts = []
    if found.has_more:
        parts.append(_("The first %(limit)d; type to find others.", limit=LIMIT))
    if found.looked_at:
        parts.append(_("Counted over the newest %(number)s contacts.", number=shown_number(found.looked_at)))
    return " ".join(parts)
