"""View in browser: a public page of one mail; noindex, no-store, no script, no cookie."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from mailer.delivery.viewing import render_view
from mailer.web.access import public
from mailer.web.csp import mail_response
from mailer.web.requests import app_context

pages = Blueprint("view", __name__)


@pages.get("/v/<token>")
@public
def show(token: str) -> ResponseReturnValue:
    """Return the mail as a page of its own."""
    return mail_response(render_view(app_context(), token), framed=False)
