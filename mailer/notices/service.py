"""Tell staff of their follow-up tasks by mail, through the same delivery as every other mail (FEATURES F4)."""

from sqlalchemy.orm import Session

from mailer.content.service import freeze_content
from mailer.context import Context
from mailer.delivery import sendings
from mailer.delivery import service as delivery
from mailer.delivery.policy import SEND_UNTIL
from mailer.delivery.sendings import SendingSpec
from mailer.followups.telling import Summary, has_turns, take_turns
from mailer.log import get_logger
from mailer.notices.letter import write_letter
from mailer.schema.workspace import Sender
from mailer.statuses import SendingClass
from mailer.workspace.queries import get_workspace, list_senders

log = get_logger("notices")


def tell_staff(ctx: Context) -> int:
    """Queue a mail for everybody who is to be told of tasks now; return how many. Safe to run any number of times.

    Without a sender profile nothing is sent and nothing counts as told.
    """
    with ctx.read() as session:
        zone, now = get_workspace(session).timezone, ctx.clock.now()
        if not list_senders(session) or not has_turns(session, now, zone):
            return 0
    with ctx.write() as session:
        sender = list_senders(session)[0]
        summaries = take_turns(session, now, zone)
        for summary in summaries:
            _send(session, ctx, sender, summary)
    if summaries:
        log.info("told staff of tasks", mails=len(summaries))
    return len(summaries)


def _send(session: Session, ctx: Context, sender: Sender, summary: Summary) -> None:
    version = freeze_content(session, ctx, write_letter(summary, ctx.settings.public_url))
    sending = sendings.create_sending(
        session,
        ctx,
        SendingSpec(
            sending_class=SendingClass.STAFF,
            sender_id=sender.id,
            content_version_id=version.id,
            send_until=ctx.clock.now() + SEND_UNTIL[SendingClass.STAFF],
            track_opens=False,
            track_clicks=False,
        ),
    )
    delivery.add_direct_messages(session, ctx, sending.id, [summary.email], contact_id=None)
    sendings.start_sending(session, ctx, sending.id)
