"""The public pages of a form: hosted, framed by other sites, posted to from other sites; and the link that confirms.

No login, no cookie, no script. Who may frame a form (CSP level 3, frame-ancestors) and whose scripts may post to it
(CORS, Fetch standard) is the form's own list of sites; a plain HTML form of any site ends on our page first, because
only our pages carry a nonce. GET and HEAD change nothing (RFC 9110, section 9.2.1).
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_babel import gettext as _

from mailer.errors import NotFoundError
from mailer.forms import confirm as confirming
from mailer.forms import queries
from mailer.forms.answers import Given
from mailer.forms.confirm import Confirmation, Standing
from mailer.forms.known import Opened, open_link
from mailer.forms.queries import FormPage
from mailer.forms.spec import ACCENT, ink_on
from mailer.forms.submit import Answer, Outcome, Submission, Visitor, first_nonce, submit_form
from mailer.forms.views.words import FAULTS, OUTCOMES, STANDINGS
from mailer.schema.forms import Form
from mailer.statuses import FormState
from mailer.web.access import public
from mailer.web.requests import app_context, client_ip

pages = Blueprint("signup", __name__)
TRAP = "url"
"""The field that people do not see; robots like its name."""
MAX_BYTES = 64 * 1024
_AUTOCOMPLETE = {
    "first_name": "given-name", "last_name": "family-name", "company": "organization", "title": "organization-title",
    "phone": "tel", "city": "address-level2", "country": "country-name",
}  # fmt: skip
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; "
    "form-action {actions}; frame-ancestors {ancestors}"
)


@pages.get("/f/<uuid:public_id>", provide_automatic_options=False)
@public
def show(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a form as a page of its own."""
    return _show(_load(public_id), is_framed=False)


@pages.get("/f/<uuid:public_id>/embed")
@public
def embed(public_id: uuid.UUID) -> ResponseReturnValue:
    """Show a form for a frame in one of its sites."""
    return _show(_load(public_id), is_framed=True)


