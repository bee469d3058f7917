"""Staff pages of forms: the list, one form with its numbers and snippets, its preview, opening and closing."""

import uuid
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from mailer.campaigns.form_links import list_form_uses
from mailer.clock import utc_now
from mailer.errors import ConflictError, InputError, MailerError
from mailer.forms import queries, service
from mailer.forms.answers import Given
from mailer.forms.limits import LimiterAwayError
from mailer.forms.queries import FormLine, SignUpLine
from mailer.forms.views.public_pages import TRAP, render_form
from mailer.forms.views.words import REFUSALS
from mailer.statuses import SignUpRefusal, SignUpStatus
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.csp import ADMIN_POLICY, FRAMED, UNFRAMED
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context, done, page_with_problems

pages = Blueprint("forms", __name__, url_prefix="/forms")


@pages.get("")
@access(*MARKETING, *OPERATIONS)
def index() -> ResponseReturnValue:
    """List forms with their numbers, newest first; archived ones with `?archived=1`."""
    archived = request.args.get("archived") == "1"
    ctx = app_context()
    with ctx.read() as session:
        lines = queries.list_forms(
            session, ctx.clock.now(), archived=archived, before_id=page_key(), limit=PAGE_SIZE + 1
        )
        tripped = queries.list_tripped(session, utc_now())
    return render_template(
        "admin/forms/index.html", page=cut_page(lines, _form_key), archived=archived, tripped=tripped
    )


@pages.get("/<uuid:public_id>")
@access(*MARKETING, *OPERATIONS)
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a form: what came of it, who signed up, where it stands, how to put it into a site."""
    with app_context().read() as session:
        return render_template("admin/forms/show.html", **_values(session, public_id))


@pages.get("/<uuid:public_id>/preview")
@access(*MARKETING, *OPERATIONS)
def preview(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the form as strangers will see it, for a frame of our own; its button leads nowhere."""
    ctx = app_context()
    with ctx.read() as session:
        form = queries.get_form(session, public_id)
        page = queries.load_page(session, form, ctx.clock.now())
    html = render_form(page, Given(), nonce="", is_framed=False)
    response = Response(html, mimetype="text/html")
    policy = ADMIN_POLICY.replace(UNFRAMED, FRAMED).replace("form-action 'self'", "form-action 'none'")
    response.headers["Content-Security-Policy"] = policy
    return response


@pages.post("/<uuid:public_id>/open")
@access(*MARKETING)
def open_form(public_id: uuid.UUID) -> ResponseReturnValue:
    """Let strangers sign up; what is missing is said beside the form."""
    try:
        form = service.open_form(app_context(), public_id, by=who().id)
    except InputError as error:
        with app_context().read() as session:
            values = _values(session, public_id)
        return page_with_problems("admin/forms/show.html", error, **values)
    return done(_("%(name)s takes sign-ups now.", name=form.name), _address(public_id))


@pages.post("/<uuid:public_id>/close")
@access(*MARKETING)
def close_form(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take no more sign-ups."""
    form = service.close_form(app_context(), public_id, by=who().id)
    return done(_("%(name)s is closed. Links that were mailed before still work.", name=form.name), _address(public_id))


@pages.post("/<uuid:public_id>/archive")
@access(*MARKETING)
def archive(public_id: uuid.UUID) -> ResponseReturnValue:
    """Put a form out of sight; it can be brought back."""
    try:
        form = service.archive_form(app_context(), public_id, is_archived=True, by=who().id)
    except ConflictError as error:
        with app_context().read() as session:
            values = _values(session, public_id)
        return page_with_problems("admin/forms/show.html", error, **values)
    return done(_("%(name)s is archived and closed.", name=form.name), _address(public_id))


@pages.post("/<uuid:public_id>/unarchive")
@access(*MARKETING)
def unarchive(public_id: uuid.UUID) -> ResponseReturnValue:
    """Bring a form back, closed."""
    form = service.archive_form(app_context(), public_id, is_archived=False, by=who().id)
    return done(_("%(name)s is back. Open it when it should take sign-ups.", name=form.name), _address(public_id))


@pages.post("/<uuid:public_id>/release")
@access(*MARKETING, *OPERATIONS)
def release(public_id: uuid.UUID) -> ResponseReturnValue:
    """Let a form that rests after a flood take sign-ups at once."""
    try:
        service.release_form(app_context(), public_id, by=who().id)
    except LimiterAwayError as error:
        raise MailerError(_("Redis does not answer"), mend=_("try again in a moment")) from error
    return done(_("The form takes sign-ups again."), _address(public_id))


def _values(session: Session, public_id: uuid.UUID) -> dict[str, Any]:
    ctx = app_context()
    form = queries.get_form(session, public_id)
    status = request.args.get("status", "")
    lines = queries.list_sign_ups(session, form.id, status=status, before_id=page_key(), limit=PAGE_SIZE + 1)
    page = queries.load_page(session, form, ctx.clock.now())
    return {
        "form": form,
        "public": page,
        "is_open": page.is_open,
        "is_resting": queries.is_resting(form, utc_now()),
        "numbers": queries.count_numbers(session, [form.id]).get(form.id, queries.Numbers()),
        "refusals": [
            (REFUSALS[SignUpRefusal(reason)], n) for reason, n in queries.count_refusals(session, form.id).items()
        ],
        "words": REFUSALS,
        "page": cut_page(lines, _sign_up_key),
        "status": status,
        "statuses": list(SignUpStatus),
        "missing": service.why_not_open(session, form),
        "uses": list_form_uses(session, form),
        "wordings": queries.list_wordings(session, form.id),
        "sender": queries.find_sender_name(session, form),
        "hosted": f"{ctx.settings.public_url}/f/{form.public_id}",
        "trap": TRAP,
    }


def _form_key(line: FormLine) -> int:
    return line.form.id


def _sign_up_key(line: SignUpLine) -> int:
    return line.sign_up.id


def _address(public_id: uuid.UUID) -> str:
    return url_for("forms.show", public_id=public_id)
