"""What watches over a campaign: its canary, and the breaker that slowed it down or stopped it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from mailer.delivery.breakers import find_stopping
from mailer.reputation.queries import find_breaker
from mailer.reputation.watching import Progress, find_progress
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker
from mailer.statuses import BreakerState


@dataclass(frozen=True)
class Guarded:
    """`stopping` holds it, its own breaker or its domain's; `warning` is its own, not `ok`, where nothing is held."""

    canary: Progress | None = None
    is_kept_back: bool = False
    stopping: Breaker | None = None
    warning: Breaker | None = None


def get_guarded(session: Session, sending_id: int | None) -> Guarded:
    """Return what watches over a sending; nothing before there is one."""
    sending = session.get(Sending, sending_id) if sending_id is not None else None
    if sending is None:
        return Guarded()
    stopping = find_stopping(session, sending.id) if sending.hold_reason else None  # a person's pause may be older
    own = find_breaker(session, "sending", str(sending.id))
    is_warning = own is not None and stopping is None and own.state != BreakerState.OK.value
    return Guarded(
        canary=find_progress(session, sending),
        is_kept_back=sending.release_limit is not None,
        stopping=stopping,
        warning=own if is_warning else None,
    )
