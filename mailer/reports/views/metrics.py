"""`/metrics` for Prometheus: with a token where one is set, else from this machine only."""

import hmac

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from mailer.reports.metrics import CONTENT_TYPE, collect_metrics, render_metrics
from mailer.settings import is_loopback
from mailer.web.access import public
from mailer.web.requests import app_context

pages = Blueprint("metrics", __name__)
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


@pages.get("/metrics")
@public
def show() -> ResponseReturnValue:
    """Return the metrics; 403 for everybody else."""
    ctx = app_context()
    if not _may_read(ctx.settings.metrics_token.get_secret_value()):
        return Response("metrics need a token (MAILER_METRICS_TOKEN)\n", status=403, mimetype="text/plain")
    with ctx.read() as session:
        text = render_metrics(collect_metrics(session, ctx))
    return Response(text, content_type=CONTENT_TYPE)


def _may_read(token: str) -> bool:
    """Ask for the token where there is one; without it nobody may who comes from elsewhere, also through a proxy."""
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), token.encode())
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    return not is_forwarded and is_loopback(request.remote_addr or "")
