"""Designs: the gallery, a preview of one, and an editor for own MJML."""

import json
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup

from mailer.content.designs import DesignSource, sample_context
from mailer.content.service import ContentSpec, get_design_source, list_designs, render_preview, save_design
from mailer.errors import InputError, MailerError
from mailer.web.access import MARKETING, access
from mailer.web.csp import mail_response
from mailer.web.requests import app_context, done, form_text, page_with_problems, problems_of

pages = Blueprint("designs", __name__, url_prefix="/designs")
_EDIT = "admin/content/design_edit.html"


@pages.get("")
@access(*MARKETING)
def index() -> ResponseReturnValue:
    """Show starters and own designs."""
    with app_context().read() as session:
        designs = list_designs(session)
    return render_template("admin/content/designs.html", designs=designs)


@pages.get("/preview")
@access(*MARKETING)
def preview() -> ResponseReturnValue:
    """Return a design with sample values as a page of its own."""
    with app_context().read() as session:
        design = get_design_source(session, request.args.get("name", ""))
    return _rendered(design.mjml, design.data)


@pages.get("/edit")
@access(*MARKETING)
def edit() -> ResponseReturnValue:
    """Show the editor, filled from `?source=`; a starter becomes a copy with a name to choose."""
    name = request.args.get("source", "")
    with app_context().read() as session:
        design = get_design_source(session, name) if name else None
    return render_template(_EDIT, values=_values(design))


@pages.post("")
@access(*MARKETING)
def save() -> ResponseReturnValue:
    """Store an own design, new or over the one of that name."""
    values = {name: form_text(name) for name in ("name", "description", "mjml", "data")}
    try:
        if not values["name"]:
            raise InputError(_("a design needs a name"), where="name")
        data = _read_data(values["data"])
        save_design(app_context(), values["name"], values["mjml"], description=values["description"], data=data)
    except MailerError as error:
        return page_with_problems(_EDIT, error, values=values)
    return done(_("The design is saved."), url_for("designs.index"))


@pages.post("/try")
@access(*MARKETING)
def try_out() -> ResponseReturnValue:
    """Return what is in the editor as a page of its own, or what is wrong with it."""
    try:
        return _rendered(form_text("mjml"), _read_data(form_text("data")))
    except MailerError as error:
        return mail_response(_as_list(error), framed=True)


def _rendered(mjml: str, data: dict[str, Any]) -> ResponseReturnValue:
    spec = ContentSpec(mjml=mjml, subject="Preview", data=data)
    _subject, html, _text = render_preview(spec, sample_context(data))
    return mail_response(html, framed=True)


def _as_list(error: MailerError) -> str:
    lines = Markup("").join(
        Markup("<li><b>{}</b> {} {}</li>").format(problem.where, problem.what, problem.mend)
        for problem in problems_of(error)
    )
    return Markup('<meta charset="utf-8"><ul style="font: 15px/1.6 sans-serif; color: #a4252f">{}</ul>').format(lines)


def _values(design: DesignSource | None) -> dict[str, str]:
    if design is None:
        return {"name": "", "description": "", "mjml": "", "data": "{}"}
    return {
        "name": "" if design.is_starter else design.name,
        "description": design.description,
        "mjml": design.mjml,
        "data": json.dumps(design.data, indent=2, ensure_ascii=False),
    }


def _read_data(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise InputError(_("this is not JSON: %(what)s", what=str(error)), where="data") from error
    if not isinstance(data, dict):
        raise InputError(_("sample values are an object"), where="data", mend='{"name": "value"}')
    return data
