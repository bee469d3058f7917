"""Public pages of consent: unsubscribe and preferences. No login, no cookie, no script; the signed token says who asks.

RFC 8058: a POST of `List-Unsubscribe=One-Click` to the address in the header ends the topic, without redirect; a GET
only shows a page, because scanners fetch links. Every other change is a POST that says `what`, answered by a page.
"""

import re

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from mailer.consent import preferences
from mailer.consent.preferences import LANGUAGES, PAUSES, Preferences
from mailer.context import Context
from mailer.statuses import LeaveReason
from mailer.web.access import public
from mailer.web.requests import app_context, form_text

pages = Blueprint("public", __name__)
_NUMBER = re.compile(r"[0-9]{1,9}")


@pages.get("/u/<token>")
@public
def unsubscribe(token: str) -> ResponseReturnValue:
    """Show what would be ended; changes nothing."""
    return _leaving(token, preferences.read_preferences(app_context(), token))


@pages.post("/u/<token>")
@public
def end(token: str) -> ResponseReturnValue:
    """End the topic or everything; the change is committed before the answer. Any other body changes nothing."""
    ctx = app_context()
    if form_text("List-Unsubscribe") == "One-Click":
        preferences.unsubscribe_by_link(ctx, token, channel=preferences.ONE_CLICK)
        return Response("unsubscribed\n", mimetype="text/plain")
    what = form_text("what")
    shown = preferences.read_preferences(ctx, token)  # before the body is judged: a forged token tells nothing
    if what in ("topic", "all"):
        undo = preferences.unsubscribe_by_link(ctx, token, channel="page", everything=what == "all")
        return _leaving(token, preferences.read_preferences(ctx, token), done=what, undo=undo)
    if what == "undo":
        preferences.undo_by_link(ctx, token, form_text("undo"))
        return _choosing(token, preferences.read_preferences(ctx, token), done="undone")
    if what == "answer":
        preferences.record_answer(ctx, token, form_text("undo"), form_text("reason"), form_text("note"))
        return _leaving(token, shown, done="answered", undo=form_text("undo"))
    return make_response(_leaving(token, shown), 400)


@pages.get("/p/<token>")
@public
def choose(token: str) -> ResponseReturnValue:
    """Show the topics with the person's choices."""
    return _choosing(token, preferences.read_preferences(app_context(), token))


@pages.post("/p/<token>")
@public
def save(token: str) -> ResponseReturnValue:
    """Save the choices, pause, withdraw all, or take back the last change; each at once."""
    ctx = app_context()
    shown = preferences.read_preferences(ctx, token)
    what = form_text("what")
    done, undo = "saved", ""
    if what == "all":
        done, undo = "all", preferences.unsubscribe_by_link(ctx, token, channel="preference page", everything=True)
    elif what == "topics":
        undo = _save_choices(ctx, token)
    elif what == "pause" and _NUMBER.fullmatch(form_text("days")):
        preferences.pause_by_link(ctx, token, int(form_text("days")))
        done = "paused"
    elif what == "resume":
        preferences.pause_by_link(ctx, token, 0)
        done = "resumed"
    elif what == "undo":
        preferences.undo_by_link(ctx, token, form_text("undo"))
        done = "undone"
    else:
        return make_response(_choosing(token, shown), 400)
    return _choosing(token, preferences.read_preferences(ctx, token), done=done, undo=undo)


def _save_choices(ctx: Context, token: str) -> str:
    """Save what the form holds; what it does not ask for stays as it is."""
    chosen = {int(value) for value in request.form.getlist("topic") if _NUMBER.fullmatch(value)}
    allows = form_text("tracking") == "1" if "asks_tracking" in request.form else None
    return preferences.save_choices(
        ctx, token, chosen, language=form_text("language") or None, allows_tracking=allows
    )  # fmt: skip


def _leaving(token: str, shown: Preferences, *, done: str = "", undo: str = "") -> str:
    return render_template(
        "public/unsubscribe.html", shown=shown, token=token, done=done, undo=undo, reasons=list(LeaveReason)
    )


def _choosing(token: str, shown: Preferences, *, done: str = "", undo: str = "") -> str:
    return render_template(
        "public/preferences.html",
        shown=shown, token=token, done=done, undo=undo, pauses=PAUSES, languages=LANGUAGES,
    )  # fmt: skip
