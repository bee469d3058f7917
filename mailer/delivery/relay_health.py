"""Which relays answer: failures in a row, rests that grow, holds `relay_down`, and the release when one answers again.

Only changes are written down: a first failure, another one, the first success after it. Times are real ones.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.delivery.jobs import SEND_DUE
from mailer.delivery.probe import probe_relay
from mailer.delivery.relays import HOLD_AFTER, decide_rest
from mailer.delivery.sendings import hold_sending
from mailer.delivery.transports import UsableRelay, list_usable
from mailer.delivery.warm_up import advance
from mailer.errors import SetupError
from mailer.log import get_logger
from mailer.schema.delivery import Sending
from mailer.schema.transports import RelayState, SendingDomain
from mailer.statuses import HoldReason, SendingState

log = get_logger("relays")
TOGETHER = timedelta(seconds=2)
_ERROR_LIMIT = 500


@dataclass(frozen=True)
class Health:
    """How a relay fares. `resting_until` and `down_since` are None where it works."""

    key: str
    failures: int = 0
    down_since: datetime | None = None
    resting_until: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None

    def is_resting(self, now: datetime) -> bool:
        """Whether it is left alone at the real time `now`."""
        return self.resting_until is not None and self.resting_until > now


def list_health(session: Session) -> dict[str, Health]:
    """Return how relays fare, by key; those that never failed are not in it."""
    return {
        row.key: Health(row.key, row.failures, row.down_since, row.resting_until, row.last_error, row.last_error_at)
        for row in session.scalars(select(RelayState))
    }


def note_failure(session: Session, key: str, why: str) -> None:
    """Write down that a relay could not be used; failures of the same moment, or while it rests, count once."""
    row, now = _state(session, key), utc_now()
    is_same = row.last_error_at is not None and row.failures > 0 and now - row.last_error_at < TOGETHER
    row.last_error = why[:_ERROR_LIMIT]
    if is_same or (row.resting_until is not None and row.resting_until > now):
        return
    row.failures, row.last_error_at = (
        row.failures + 1,
        now,
    )  # the time of what was counted: a window that does not slide
    row.down_since = row.down_since or now
    if rest := decide_rest(row.failures):
        row.resting_until = now + rest
        log.warning("relay_rests", relay=key, failures=row.failures, seconds=rest.total_seconds(), why=why)


def note_success(session: Session, ctx: Context, key: str) -> None:
    """Write down that a relay works; what was held because none did goes on."""
    row = _state(session, key)
    row.failures, row.down_since, row.resting_until = 0, None, None
    session.flush()
    release_waiting(session, ctx)


def _state(session: Session, key: str) -> RelayState:
    row = {"key": key, "failures": 0, "last_error": ""}
    session.execute(insert_into(session, RelayState).values(row).on_conflict_do_nothing())
    return session.get_one(RelayState, key, with_for_update=True, populate_existing=True)


def forget(session: Session, key: str) -> None:
    """Forget what was known of a relay: it was changed."""
    row = session.get(RelayState, key)
    if row is not None:
        session.delete(row)


# ------------------------------------------------------------------ all of them down


def release_waiting(session: Session, ctx: Context) -> int:
    """Let sendings go on that were held because no relay answered; return how many."""
    released = session.scalars(
        update(Sending)
        .where(Sending.hold_reason == HoldReason.RELAY_DOWN.value)
        .values(hold_reason=None, hold_note="", held_at=None, held_by=None)
        .returning(Sending.id)
        .execution_options(synchronize_session=False)
    ).all()
    for sending_id in released:
        record_audit(session, "delivery.release_relay_down", actor="delivery", subject=("sending", sending_id))
    if released:
        ctx.ring(session, SEND_DUE)
    return len(released)


def hold_waiting(session: Session, ctx: Context) -> int:
    """Hold what runs where every relay has been down for ten minutes; return how many sendings."""
    relays, health = list_usable(session, ctx), list_health(session)
    states = [health.get(one.key, Health(one.key)) for one in relays]
    if any(state.failures == 0 for state in states):
        release_waiting(session, ctx)  # another relay than those that failed was set up meanwhile
    since = utc_now() - HOLD_AFTER
    downs = [state for state in states if state.down_since is not None and state.down_since <= since]
    if len(downs) < len(relays):
        return 0
    note = "; ".join(dict.fromkeys(one.last_error for one in downs))
    running = session.scalars(
        select(Sending.id)
        .where(Sending.state == SendingState.SENDING.value, Sending.hold_reason.is_(None))
        .order_by(Sending.id)
    ).all()
    return sum(hold_sending(session, sending_id, HoldReason.RELAY_DOWN, note) for sending_id in running)


def watch(ctx: Context) -> None:
    """Try relays whose rest has ended, hold what waits in vain, let warming domains grow. Safe to repeat."""
    try:
        with ctx.read() as session:
            due = _due_for_a_try(session, ctx)
    except SetupError:
        due = []
    for relay in due:
        finding = probe_relay(relay.relay)
        with ctx.write() as session:
            if finding.is_usable:
                note_success(session, ctx, relay.key)
            else:
                note_failure(session, relay.key, finding.error)
    with ctx.read() as session:
        if not _has_work(session):
            return
    with ctx.write() as session:
        advance(session, ctx)
        try:
            hold_waiting(session, ctx)
        except SetupError:
            return


def _has_work(session: Session) -> bool:
    """Whether a relay is in doubt, something waits for one, or a domain warms up; else nobody needs to write."""
    failing = select(RelayState.key).where(RelayState.failures > 0).exists()
    waiting = select(Sending.id).where(Sending.hold_reason == HoldReason.RELAY_DOWN.value).exists()
    warming = select(SendingDomain.id).where(SendingDomain.warm_up_from.is_not(None)).exists()
    return bool(session.scalar(select(or_(failing, waiting, warming))))


def _due_for_a_try(session: Session, ctx: Context) -> list[UsableRelay]:
    """Relays that failed thrice and whose rest has ended: a mail should not be what finds out."""
    health, now = list_health(session), utc_now()
    found = []
    for relay in list_usable(session, ctx):
        state = health.get(relay.key)
        if state is not None and state.resting_until is not None and state.resting_until <= now:
            found.append(relay)
    return found
