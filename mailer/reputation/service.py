"""Watch the rates of sendings, domains and providers; slow down, hold, let go on. Audited; survives restarts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import insert_into
from mailer.delivery.breakers import find_stopping
from mailer.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from mailer.log import get_logger
from mailer.reputation import effects, queries
from mailer.reputation.looks import ARMED_FOR, count_due, end_news, forget_old_slots, list_news
from mailer.reputation.policy import (
    Decision,
    Windows,
    decide,
    decide_after_release,
    is_worse,
    next_state,
)
from mailer.reputation.watching import list_watched, watch_canaries
from mailer.schema.delivery import Sending
from mailer.schema.reputation import Breaker, BreakerChange
from mailer.statuses import BREAKER_STOPS, BreakerState, SendingClass, SendingState

log = get_logger("reputation")
Scope = tuple[str, str]
EVERY_MINUTE = 4
"""Without news, figures are judged in the first seconds of a minute only: ticks come every three."""
MANY_PROVIDERS = "other"
"""All mailbox providers but the four great ones: one of them says nothing about the others."""


@dataclass(frozen=True)
class Verdict:
    """What the figures of a scope ask for; `released_at` is what was known of the last release when they were read."""

    scope: str
    key: str
    decision: Decision
    windows: Windows
    released_at: datetime | None = None


def look_after(ctx: Context) -> None:
    """Do what a tick does. A canary whose watch is over is counted and judged once more before its rest may go."""
    watched = list_watched(ctx)
    for sending_id in watched:
        count_due(ctx, is_paced=False, only=sending_id)
    check_rates(ctx, is_certain=bool(watched))
    watch_canaries(ctx, watched)


def check_rates(ctx: Context, *, is_paced: bool = True, is_certain: bool = False) -> dict[Scope, BreakerState]:
    """Count what is due, judge every scope, and return the breakers that changed now, by scope and key.

    Safe to repeat, by any number of processes at once. `is_paced` off: count everything, whatever it costs;
    `is_certain`: judge also where nothing new was counted. News stay until somebody has judged them, whoever dies.
    """
    count_due(ctx, is_paced=is_paced)
    news = list_news(ctx)
    if is_paced and not (news or is_certain) and utc_now().second >= EVERY_MINUTE:
        return {}
    forget_old_slots(ctx)
    with ctx.read() as session:
        verdicts = list(_judge_all(session))
    changed: dict[Scope, BreakerState] = {}
    for verdict in verdicts:
        state = _change(ctx, verdict)
        if state is not None:
            changed[verdict.scope, verdict.key] = state
    if news:
        end_news(ctx, news)
    _keep_up(ctx)
    return changed


def _keep_up(ctx: Context) -> None:
    with ctx.read() as session:
        if not effects.needs_keeping(session):
            return
    with ctx.write() as session:
        effects.keep_up(session, ctx)


def _judge_all(session: Session) -> list[Verdict]:
    """Return the verdicts that change a breaker: those on armed sendings, then on every domain and mailbox provider."""
    judge = _Judge(session)
    verdicts = [judge.judge("sending", str(number)) for number in _list_armed(session)]
    judge.note_stopped(verdicts)
    verdicts += [judge.judge("domain", key) for key in judge.rolling.keys("domain")]
    verdicts += [judge.judge("provider", key) for key in judge.rolling.keys("provider") if key != MANY_PROVIDERS]
    return [verdict for verdict in verdicts if _is_news(verdict, judge.breakers.get((verdict.scope, verdict.key)))]


class _Judge:
    """One look at all figures. A campaign that its own breaker stopped does not stop its domain too; two do."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = utc_now()
        self._limits = queries.load_limits(session)
        self.rolling = queries.load_rolling(session, self._now)
        self.breakers = {(row.scope, row.scope_key): row for row in queries.list_breakers(session)}
        self._stopped = {
            int(key)
            for (scope, key), row in self.breakers.items()
            if scope == "sending" and {row.state, row.released_state} & set(BREAKER_STOPS)
        }

    def note_stopped(self, verdicts: Iterable[Verdict]) -> None:
        """Note the sendings that are being stopped just now."""
        self._stopped |= {int(verdict.key) for verdict in verdicts if verdict.decision.state in BREAKER_STOPS}

    def judge(self, scope: str, key: str) -> Verdict:
        """Return what the figures of a scope ask for."""
        but = self._dealt_with(scope, key)
        windows = self.rolling.of(scope, key, but=but)
        row = self.breakers.get((scope, key))
        if row is None or row.released_at is None or row.released_state is None:
            return Verdict(scope, key, decide(windows, self._limits), windows)
        since = queries.load_since(self._session, scope, key, row.released_at, self._now, but=but)
        decision = decide_after_release(windows, since, BreakerState(row.released_state), self._limits)
        return Verdict(scope, key, decision, windows, row.released_at)

    def _dealt_with(self, scope: str, key: str) -> int | None:
        if scope == "sending":
            return None
        stopped = self.rolling.sendings_of(scope, key) & self._stopped
        return stopped.pop() if len(stopped) == 1 else None


def _is_news(verdict: Verdict, row: Breaker | None) -> bool:
    current = BreakerState(row.state) if row else BreakerState.OK
    stood_for = utc_now() - row.changed_at if row else timedelta()
    return _becomes(verdict, current, stood_for) is not current


