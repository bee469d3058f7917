"""Public pages of consent: unsubscribe and preferences. No login, no cookie, no script; the signed token says who asks.

RFC 8058: a POST of `List-Unsubscribe=One-Click` to the address in the header ends the topic, without redirect; a GET
only shows a page, because scanners fetch links.
"""

import re

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from mailer.consent import preferences
from mailer.web.access import public
from mailer.web.requests import app_context, form_text

pages = Blueprint("public", __name__)
_NUMBER = re.compile(r"[0-9]{1,9}")


@pages.get("/u/<token>")
@public
def unsubscribe(token: str) -> ResponseReturnValue:
    """Show what would be ended; changes nothing."""
    shown = preferences.read_preferences(app_context(), token)
    return render_template("public/unsubscribe.html", shown=shown, token=token, done="")


@pages.post("/u/<token>")
@public
def end(token: str) -> ResponseReturnValue:
    """End the topic or everything; the change is committed before the answer. Any other body changes nothing."""
    ctx = app_context()
    if form_text("List-Unsubscribe") == "One-Click":
        preferences.unsubscribe_by_link(ctx, token, channel="one-click")
        return Response("unsubscribed\n", mimetype="text/plain")
    choice = form_text("what")
    shown = preferences.read_preferences(ctx, token)  # before the body is judged: a forged token tells nothing
    if choice not in ("topic", "all"):
        return make_response(render_template("public/unsubscribe.html", shown=shown, token=token, done=""), 400)
    preferences.unsubscribe_by_link(ctx, token, channel="page", everything=choice == "all")
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
    choice = form_text("what")
    if choice == "all":
        preferences.unsubscribe_by_link(ctx, token, channel="preference page", everything=True)
    elif choice == "topics":
        chosen = {int(value) for value in request.form.getlist("topic") if _NUMBER.fullmatch(value)}
        preferences.save_choices(ctx, token, chosen)
    shown = preferences.read_preferences(ctx, token)
    is_saved = choice in ("all", "topics")
    page = render_template("public/preferences.html", shown=shown, token=token, done=is_saved)
    return make_response(page, 200 if is_saved else 400)
