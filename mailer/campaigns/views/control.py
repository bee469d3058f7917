"""What is done with a campaign: preview, test mail, launch, pause, resume, cancel."""

import uuid

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import escape

from mailer.campaigns import composing, gather, queries, running, service, trying
from mailer.campaigns.windows import parse_local_time
from mailer.contacts.queries import list_by_email
from mailer.content.designs import sample_context
from mailer.content.service import render_preview
from mailer.delivery.recipients import load_values
from mailer.errors import InputError, MailerError
from mailer.schema.workspace import Sender
from mailer.statuses import SendingState
from mailer.web.access import MARKETING, OPERATIONS, access, who
from mailer.web.csp import mail_response
from mailer.web.requests import app_context, done, form_text
from mailer.workspace.queries import get_workspace

pages = Blueprint("campaign", __name__, url_prefix="/campaigns/<uuid:public_id>")


@pages.get("/preview")
@access()
def preview(public_id: uuid.UUID) -> ResponseReturnValue:
    """Return the mail as a page of its own: `?show=dark` or `text`, `?contact=` an address whose data is used."""
    show, email = request.args.get("show", ""), request.args.get("contact", "").strip()
    ctx = app_context()
    with ctx.read() as session:
        campaign = queries.get_by_public_id(session, public_id)
        sender = session.get(Sender, campaign.sender_id) if campaign.sender_id else None
        context = sample_context() | gather.sample_shared(ctx, sender)
        people = list_by_email(session, email) if email else []
        if people:
            context |= load_values(session, [people[0].id])[people[0].id]
        try:
            spec = gather.build_content_spec(session, campaign)
            subject, html, text = render_preview(spec, context, is_dark=show == "dark")
        except MailerError as error:
            return mail_response(f"<p>{escape(error)}</p>", framed=True)
    if show == "text":
        html = f"<pre>{escape(subject)}\n\n{escape(text)}</pre>"
    return mail_response(html, framed=True)


@pages.post("/test")
@access(*MARKETING)
def test(public_id: uuid.UUID) -> ResponseReturnValue:
    """Send the mail as it is to typed addresses, outside all figures."""
    addresses = [text.strip() for text in form_text("addresses").replace(",", "\n").splitlines() if text.strip()]
    if not addresses:
        raise InputError(_("type at least one address"), where="addresses")
    ctx, email = app_context(), form_text("contact")
    with ctx.read() as session:
        people = list_by_email(session, email) if email else []
    contact_id = people[0].id if people else None
    count = trying.send_test(ctx, _id_of(public_id), addresses, contact_id=contact_id, by=who().id)
    return done(
        ngettext("%(num)d test mail is on its way.", "%(num)d test mails are on their way.", count), _review(public_id)
    )


@pages.post("/launch")
@access(*MARKETING)
def launch(public_id: uuid.UUID) -> ResponseReturnValue:
    """Start or schedule; the number that was typed must be that of the audience now."""
    ctx, campaign_id = app_context(), _id_of(public_id)
    typed = "".join(letter for letter in form_text("typed") if letter.isdecimal())
    sendable = service.count_audience(ctx, campaign_id)["sendable"]
    if typed != str(sendable):
        raise InputError(
            _("the audience is %(count)d now", count=sendable), where="typed", mend=_("look at the review again")
        )
    with ctx.read() as session:
        zone = get_workspace(session).timezone
    when = parse_local_time(form_text("send_at"), zone) if form_text("when") == "later" else None
    composing.update_campaign(ctx, campaign_id, {"send_at": when.at if when else None})
    status = service.launch_campaign(ctx, campaign_id, by=who().id)
    text = _("Scheduled.") if status is SendingState.SCHEDULED else _("It is on its way.")
    return done(f"{text} {when.note if when else ''}".strip(), url_for("report.show", public_id=public_id))


@pages.post("/unschedule")
@access(*MARKETING)
def unschedule(public_id: uuid.UUID) -> ResponseReturnValue:
    """Take a scheduled campaign back to draft."""
    service.unschedule_campaign(app_context(), _id_of(public_id), by=who().id)
    return done(_("It is a draft again."), _review(public_id))


@pages.post("/pause")
@access(*MARKETING, *OPERATIONS)
def pause(public_id: uuid.UUID) -> ResponseReturnValue:
    """Hold a running campaign."""
    running.pause_campaign(app_context(), _id_of(public_id), by=who().id)
    return done(_("Paused. No message passes its last check until it is resumed."), _report(public_id))


@pages.post("/resume")
@access(*MARKETING, *OPERATIONS)
def resume(public_id: uuid.UUID) -> ResponseReturnValue:
    """Let a held campaign go on."""
    running.resume_campaign(app_context(), _id_of(public_id), by=who().id)
    return done(_("It goes on."), _report(public_id))


@pages.post("/release")
@access(*MARKETING, *OPERATIONS)
def release_provider(public_id: uuid.UUID) -> ResponseReturnValue:
    """Let mails to a mailbox provider go again that were held after it refused the sender."""
    running.release_provider_hold(app_context(), _id_of(public_id), form_text("provider"), by=who().id)
    return done(_("Released."), _report(public_id))


@pages.post("/cancel")
@access(*MARKETING, *OPERATIONS)
def cancel(public_id: uuid.UUID) -> ResponseReturnValue:
    """End a campaign for good."""
    count = running.cancel_campaign(app_context(), _id_of(public_id), by=who().id)
    return done(
        ngettext("Cancelled. %(num)d mail will not go out.", "Cancelled. %(num)d mails will not go out.", count),
        _report(public_id),
    )


def _id_of(public_id: uuid.UUID) -> int:
    with app_context().read() as session:
        return queries.get_by_public_id(session, public_id).id


def _review(public_id: uuid.UUID) -> str:
    return url_for("campaigns.edit", public_id=public_id, step="review")


def _report(public_id: uuid.UUID) -> str:
    return url_for("report.show", public_id=public_id)
