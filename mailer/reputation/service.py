"""Watch the rates of sendings and hold one that would cost the sender its reputation. Audited; survives restarts."""

from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.delivery.service import hold_sending
from mailer.log import get_logger
from mailer.reputation import queries
from mailer.reputation.policy import Rates, Thresholds, decide_breaker, is_worse
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker
from mailer.statuses import BreakerState, HoldReason, SendingClass, SendingState
from mailer.workspace.queries import get_limit

log = get_logger("reputation")
ARMED_FOR = timedelta(hours=72)


def check_rates(ctx: Context) -> dict[int, BreakerState]:
    """Judge every sending that runs, or ended less than 72 hours ago; return the breakers that tripped now."""
    with ctx.read() as session:
        thresholds = load_thresholds(session)
        judged = {number: queries.get_rates(session, number) for number in _list_armed(session)}
    tripped: dict[int, BreakerState] = {}
    for sending_id, rates in judged.items():
        state, why = decide_breaker(rates, thresholds)
        if state is not BreakerState.OK and _trip(ctx, sending_id, state, why, rates):
            tripped[sending_id] = state
    return tripped


def load_thresholds(session: Session) -> Thresholds:
    """Return the thresholds of this workspace."""
    return Thresholds(
        hard_pause=get_limit(session, "hard_bounce_pause"),
        hard_disable=get_limit(session, "hard_bounce_disable"),
        complaint_throttle=get_limit(session, "complaint_amber"),
        complaint_pause=get_limit(session, "complaint_pause"),
    )


def _list_armed(session: Session) -> list[int]:
    since = utc_now() - ARMED_FOR
    return list(
        session.scalars(
            select(Sending.id).where(
                Sending.sending_class == SendingClass.MARKETING.value,
                Sending.state.in_([SendingState.SENDING.value, SendingState.FINISHED.value]),
                or_(Sending.finished_at.is_(None), Sending.finished_at > since),
            )
        )
    )


def _trip(ctx: Context, sending_id: int, state: BreakerState, why: str, rates: Rates) -> bool:
    """Write down a graver state and hold the sending; False where it stood so already or a person released it."""
    with ctx.write() as session:
        row = queries.find_breaker(session, "sending", str(sending_id))
        if row is not None and not is_worse(state, BreakerState(row.state)):
            return False
        if row is None:
            row = Breaker(scope="sending", scope_key=str(sending_id))
            session.add(row)
        row.state, row.note, row.figures, row.changed_at = state.value, why, asdict(rates), utc_now()
        if state in (BreakerState.PAUSED, BreakerState.DISABLED):
            hold_sending(session, sending_id, HoldReason.BREAKER, why)
        detail = {"state": state.value, **asdict(rates)}
        record_audit(session, "breaker.trip", by=None, subject=("sending", sending_id), detail=detail)
    log.warning("breaker_tripped", sending_id=sending_id, state=state.value)
    return True