@pages.post("/f/<uuid:public_id>", provide_automatic_options=False)
@public
def submit(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take a sign-up from our own page, a plain form of another site, or a script of an allowed site (JSON)."""
    return _submit(public_id, is_framed=False)


@pages.post("/f/<uuid:public_id>/embed")
@public
def submit_embed(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take a sign-up from the frame."""
    return _submit(public_id, is_framed=True)


@pages.get("/f/m/<token>")
@public
def show_known(token: str) -> ResponseReturnValue:
    """Show the form that a link of a mail opens, filled in with what it may show; changes nothing."""
    opened = _open_link(token)
    if not opened.page.is_open:
        return _instead(opened)
    given = Given(texts=opened.known.texts) if opened.known else Given()
    return _render_known(opened, token, given, nonce=first_nonce(app_context(), opened.page))


@pages.post("/f/m/<token>")
@public
def submit_known(token: str) -> ResponseReturnValue:
    """Take what somebody sends who came by a link of a mail."""
    opened = _open_link(token)
    given = _read_given(opened.page)
    submission = Submission(
        given=given,
        nonce=_text("nonce"),
        honeypot=_text(TRAP),
        visitor=_visitor(),
        is_foreign=not _is_own(request.headers.get("Origin", "")),
        known=opened.known,
    )
    answer = submit_form(app_context(), opened.page, submission)

    def again(**shown: Any) -> str:
        return _render_known(opened, token, given, **shown)

    return _answer(opened.page, answer, again, is_framed=False)


@pages.route("/f/<uuid:public_id>", methods=["OPTIONS"])
@public
def preflight(public_id: uuid.UUID) -> ResponseReturnValue:
    """Answer a browser that asks whether a script may post; only allowed sites hear a yes."""
    _load(public_id)
    return Response(status=204)


@pages.get("/f/<uuid:public_id>/nonce")
@public
def nonce(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return a nonce for a script of an allowed site, as JSON; it is asked for when the form is shown."""
    page = _load(public_id)
    return jsonify({"nonce": first_nonce(app_context(), page), "open": page.is_open})


@pages.get("/f/<uuid:public_id>/done")
@public
def thanks(public_id: uuid.UUID) -> ResponseReturnValue:
    """Say thanks, the same to everybody."""
    return _thanks(_load(public_id), is_framed=False)


@pages.get("/f/<uuid:public_id>/embed/done")
@public
def thanks_embed(public_id: uuid.UUID) -> ResponseReturnValue:
    """Say thanks in the frame."""
    return _thanks(_load(public_id), is_framed=True)


@pages.get("/f/<uuid:public_id>/look.css")
@public
def look(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the color of a form as a stylesheet: the policy allows no style in the page."""
    accent = _load(public_id).look.get("accent") or ACCENT
    response = Response(f":root{{--accent:{accent};--on-accent:{ink_on(accent)}}}\n", mimetype="text/css")
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


@pages.get("/s/<token>")
@public
def ask(token: str) -> ResponseReturnValue:
    """Show the button that confirms; changes nothing."""
    return _say(confirming.read_confirmation(app_context(), token), token)


@pages.post("/s/<token>")
@public
def confirm(token: str) -> ResponseReturnValue:
    """Confirm: the only thing that does."""
    said = confirming.confirm(app_context(), token, _visitor())
    if said.standing is Standing.DONE and said.look.get("redirect"):
        return redirect(said.look["redirect"], code=303)
    return _say(said, token)


@pages.after_request
def add_headers(response: Response) -> Response:
    """Give each answer the policy of its form, and allowed sites the right to read it."""
    page: FormPage | None = g.get("form_page")
    sites = list(page.form.sites) if page else []
    is_framed = g.get("is_framed", False)
    ancestors = " ".join(["'self'", *sites]) if is_framed else "'none'"
    target = page.look.get("redirect") if page else g.get("redirects_to", "")
    actions = "'self'" + (f" {_origin_of(target)}" if target else "")
    headers = response.headers
    headers["Content-Security-Policy"] = _POLICY.format(actions=actions, ancestors=ancestors)
    if g.get("is_personal"):
        headers["Cache-Control"] = "no-store"
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Robots-Tag"] = "noindex"
    elif page is not None:
        headers.add("Vary", "Origin")
        if request.headers.get("Origin", "") in sites:
            headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            headers["Access-Control-Allow-Methods"] = "GET, POST"
            headers["Access-Control-Allow-Headers"] = "Content-Type"
            headers["Access-Control-Max-Age"] = "600"
    return response


# ------------------------------------------------------------------ what the views share


def _load(public_id: uuid.UUID) -> FormPage:
    """Return the page of a form that strangers may see; a draft is no such page."""
    request.max_content_length = MAX_BYTES
    ctx = app_context()
    with ctx.read() as session:
        form: Form | None = queries.find_form(session, public_id)
        if form is None or form.state == FormState.DRAFT:
            raise NotFoundError(_("There is no such form."))
        g.form_page = queries.load_page(session, form, ctx.clock.now())
    page: FormPage = g.form_page
    return page


def _show(page: FormPage, *, is_framed: bool) -> ResponseReturnValue:
    g.is_framed = is_framed
    if not page.is_open:
        return _closed(page, is_framed=is_framed)
    return render_form(page, Given(), nonce=first_nonce(app_context(), page), is_framed=is_framed)


def _submit(public_id: uuid.UUID, *, is_framed: bool) -> ResponseReturnValue:
    page = _load(public_id)
    g.is_framed = is_framed
    given = _read_given(page)
    origin = request.headers.get("Origin", "")
    is_own = _is_own(origin)
    submission = Submission(
        given=given,
        nonce=_text("nonce"),
        honeypot=_text(TRAP),
        visitor=_visitor("" if is_own else origin),
        is_foreign=not is_own and origin not in page.form.sites,
    )
    answer = submit_form(app_context(), page, submission)
    if _wants_json():
        return _as_json(page, answer)

    def again(**shown: Any) -> str:
        return render_form(page, given, is_framed=is_framed, **shown)

    return _answer(page, answer, again, is_framed=is_framed)


def _is_own(origin: str) -> bool:
    """Whether a form was sent from one of our own pages; browsers that keep it to themselves are believed."""
    return origin in ("", "null", _origin_of(app_context().settings.public_url), _own_origin())


def _answer(page: FormPage, answer: Answer, again: Callable[..., str], *, is_framed: bool) -> ResponseReturnValue:
    """Say what came of a submission; `again` shows the form once more."""
    if answer.outcome is Outcome.THANKS:
        return _leave(page, is_framed=is_framed)
    if answer.outcome is Outcome.CLOSED:
        return make_response(_closed(page, is_framed=is_framed), 409)
    if answer.outcome is Outcome.FOREIGN_SITE:
        answer = Answer(answer.outcome, (), first_nonce(app_context(), page))
    status, notice = OUTCOMES[answer.outcome]
    shown = again(
        nonce=answer.nonce, notice=str(notice), faults=_told(page, answer),
        is_calm=answer.outcome in (Outcome.LOOK_AGAIN, Outcome.TOO_QUICK, Outcome.TOO_OLD),
    )  # fmt: skip
    headers = {"Retry-After": "900"} if status in (429, 503) else {}
    return make_response(shown, status, headers)


def _open_link(token: str) -> Opened:
    """Return what a link of a mail opens; what answers is kept nowhere, found by nobody, and told to no other site."""
    request.max_content_length = MAX_BYTES
    g.is_personal = True
    opened = open_link(app_context(), token)
    g.form_page = opened.page
    return opened


def _render_known(opened: Opened, token: str, given: Given, **shown: Any) -> str:
    action = url_for("signup.submit_known", token=token)
    masked = opened.known.masked if opened.known else ""
    return render_form(opened.page, given, is_framed=False, action=action, masked=masked, **shown)


def _instead(opened: Opened) -> ResponseReturnValue:
    """Answer for a form that takes no answers any more: the link's own text, or its own target."""
    if opened.text or not opened.url.lower().startswith(("http://", "https://")):
        title = opened.label or opened.page.look.get("title") or opened.page.form.name
        return _said(opened.page, is_framed=False, title=title, texts=[opened.text or _("It takes no more sign-ups.")])
    return redirect(opened.url, code=302)


def render_form(
    page: FormPage,
    given: Given,
    *,
    nonce: str,
    is_framed: bool,
    notice: str = "",
    faults: Mapping[str, list[str]] | None = None,
    is_calm: bool = False,
    action: str = "",
    masked: str = "",
) -> str:
    """Return the form as HTML, in its own language, with what was typed; `masked`: the address it is about already."""
    endpoint = "signup.submit_embed" if is_framed else "signup.submit"
    with force_locale(page.look.get("language") or "en"):
        return render_template(
            "public/forms/form.html",
            page=page,
            form=page.form,
            look=page.look,
            title=page.look.get("title") or page.form.name,
            given=given,
            nonce=nonce,
            notice=notice,
            is_calm=is_calm,
            faults=faults or {},
            labels=_labels(page),
            trap=TRAP,
            autocomplete=_AUTOCOMPLETE,
            framed=is_framed,
            action=action or url_for(endpoint, public_id=page.form.public_id),
            masked=masked,
        )


def _labels(page: FormPage) -> dict[str, str]:
    own = {f"a_{question.key}": question.label for question in page.questions}
    return {"email": _("Email address"), **own, "topic": _("What would you like to get?"), "agree": _("Your agreement")}


def _told(page: FormPage, answer: Answer) -> dict[str, list[str]]:
    """Return the faults by the name of their field, in the language of the form."""
    told: dict[str, list[str]] = {}
    with force_locale(page.look.get("language") or "en"):
        for fault in answer.faults:
            name = fault.where if fault.where in ("email", "topic", "agree") else f"a_{fault.where}"
            told.setdefault(name, []).append(str(FAULTS[fault.kind]))
    return told


def _as_json(page: FormPage, answer: Answer) -> Response:
    status, notice = OUTCOMES.get(answer.outcome, (200 if answer.outcome is Outcome.THANKS else 409, ""))
    body: dict[str, Any] = {"status": answer.outcome.value, "faults": _told(page, answer), "message": str(notice)}
    if answer.outcome is Outcome.THANKS:
        body["message"] = page.look.get("thanks") or ""
    if answer.nonce:
        body["nonce"] = answer.nonce
    return make_response(jsonify(body), status)


def _leave(page: FormPage, *, is_framed: bool) -> ResponseReturnValue:
    """Go to the thanks; a page of the marketer's own only without a confirmation to come, and never inside a frame."""
    target = page.look.get("redirect")
    if target and not is_framed and not page.form.is_double:
        return redirect(target, code=303)
    endpoint = "signup.thanks_embed" if is_framed else "signup.thanks"
    return redirect(url_for(endpoint, public_id=page.form.public_id), code=303)


def _thanks(page: FormPage, *, is_framed: bool) -> str:
    g.is_framed = is_framed
    with force_locale(page.look.get("language") or "en"):
        if page.form.is_double:
            title, texts = _("One more step: look into your mailbox"), [
                page.look.get("thanks") or "",
                _("We have sent you a mail with a button. Press it, and you are signed up."),
                _("Nothing there after some minutes? Look into the folder for spam, or sign up again tomorrow."),
            ]  # fmt: skip
        else:
            title, texts = _("Thank you"), [page.look.get("thanks") or _("You are signed up.")]
        link = page.look.get("redirect") if is_framed and not page.form.is_double else ""
        return _said(page, is_framed=is_framed, title=title, texts=texts, link=link)


def _closed(page: FormPage, *, is_framed: bool) -> str:
    with force_locale(page.look.get("language") or "en"):
        return _said(page, is_framed=is_framed, title=_("This form is closed"), texts=[_("It takes no more sign-ups.")])


def _said(page: FormPage, *, is_framed: bool, **values: Any) -> str:
    return render_template(
        "public/forms/said.html",
        form=page.form, look=page.look, workspace=page.workspace, framed=is_framed, **values,
    )  # fmt: skip


def _say(said: Confirmation, token: str) -> str:
    """Return the page of a link; the address is masked, and nothing that was typed is shown."""
    words = STANDINGS[said.standing]
    g.redirects_to = said.look.get("redirect", "")
    with force_locale(said.look.get("language") or "en"):
        texts = [str(text) for text in words.texts]
        if said.standing is Standing.ASKS and said.form is not None:
            texts.insert(0, _("This is about: %(title)s", title=said.look.get("title") or said.form.name))
        small = ""
        if said.standing is Standing.DONE:
            texts.append(_("Every mail from us has a link by which you can leave."))
        if said.masked:
            small = _("This is about mails to %(address)s.", address=said.masked)
        return render_template(
            "public/forms/said.html",
            form=said.form,
            look=said.look,
            workspace=said.workspace,
            title=str(words.title),
            texts=texts,
            done=str(words.done) if words.done else "",
            button=_("Yes, sign me up") if said.standing is Standing.ASKS else "",
            action=url_for("signup.confirm", token=token),
            small=small,
        )


def _read_given(page: FormPage) -> Given:
    topics = request.form.getlist("topic")[:100]
    return Given(
        email=_text("email"),
        texts={question.key: _text(f"a_{question.key}") for question in page.questions},
        topic_ids=frozenset(int(text) for text in topics if text.isdecimal() and text.isascii() and len(text) < 16),  # noqa: PLR2004 - 53 bits
        has_agreed=_text("agree") == "1",
    )


def _text(name: str) -> str:
    return request.form.get(name, "").replace("\0", "")


def _visitor(page: str = "") -> Visitor:
    return Visitor(client_ip(), request.headers.get("User-Agent", ""), page)


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _own_origin() -> str:
    return request.host_url.rstrip("/")
