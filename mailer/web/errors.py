"""Errors as pages, or as short texts for fragments: what is wrong, where, and how to mend it."""

from flask import Flask, Response, make_response, render_template
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, OperationalError
from werkzeug.exceptions import HTTPException

from mailer.errors import (
    ConflictError,
    InputError,
    MailerError,
    NotAllowedError,
    NotFoundError,
    UntrustedRequestError,
)
from mailer.log import get_logger
from mailer.web.requests import is_fragment, problems_of

log = get_logger("web")
STATUS: tuple[tuple[type[MailerError], int], ...] = (
    (InputError, 400),
    (UntrustedRequestError, 404),
    (NotFoundError, 404),
    (NotAllowedError, 403),
    (ConflictError, 409),
    (MailerError, 503),
)


def handle_errors(app: Flask) -> None:
    """Register the error pages."""
    app.register_error_handler(MailerError, _ours)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OperationalError, _no_database)
    for kind in (DataError, OverflowError):
        app.register_error_handler(kind, _unkept)
    app.register_error_handler(500, _bug)


def status_of(error: MailerError) -> int:
    """Return the HTTP status that an error of ours is answered with."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def _ours(error: MailerError) -> Response:
    status = status_of(error)
    if is_fragment():
        return make_response(str(error.message), status, {"Content-Type": "text/plain; charset=utf-8"})
    return _page(status, _title(status), problems_of(error))


def _http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:  # noqa: PLR2004 - redirects are raised as errors too
        return error
    if is_fragment():
        return make_response(_title(status), status, {"Content-Type": "text/plain; charset=utf-8"})
    return _page(status, _title(status), [])


def _stale_form(error: CSRFError) -> Response:
    del error
    text = _("This form is too old, or came from elsewhere. Load the page again and repeat; nothing was changed.")
    if is_fragment():
        return make_response(text, 400, {"Content-Type": "text/plain; charset=utf-8"})
    return _page(400, text, [])


def _no_database(error: OperationalError) -> Response:
    log.error("database_away", error=type(error.orig).__name__)
    return make_response(_("The database cannot be reached. Try again in a moment."), 503, {"Retry-After": "5"})


def _unkept(error: Exception) -> Response:
    """Answer an address or a form that holds what no database keeps: NUL in a text, a number of thirty digits."""
    log.warning("request_holds_nonsense", error=type(error).__name__)
    return _ours(InputError(_("this holds a number too large, or a character that no database keeps")))


def _bug(error: Exception) -> Response:
    log.error("request_failed", error=type(getattr(error, "original_exception", error)).__name__)
    return _page(500, _title(500), [])


def _page(status: int, title: str, problems: object) -> Response:
    template = "admin/error.html" if current_user.is_authenticated else "public/error.html"
    return make_response(render_template(template, status=status, title=title, problems=problems), status)


def _title(status: int) -> str:
    titles = {
        400: _("That cannot be done as it was asked"),
        403: _("You have no right to do this"),
        404: _("There is no such page"),
        405: _("This address cannot be used so"),
        409: _("That is not possible now"),
        413: _("The file is too large"),
        429: _("Too many requests; wait a minute"),
        500: _("Something went wrong on our side"),
        503: _("Not possible at the moment"),
    }
    return str(titles.get(status) or _("The server answered %(status)d", status=status))
