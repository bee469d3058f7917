"""Watch the first share of a sending, then let the rest go. Rows say where it stands; beats may be lost or doubled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.delivery import sendings
from mailer.delivery.breakers import find_stopping
from mailer.errors import ConflictError
from mailer.log import get_logger
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.reputation import CanaryWatch
from mailer.statuses import LIVE_MESSAGE_STATES, SendingState

log = get_logger("reputation")
OUT_SHARE = 0.9
"""So much of the first share is out when the watch begins: grey lists must not keep the rest back for hours."""


@dataclass(frozen=True)
class Progress:
    """Where a canary stands: `out` of `size` mails of `whole` are no longer queued or on their way."""

    state: str
    size: int
    whole: int
    out: int
    watch_until: datetime | None
    released_at: datetime | None
    released_by: int | None
    note: str
    reasons: dict[str, float | None]
    watch_seconds: float


def list_watched(ctx: Context) -> list[int]:
    """Return the sendings whose watch is over, by id: their rates are to be judged once more, then they may go."""
    with ctx.read() as session:
        return list(
            session.scalars(
                select(CanaryWatch.sending_id)
                .join(Sending, Sending.id == CanaryWatch.sending_id)
                .where(
                    Sending.state == SendingState.SENDING.value,
                    Sending.release_limit.is_not(None),
                    CanaryWatch.state == "watching",
                    CanaryWatch.watch_until <= ctx.clock.now(),
                )
                .order_by(CanaryWatch.sending_id)
            )
        )


def watch_canaries(ctx: Context, judged: Sequence[int]) -> list[int]:
    """Begin the watches whose canary is out, let those of `judged` go that may; return the ones that were let go."""
    with ctx.read() as session:
        watches = select(CanaryWatch.sending_id).where(CanaryWatch.state != "filling")
        filling = session.scalars(
            select(Sending)
            .where(
                Sending.state == SendingState.SENDING.value,
                Sending.release_limit.is_not(None),
                Sending.id.not_in(watches),
            )
            .order_by(Sending.id)
        ).all()
    for sending in filling:
        _fill(ctx, sending)
    _end_watches(ctx)
    return [sending_id for sending_id in judged if _release(ctx, sending_id, None, "") is not None]


def _fill(ctx: Context, sending: Sending) -> None:
    with ctx.read() as session:
        out, size = _count_out(session, sending)
    _begin(ctx, sending, ctx.clock.now() if out >= OUT_SHARE * size else None)


def _count_out(session: Session, sending: Sending) -> tuple[int, int]:
    """Return how many mails of the first batches are no longer queued or on their way, and how many there are."""
    first = (SendBatch.sending_id == sending.id, SendBatch.ordinal <= (sending.release_limit or 0))
    live = Message.state.in_([state.value for state in LIVE_MESSAGE_STATES])
    count, waiting = session.execute(
        select(func.count(), func.count().filter(live))
        .select_from(SendBatch)
        .join(Message, Message.batch_id == SendBatch.id)
        .where(*first)
    ).one()
    return count - waiting, count


def _begin(ctx: Context, sending: Sending, out_at: datetime | None) -> None:
    """Write the watch down; with `out_at` its time begins to run."""
    seconds = float((sending.canary or {}).get("watch_seconds", 0))
    until = out_at + timedelta(seconds=seconds) if out_at else None
    with ctx.write() as session:
        new = insert_into(session, CanaryWatch).values(sending_id=sending.id, state="filling", note="")
        session.execute(new.on_conflict_do_nothing())
        watch = session.get_one(CanaryWatch, sending.id, with_for_update=True, populate_existing=True)
        if out_at is None or watch.state != "filling":
            return
        watch.state, watch.out_at, watch.watch_until = "watching", out_at, until
        record_audit(session, "canary.watch", actor="reputation", subject=("sending", sending.id))
    log.info("canary_watched", sending_id=sending.id, seconds=seconds)


def _release(ctx: Context, sending_id: int, by: int | None, note: str) -> CanaryWatch | None:
    """Let the rest go, unless a breaker or hold stands against it; None where it stays back."""
    with ctx.write() as session:
        watch = session.get_one(CanaryWatch, sending_id, with_for_update=True, populate_existing=True)
        sending = session.get_one(Sending, sending_id, with_for_update=True, populate_existing=True)
        if watch.state in ("released", "ended") or sending.state != SendingState.SENDING:
            return None
        if sending.hold_reason is not None or find_stopping(session, sending_id) is not None:
            return None
        sendings.release_rest(session, ctx, sending_id)
        watch.state, watch.released_at, watch.released_by, watch.note = "released", utc_now(), by, note
        record_audit(
            session,
            "canary.release",
            by=by,
            actor="" if by else ("command" if note else "reputation"),
            subject=("sending", sending_id),
            detail={"note": note},
        )
    log.info("canary_released", sending_id=sending_id)
    return watch


def release_now(ctx: Context, sending_id: int, note: str, *, by: int | None = None) -> None:
    """Let the rest of a sending go before its watch is over, because a person says so. Audited.

    Raises:
        ConflictError: nothing is kept back, or the sending is held.
    """
    with ctx.read() as session:
        sending = session.get(Sending, sending_id)
    if sending is None or sending.release_limit is None or sending.state != SendingState.SENDING:
        raise ConflictError("nothing of it is kept back")
    _begin(ctx, sending, None)
    if _release(ctx, sending_id, by, note.strip() or "let go by hand") is None:
        raise ConflictError("the sending is held", mend="release the hold first")


def _end_watches(ctx: Context) -> None:
    """Sendings that were cancelled are watched no more."""
    over = [SendingState.CANCELLED.value, SendingState.FINISHED.value]
    open_watches = (
        select(CanaryWatch.sending_id)
        .join(Sending, Sending.id == CanaryWatch.sending_id)
        .where(CanaryWatch.state.in_(["filling", "watching"]), Sending.state.in_(over))
    )
    with ctx.read() as session:
        ended = session.scalars(open_watches).all()
    for sending_id in ended:
        with ctx.write() as session:
            session.get_one(CanaryWatch, sending_id, with_for_update=True, populate_existing=True).state = "ended"


def find_progress(session: Session, sending: Sending) -> Progress | None:
    """Return where the canary of a sending stands; None where it has none."""
    plan = sending.canary
    if not plan:
        return None
    watch = session.get(CanaryWatch, sending.id)
    is_back = sending.release_limit is not None
    out = _count_out(session, sending)[0] if is_back else int(plan["size"])
    return Progress(
        state=watch.state if watch else "filling",
        size=int(plan["size"]),
        whole=int(plan["of"]),
        out=out,
        watch_until=watch.watch_until if watch else None,
        released_at=watch.released_at if watch else None,
        released_by=watch.released_by if watch else None,
        note=watch.note if watch else "",
        reasons=dict(plan["reasons"]),
        watch_seconds=float(plan["watch_seconds"]),
    )
