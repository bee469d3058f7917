"""Which breaker stands against a sending: asked before it starts, goes on, or its canary lets the rest go.

Never commits. The breakers are reputation's, which stands above.
"""

from collections.abc import Sequence

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from mailer.addresses import domain_of
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker
from mailer.schema.workspace import Sender
from mailer.statuses import BREAKER_STOPS, BreakerState, SendingClass


def find_stopping(session: Session, sending_id: int) -> Breaker | None:
    """Return the breaker that has stopped a marketing sending: its own, else its domain's; None where none has.

    Mails of other classes are stopped by no breaker.
    """
    return _find(session, sending_id, BREAKER_STOPS)


def find_slowing(session: Session, sending_id: int) -> Breaker | None:
    """Return the breaker that slows a marketing sending down: its own, else its domain's; None where none does."""
    return _find(session, sending_id, [BreakerState.THROTTLED])


def _find(session: Session, sending_id: int, states: Sequence[BreakerState]) -> Breaker | None:
    sending_class, email = session.execute(
        select(Sending.sending_class, Sender.from_email)
        .join(Sender, Sender.id == Sending.sender_id)
        .where(Sending.id == sending_id)
    ).one()
    if sending_class != SendingClass.MARKETING:
        return None
    is_its_own = and_(Breaker.scope == "sending", Breaker.scope_key == str(sending_id))
    is_its_domains = and_(Breaker.scope == "domain", Breaker.scope_key == domain_of(email))
    standing = select(Breaker).where(
        Breaker.state.in_([state.value for state in states]), or_(is_its_own, is_its_domains)
    )
    return session.scalars(standing.order_by(is_its_own.desc()).limit(1)).first()