def _becomes(verdict: Verdict, current: BreakerState, stood_for: timedelta) -> BreakerState:
    decided = verdict.decision.state
    if verdict.scope == "provider" and decided is BreakerState.DISABLED:
        decided = BreakerState.PAUSED  # a mailbox provider is never given up
    return next_state(current, decided, stood_for)


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


def _change(ctx: Context, verdict: Verdict) -> BreakerState | None:
    """Write a new state down and let it take effect, in one transaction; None where somebody else was quicker."""
    with ctx.write() as session:
        row = _lock_breaker(session, verdict.scope, verdict.key)
        before = BreakerState(row.state)
        state = _becomes(verdict, before, utc_now() - row.changed_at)
        if state is before or row.released_at != verdict.released_at:  # a person let it go on while it was judged
            return None
        figures = _figures(verdict)
        row.state, row.note, row.figures = state.value, verdict.decision.why, figures
        row.changed_at, row.by_staff_id = utc_now(), None
        _record(session, row, before, figures)
        effects.take_effect(session, ctx, verdict.scope, verdict.key, state, row.note)
    log.warning("breaker_changed", scope=verdict.scope, key=verdict.key, state=state.value)
    return state


def _figures(verdict: Verdict) -> dict[str, object]:
    counted = {window.value: vars(counts) for window, counts in verdict.windows.items()}
    return {"reasons": [reason.as_json() for reason in verdict.decision.reasons], "windows": counted}


def _lock_breaker(session: Session, scope: str, key: str) -> Breaker:
    """Return the row of a breaker, made where there is none, locked for this transaction."""
    values = {"scope": scope, "scope_key": key, "state": BreakerState.OK.value, "note": "", "figures": {}}
    new = insert_into(session, Breaker).values(**values, changed_at=utc_now()).on_conflict_do_nothing()
    session.execute(new)
    mine = select(Breaker).where(Breaker.scope == scope, Breaker.scope_key == key)
    return session.scalars(mine.with_for_update().execution_options(populate_existing=True)).one()


def _record(session: Session, row: Breaker, before: BreakerState, figures: Mapping[str, object]) -> None:
    session.add(
        BreakerChange(
            scope=row.scope,
            scope_key=row.scope_key,
            state_before=before.value,
            state=row.state,
            note=row.note,
            figures=dict(figures),
            by_staff_id=row.by_staff_id,
            at=row.changed_at,
        )
    )
    is_worse_now = is_worse(BreakerState(row.state), before)
    action = "breaker.release" if row.by_staff_id or row.released_at == row.changed_at else "breaker.trip"
    record_audit(
        session,
        action if is_worse_now or action == "breaker.release" else "breaker.ease",
        by=row.by_staff_id,
        actor="" if row.by_staff_id else "reputation",
        subject=(row.scope, int(row.scope_key) if row.scope == "sending" else None),
        detail={"scope": row.scope, "key": row.scope_key, "state": row.state, "why": row.note},
    )


# ------------------------------------------------------------------ a person lets it go on


def resume(
    ctx: Context, scope: str, key: str, note: str, *, by: int | None = None, is_operator: bool = True
) -> Breaker:
    """Let a scope go on that the breaker slowed down or stopped; what went out before does not stop it again.

    It counts again only where it becomes worse than the state that is released now (docs/decisions/0026). Audited.

    Raises:
        InputError: no note.
        NotFoundError: no such breaker.
        ConflictError: it is not tripped.
        NotAllowedError: it is disabled, and only an operator may release that.
    """
    if not note.strip():
        raise InputError("releasing needs a note", where="note", mend="say why it is safe to go on")
    with ctx.write() as session:
        if queries.find_breaker(session, scope, key) is None:
            raise NotFoundError(f"the breaker of {scope} {key} never tripped")
        row = _lock_breaker(session, scope, key)
        before = BreakerState(row.state)
        if before is BreakerState.OK:
            raise ConflictError(f"the breaker of {scope} {key} is not tripped")
        if before is BreakerState.DISABLED and not is_operator:
            raise NotAllowedError("it is disabled; an operator has to release it")
        row.state, row.note, row.by_staff_id = BreakerState.OK.value, note.strip(), by
        row.released_state, row.released_at = before.value, utc_now()
        row.changed_at = row.released_at
        _record(session, row, before, row.figures)
        session.flush()
        effects.end_effect(session, ctx, scope, key, by=by)
    log.info("breaker_released", scope=scope, key=key, before=before.value)
    return row


def release_breaker(ctx: Context, sending_id: int | None, note: str, *, by: int | None = None) -> None:
    """Release whatever breaker has stopped a sending, its own or its domain's; nothing where none has."""
    if sending_id is None:
        return
    with ctx.read() as session:
        row = find_stopping(session, sending_id)
    if row is not None:
        resume(ctx, row.scope, row.scope_key, note, by=by)


def what_is_ignored(row: Breaker) -> str:
    """Return what a release leaves out of the judgement, in a sentence; empty where nothing is."""
    if row.released_at is None or row.released_state is None:
        return ""
    since = f"{row.released_at:%Y-%m-%d %H:%M} UTC"
    if BreakerState(row.released_state) is BreakerState.DISABLED:
        return f"what went out before {since} is ignored"
    return f"what went out before {since} is ignored, unless it becomes worse than {row.released_state}"
