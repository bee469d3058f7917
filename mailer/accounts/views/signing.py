"""Signing in and out, and one's own password."""

from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_user, logout_user

from mailer.accounts import service
from mailer.errors import MailerError
from mailer.schema.accounts import Staff
from mailer.statuses import Role
from mailer.web.access import CurrentUser, access, public, who
from mailer.web.requests import app_context, done, form_text, page_with_problems

pages = Blueprint("accounts", __name__)


def current_user_of(staff: Staff) -> CurrentUser:
    """Return a member of staff as views see them."""
    return CurrentUser(
        id=staff.id,
        public_id=staff.public_id,
        email=staff.email,
        name=staff.name,
        role=Role(staff.role),
        timezone=staff.timezone,
        session_version=staff.session_version,
        must_change_password=staff.must_change_password,
    )


@pages.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    """Show the form."""
    return render_template("admin/accounts/sign_in.html", next=_own_path(request.args.get("next", "")))


@pages.post("/sign-in")
@public
def enter() -> ResponseReturnValue:
    """Check address and password; start a session."""
    wanted = _own_path(form_text("next"))
    try:
        staff = service.authenticate(app_context(), form_text("email"), request.form.get("password", ""))
    except MailerError as error:
        return page_with_problems("admin/accounts/sign_in.html", error, next=wanted, email=form_text("email"))
    _start_session(staff)
    return redirect(wanted or url_for("accounts.home"), code=303)


@pages.get("/")
@access()
def home() -> ResponseReturnValue:
    """Lead to the page that a person begins with."""
    start = "followups.index" if who().role is Role.SALES else "dashboard.show"
    return redirect(url_for(start))


@pages.post("/sign-out")
@access()
def sign_out() -> ResponseReturnValue:
    """End this session."""
    logout_user()
    session.clear()
    return redirect(url_for("accounts.sign_in"), code=303)


@pages.get("/account/password")
@access()
def change_password() -> ResponseReturnValue:
    """Show the form."""
    return render_template("admin/accounts/password.html")


@pages.post("/account/password")
@access()
def save_password() -> ResponseReturnValue:
    """Change the password; this session goes on as a new one, all others end."""
    old, new = request.form.get("old", ""), request.form.get("password", "")
    try:
        staff = service.change_password(app_context(), who().id, old, new)
    except MailerError as error:
        return page_with_problems("admin/accounts/password.html", error)
    _start_session(staff)
    return done(_("The password is changed. Other sessions have ended."), url_for("accounts.home"))


def _start_session(staff: Staff) -> None:
    session.clear()  # nothing of an earlier session lives on (session fixation)
    session.permanent = True
    login_user(current_user_of(staff))


def _own_path(target: str) -> str:
    """Return `target` where it is a path of ours, else nothing: no open redirect."""
    parts = urlsplit(target)
    is_ours = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if is_ours else ""
