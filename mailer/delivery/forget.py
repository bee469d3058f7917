"""Messages forget whom they went to once nobody needs to know: confirmations of sign-ups, erased people."""

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.schema.delivery import Message
from mailer.statuses import LIVE_MESSAGE_STATES


def forget_recipients(session: Session, message_ids: Sequence[int]) -> None:
    """Take the typed address out of messages that are not on their way any more. Safe to repeat."""
    if not message_ids:
        return
    session.execute(
        update(Message)
        .where(Message.id.in_(message_ids), Message.state.not_in([state.value for state in LIVE_MESSAGE_STATES]))
        .values(to_address=None, reply="")
        .execution_options(synchronize_session=False)
    )
