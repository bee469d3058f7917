"""A mail as a page: view in browser. What only its recipient may use is left out: it may be forwarded (FEATURES M5)."""

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.content.render import RenderError
from mailer.context import Context
from mailer.delivery.build import load_content
from mailer.delivery.recipients import load_values
from mailer.errors import UntrustedRequestError
from mailer.schema.delivery import Message, Sending
from mailer.tokens import VIEW, read_track_token

SHOWN_FOR = timedelta(days=365)


def render_view(ctx: Context, token: str) -> str:
    """Return the HTML of the mail that a view token names, without pixel, tracked links or links to manage.

    Raises:
        UntrustedRequestError: the token is none of ours, or the mail is older than a year.
    """
    read = read_track_token(ctx.keys, token)
    if read.kind != VIEW:
        raise UntrustedRequestError("not one of our tokens")
    with ctx.read() as session:
        message = session.get(Message, read.message_id)
        sending = session.get(Sending, message.sending_id) if message else None
        if message is None or sending is None or sending.created_at < utc_now() - SHOWN_FOR:
            raise UntrustedRequestError("this mail is no longer shown")
        return _render(session, ctx, message, sending)


def _render(session: Session, ctx: Context, message: Message, sending: Sending) -> str:
    content = load_content(session, ctx, sending.id, is_sent=False)
    nobody: dict[str, Any] = {"contact": {}, "company": {}, "owner": {}}
    values = load_values(session, [message.contact_id]) if message.contact_id else {}
    context = {
        **values.get(message.contact_id or 0, nobody),
        **content.shared,
        "links": list(content.urls),
        **dict.fromkeys(("pixel_url", "view_url", "unsubscribe_url", "preferences_url"), ""),
    }
    try:
        return content.renderer.html(context)
    except RenderError as error:
        raise UntrustedRequestError("this mail is no longer shown") from error
