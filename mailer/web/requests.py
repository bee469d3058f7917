"""What a view needs of its request: the context, the page's problems, values of forms."""

from collections.abc import Sequence
from typing import Any, cast

from flask import Response, current_app, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from mailer.context import Context
from mailer.errors import InputError, MailerError, Problem

EXTENSION = "mailer"
_LOOPBACK = ("127.0.0.1", "::1", "")


def app_context() -> Context:
    """Return the context that the application was made with."""
    return cast("Context", current_app.extensions[EXTENSION])


def is_fragment() -> bool:
    """Return whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def form_text(name: str, default: str = "") -> str:
    """Return a form value without surrounding white space, and without NUL, which no database keeps."""
    return request.form.get(name, default).replace("\0", "").strip()


def client_ip() -> str:
    """Return who asks, by IP; a proxy on this host is believed, nobody else."""
    remote = request.remote_addr or ""
    forwarded = request.headers.get("X-Forwarded-For", "")
    return forwarded.rpartition(",")[2].strip() if forwarded and remote in _LOOPBACK else remote


def problems_of(error: MailerError) -> Sequence[Problem]:
    """Return what is wrong as problems that stand beside form fields."""
    return error.problems if isinstance(error, InputError) else [Problem("", error.message, error.mend)]


def page_with_problems(template: str, error: MailerError, **values: Any) -> Response:
    """Return a form's page again with what is wrong (400), all that was typed kept in `values`."""
    return make_response(render_template(template, problems=problems_of(error), **values), 400)


def done(message: str, location: str, *, kind: str = "success") -> BaseResponse:
    """Return a redirect to `location`, where `message` is shown once."""
    flash(message, kind)
    if is_fragment():
        response = Response(status=204)
        response.headers["HX-Redirect"] = location
        return response
    return redirect(location, code=303)
