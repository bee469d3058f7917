"""The web inbox of the catcher: what would have been sent. Only there where the catcher is."""

import email
import email.policy
from email.message import EmailMessage

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from mailer.catcher import service
from mailer.catcher.links import read_mail
from mailer.catcher.service import ListedMail
from mailer.web.access import access
from mailer.web.csp import mail_response
from mailer.web.paging import PAGE_SIZE, cut_page, page_key
from mailer.web.requests import app_context

pages = Blueprint("inbox", __name__, url_prefix="/inbox")
_SHOWN_HEADERS = (
    "From", "To", "Subject", "Date", "Reply-To", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id",
    "Feedback-ID",
)  # fmt: skip


@pages.get("")
@access()
def index() -> ResponseReturnValue:
    """List caught mails, newest first; `?q=` looks at the recipient."""
    search = request.args.get("q", "").strip().lower()[:100]
    lines = service.list_newest(app_context().settings, search=search, before=page_key(), limit=PAGE_SIZE + 1)
    return render_template("admin/catcher/index.html", page=cut_page(lines, _key), search=search)


@pages.get("/<int:mail_id>")
@access()
def show(mail_id: int) -> ResponseReturnValue:
    """Show one mail: its headers, how it looks, its links."""
    mail = service.get_mail(app_context().settings, mail_id)
    parsed = _parse(mail.raw)
    headers = [(name, str(parsed[name])) for name in _SHOWN_HEADERS if parsed[name]]
    return render_template(
        "admin/catcher/show.html",
        mail=mail,
        headers=headers,
        read=read_mail(mail.raw),
        has_html=parsed.get_body(("html",)) is not None,
        text=_part(parsed, "plain"),
        size=len(mail.raw),
    )


@pages.get("/<int:mail_id>/html")
@access()
def html(mail_id: int) -> ResponseReturnValue:
    """Return the mail's HTML as a page of its own; its links open outside the frame."""
    parsed = _parse(service.get_mail(app_context().settings, mail_id).raw)
    return mail_response('<base target="_blank">' + _part(parsed, "html"), framed=True)


@pages.get("/<int:mail_id>/raw")
@access()
def raw(mail_id: int) -> ResponseReturnValue:
    """Return the mail byte for byte."""
    mail = service.get_mail(app_context().settings, mail_id)
    response = Response(mail.raw, mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="mail-{mail_id}.eml"'
    return response


def _parse(content: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    return parsed if isinstance(parsed, EmailMessage) else EmailMessage()


def _part(parsed: EmailMessage, kind: str) -> str:
    body = parsed.get_body((kind,))
    if body is None:
        return ""
    payload = body.get_payload(decode=True)
    charset = body.get_content_charset("utf-8")
    try:
        return payload.decode(charset, "replace") if isinstance(payload, bytes) else ""
    except LookupError:
        return payload.decode("latin-1") if isinstance(payload, bytes) else ""


def _key(mail: ListedMail) -> int:
    return mail.id
