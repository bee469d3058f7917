"""The import wizard: upload, say what the columns are and what permits mail, try, run; the list of imports."""

import shutil
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.utils import secure_filename

from mailer.consent.queries import list_topics
from mailer.contacts.queries import list_fields
from mailer.context import Context
from mailer.errors import InputError, MailerError, NotFoundError
from mailer.imports import service
from mailer.imports.mapping import CONTACT_FIELDS
from mailer.imports.queries import get_by_public_id
from mailer.imports.service import ImportOptions, ImportResult
from mailer.imports.uploads import find_upload, make_upload, read_head
from mailer.log import get_logger
from mailer.schema.imports import ImportRun
from mailer.statuses import Basis, ImportStatus
from mailer.web.access import MARKETING, access, takes_upload, who
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("imports", __name__, url_prefix="/imports")
log = get_logger("imports")
MAX_UPLOAD_BYTES = 512 * 1024 * 1024
_MAP = "admin/imports/map.html"


@pages.get("")
@access(*MARKETING)
def index() -> ResponseReturnValue:
    """List imports, newest first; it refreshes itself while one is running."""
    with app_context().read() as session:
        rows = service.list_imports(session, before_id=page_key(), limit=PAGE_SIZE + 1)
    is_moving = any(row.status == ImportStatus.RUNNING for row in rows)
    return render_template("admin/imports/index.html", page=cut_page(rows, _key), is_moving=is_moving)


@pages.get("/new")
@access(*MARKETING)
def new() -> ResponseReturnValue:
    """Ask for a file."""
    return render_template("admin/imports/new.html")


@pages.post("/new")
@takes_upload(MAX_UPLOAD_BYTES)
@access(*MARKETING)
def upload() -> ResponseReturnValue:
    """Keep the file and go on to its columns."""
    ctx = app_context()
    sent, pasted = request.files.get("file"), request.form.get("pasted", "").strip()
    if sent is not None and sent.filename:
        key, path = make_upload(ctx, secure_filename(sent.filename))
        sent.save(path)
        sent.close()
    elif pasted:
        key, path = make_upload(ctx, "pasted.csv")
        path.write_text(pasted + "\n", encoding="utf-8")
    else:
        error = InputError(_("no file was chosen and nothing was pasted"), where="file")
        return page_with_problems("admin/imports/new.html", error)
    try:
        read_head(ctx, path)
    except InputError as error:
        shutil.rmtree(path.parent)
        return page_with_problems("admin/imports/new.html", error)
    return redirect(url_for("imports.columns", key=key), code=303)


@pages.get("/file/<uuid:key>")
@access(*MARKETING)
def columns(key: uuid.UUID) -> ResponseReturnValue:
    """Show the columns with the first rows, and ask what permits mail to these people."""
    return render_template(_MAP, **_map_values(key, {}, {"topics": []}))


@pages.post("/file/<uuid:key>")
@access(*MARKETING)
def run(key: uuid.UUID) -> ResponseReturnValue:
    """Count what would happen, or import."""
    ctx, path = app_context(), find_upload(app_context(), key)
    values: dict[str, Any] = {name: form_text(name) for name in ("basis", "source")}
    values |= {"topics": request.form.getlist("topics"), "no_topics": form_text("no_topics")}
    mapping = {
        name.removeprefix("column."): value for name, value in request.form.items() if name.startswith("column.")
    }
    try:
        if bool(values["topics"]) == bool(values["no_topics"]):
            raise InputError(_("say which topics they get, or that they get none"), where="topics")
        options = ImportOptions(
            basis=values["basis"], source=values["source"], topics=tuple(values["topics"]), mapping=mapping, by=who().id
        )
        if form_text("run") != "1":
            tried = service.import_contacts(ctx, path, options, is_dry_run=True)
            return render_template(_MAP, tried=tried, **_map_values(key, mapping, values))
        service.preview_contacts(ctx, path, mapping)
    except MailerError as error:
        return page_with_problems(_MAP, error, **_map_values(key, mapping, values))
    _start(ctx, path, options)
    return done(_("The import is running."), url_for("imports.index"))


@pages.get("/<uuid:public_id>/refused.csv")
@access(*MARKETING)
def refused(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the rows that were refused, each with its reason."""
    with app_context().read() as session:
        row = get_by_public_id(session, public_id)
    if not row.refused_path or not Path(row.refused_path).is_file():
        raise NotFoundError(_("there is no file of refused rows; they are kept for seven days"))
    response = Response(Path(row.refused_path).read_bytes(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="refused-{row.id}.csv"'
    return response


def _start(ctx: Context, path: Path, options: ImportOptions) -> None:
    """Import in a thread of this process. Killed with it, the same file goes on where it stopped (K3)."""
    threading.Thread(target=_import, args=(ctx, path, options), name="import", daemon=True).start()


def _import(ctx: Context, path: Path, options: ImportOptions) -> ImportResult | None:
    try:
        return service.import_contacts(ctx, path, options)
    except MailerError as error:
        log.warning("import_failed", error=type(error).__name__)
    except Exception:
        log.exception("import_failed")  # the door of the thread; the row of the import says what happened
    return None


def _map_values(key: uuid.UUID, mapping: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    ctx = app_context()
    path = find_upload(ctx, key)
    head = read_head(ctx, path)
    chosen = [mapping.get(name, guess) for name, guess in zip(head.header, head.guessed, strict=True)]
    with ctx.read() as session:
        topics = list_topics(session)
        own = [(field.key, field.label) for field in list_fields(session)]
    return {
        "key": key,
        "file_name": path.name,
        "head": head,
        "chosen": chosen,
        "topics": topics,
        "field_choices": [*((name, name.replace("_", " ").capitalize()) for name in CONTACT_FIELDS), *own],
        "bases": list(Basis),
        "values": values,
    }


def _key(row: ImportRun) -> int:
    return row.id
