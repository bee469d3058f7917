"""Send unknown messages again because a person decided so: audited, through the same gate, with the same Message-ID."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from mailer.accounts.service import record_audit
from mailer.context import Context
from mailer.delivery.service import resend_unknown
from mailer.errors import ConflictError, InputError
from mailer.schema.campaigns import Campaign
from mailer.schema.delivery import Message

MOST = 1_000


@dataclass(frozen=True)
class Resent:
    """Messages that are queued again, and those left alone, each with the reason."""

    queued: list[int]
    refused: dict[int, str]


def resend_unknowns(ctx: Context, message_ids: Sequence[int], *, by: int | None = None) -> Resent:
    """Queue unknown messages again; one that is not unknown any more, or whose sending was cancelled, is left alone.

    Raises:
        InputError: no message is named, or more than 1,000.
    """
    ids = sorted(set(message_ids))
    if not ids or len(ids) > MOST:
        raise InputError(f"name 1 to {MOST} messages", where="messages")
    queued: dict[int, list[int]] = {}
    refused: dict[int, str] = {}
    with ctx.write() as session:
        owners = {
            message_id: sending_id
            for message_id, sending_id in session.execute(
                select(Message.id, Message.sending_id).where(Message.id.in_(ids))
            )
        }
        for message_id in ids:
            try:
                if resend_unknown(session, ctx, message_id):
                    queued.setdefault(owners[message_id], []).append(message_id)
                else:
                    refused[message_id] = "not unknown any more" if message_id in owners else "no such message"
            except ConflictError as error:
                refused[message_id] = error.message
        for sending_id, sent in queued.items():
            campaign_id = session.scalar(select(Campaign.id).where(Campaign.sending_id == sending_id))
            subject = ("campaign", campaign_id) if campaign_id else ("sending", sending_id)
            record_audit(session, "campaign.resend_unknown", by=by, subject=subject, detail={"messages": sent})
    return Resent(sorted(number for sent in queued.values() for number in sent), refused)
