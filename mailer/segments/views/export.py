"""The members of a segment as a file to take along."""

import re
import uuid

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from mailer.segments.export import export_csv, export_workbook
from mailer.segments.views.live import viewer
from mailer.segments.visibility import get_visible
from mailer.web.access import MARKETING, access, who
from mailer.web.requests import app_context

pages = Blueprint("segment_export", __name__, url_prefix="/segments")
_TYPES = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


@pages.get("/<uuid:public_id>/members.<any(csv, xlsx):kind>")
@access(*MARKETING)
def download(public_id: uuid.UUID, kind: str) -> ResponseReturnValue:
    """Return the members of now as CSV or as a workbook."""
    ctx = app_context()
    with ctx.read() as session:
        segment = get_visible(session, public_id, viewer())
    body = (export_csv if kind == "csv" else export_workbook)(ctx, segment, by=who().id)
    response = Response(body, mimetype=_TYPES[kind])
    name = re.sub(r"[^A-Za-z0-9]+", "-", segment.name).strip("-").lower()[:60] or f"segment-{segment.id}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response
