"""Public pages of consent: unsubscribe and preferences. No login, no cookie, no script; the signed token says who asks.

RFC 8058: a POST of `List-Unsubscribe=One-Click` to the address in the header ends the topic, without redirect; a GET
only shows a page, because scanners fetch links.
"""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from mailer.consent import preferences
from mailer.web.access import public
from mailer.web.requests import app_context, form_text

pages = Blueprint("public", __name__)


@pages.get("/u/<token>")
@public
def unsubscribe(token: str) -> ResponseReturnValue:
    """Show what would be ended; changes nothing."""
    shown = preferences.read_preferences(app_context(), token)
    return render_template("public/unsubscribe.html", shown=shown, token=token, done="")


@pages.post("/u/<token>")
@public
def end(token: str) -> ResponseReturnValue:
    """End the topic or everything; the change is committed before the answer."""
    choice = form_text("what")
    channel = "page" if choice else "one-click"
    preferences.unsubscribe_by_link(app_context(), token, channel=channel, everything=choice == "all")
    if not choice:
        return Response("unsubscribed\n", mimetype="text/plain")
    shown = preferences.read_preferences(app_context(), token)
    return render_template("public/unsubscribe.html", shown=shown, token=token, done=choice)


@pages.get("/p/<token>")
@public
def choose(token: str) -> ResponseReturnValue:
    """Show the topics with the person's choices."""
    shown = preferences.read_preferences(app_context(), token)
    return render_template("public/preferences.html", shown=shown, token=token, done=False)


@pages.post("/p/<token>")
@public
def save(token: str) -> ResponseReturnValue:
    """Save the choices at once, or withdraw all."""
    ctx = app_context()
    if form_text("what") == "all":
        preferences.unsubscribe_by_link(ctx, token, channel="preference page", everything=True)
    else:
        chosen = {int(value) for value in request.form.getlist("topic") if value.isdecimal()}
        preferences.save_choices(ctx, token, chosen)
    shown = preferences.read_preferences(ctx, token)
    return render_template("public/preferences.html", shown=shown, token=token, done=True)
