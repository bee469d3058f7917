"""Holds by policy: replies that blame the sender stop a provider's batches, then the sending (FEATURES B4).

Three such replies of one mailbox provider within ten minutes hold its batches in that sending; two providers held, or
nobody left to send to but held ones, hold the sending. No contact pays for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.context import Context
from mailer.database import any_row
from mailer.delivery.claim import is_provider_held
from mailer.delivery.jobs import SEND_DUE
from mailer.delivery.queries import get_sending
from mailer.delivery.sendings import hold_sending
from mailer.errors import ConflictError
from mailer.schema.delivery import Message, SendBatch, Sending
from mailer.schema.transports import PolicyRefusal as Refusal
from mailer.schema.transports import ProviderHold
from mailer.statuses import BatchState, HoldReason, MessageState, SendingState

REFUSALS, WITHIN = 3, timedelta(minutes=10)
PROVIDERS = 2
_REPLY_LIMIT = 500


@dataclass(frozen=True)
class PolicyRefusal:
    """A reply that blamed the sender; `at` is when it was seen."""

    sending_id: int
    provider: str
    reply: str
    at: datetime


def record_policy_refusals(session: Session, refusals: Sequence[PolicyRefusal]) -> frozenset[tuple[int, str]]:
    """Write refusals down, hold what B4 holds, and return (sending, provider) of those whose batches must stop now."""
    if not refusals:
        return frozenset()
    rows = [
        {"sending_id": one.sending_id, "provider": one.provider, "reply": one.reply[:_REPLY_LIMIT], "at": one.at}
        for one in refusals
    ]
    session.execute(insert(Refusal), rows)
    concerned = sorted({(one.sending_id, one.provider) for one in refusals})
    for sending_id in sorted({sending_id for sending_id, _ in concerned}):
        session.get(Sending, sending_id, with_for_update=True, populate_existing=True)  # one at a time judges it
    for sending_id, provider in concerned:
        _judge(session, sending_id, provider)
    return frozenset(pair for pair in concerned if find_provider_hold(session, *pair) is not None)


def _judge(session: Session, sending_id: int, provider: str) -> None:
    if find_provider_hold(session, sending_id, provider) is not None:
        return
    since = max(utc_now() - WITHIN, _last_release(session, sending_id, provider))
    mine = (Refusal.sending_id == sending_id, Refusal.provider == provider, Refusal.at > since)
    if (session.scalar(select(func.count()).select_from(Refusal).where(*mine)) or 0) < REFUSALS:
        return
    reply = session.scalars(select(Refusal.reply).where(*mine).order_by(Refusal.id.desc()).limit(1)).one()
    _hold(session, sending_id, provider, HoldReason.POLICY, reply, "delivery")
    held = {one.provider for one in list_provider_holds(session, sending_id)}
    if len(held) >= PROVIDERS or not _has_others(session, sending_id):
        hold_sending(session, sending_id, HoldReason.POLICY, reply)


def hold_provider(
    session: Session, sending_id: int, provider: str, reason: HoldReason, note: str, *, actor: str
) -> bool:
    """Hold a mailbox provider's batches in a sending; False where they are held already. Audited."""
    session.get(Sending, sending_id, with_for_update=True, populate_existing=True)
    if find_provider_hold(session, sending_id, provider) is not None:
        return False
    _hold(session, sending_id, provider, reason, note, actor)
    return True


def _hold(session: Session, sending_id: int, provider: str, reason: HoldReason, note: str, actor: str) -> None:
    session.add(
        ProviderHold(sending_id=sending_id, provider=provider, reason=reason.value, note=note, held_at=utc_now())
    )
    session.flush()
    detail = {"provider": provider, "reply" if reason is HoldReason.POLICY else "why": note}
    record_audit(session, "delivery.hold_provider", actor=actor, subject=("sending", sending_id), detail=detail)


def _last_release(session: Session, sending_id: int, provider: str) -> datetime:
    """What was refused before somebody released it is forgiven."""
    released = session.scalar(
        select(func.max(ProviderHold.released_at)).where(
            ProviderHold.sending_id == sending_id, ProviderHold.provider == provider
        )
    )
    return released or utc_now() - WITHIN


def _has_others(session: Session, sending_id: int) -> bool:
    """Whether a batch of a provider that is not held has somebody queued."""
    queued = any_row(Message, Message.batch_id == SendBatch.id, Message.state == MessageState.QUEUED.value)
    others = select(SendBatch.id).where(
        SendBatch.sending_id == sending_id,
        SendBatch.state != BatchState.DONE.value,
        ~is_provider_held(),
        queued,
    )
    return session.scalar(others.limit(1)) is not None


def find_provider_hold(session: Session, sending_id: int, provider: str) -> ProviderHold | None:
    """Return what holds a provider's batches in a sending now."""
    return session.scalars(
        select(ProviderHold).where(
            ProviderHold.sending_id == sending_id,
            ProviderHold.provider == provider,
            ProviderHold.released_at.is_(None),
        )
    ).one_or_none()


def list_provider_holds(session: Session, sending_id: int) -> Sequence[ProviderHold]:
    """Return what is held now in a sending, oldest first."""
    return session.scalars(
        select(ProviderHold)
        .where(ProviderHold.sending_id == sending_id, ProviderHold.released_at.is_(None))
        .order_by(ProviderHold.id)
    ).all()


def release_provider(session: Session, ctx: Context, sending_id: int, provider: str, *, by: int | None = None) -> None:
    """Let a provider's batches go again, those waiting for another try at once; audited.

    Raises:
        NotFoundError: no such sending.
        ConflictError: they are not held.
    """
    get_sending(session, sending_id)
    session.get(Sending, sending_id, with_for_update=True, populate_existing=True)
    if not _release(session, ctx, sending_id, [provider], by):
        raise ConflictError(f"batches of {provider} are not held")
    ctx.ring(session, SEND_DUE)


def release_all_providers(session: Session, ctx: Context, sending_id: int, *, by: int | None = None) -> None:
    """Let every held provider's batches of a sending go again; nothing where none is held."""
    _release(session, ctx, sending_id, [one.provider for one in list_provider_holds(session, sending_id)], by)


def _release(session: Session, ctx: Context, sending_id: int, providers: Iterable[str], by: int | None) -> bool:
    chosen = list(providers)
    released = session.scalars(
        update(ProviderHold)
        .where(
            ProviderHold.sending_id == sending_id,
            ProviderHold.provider.in_(chosen),
            ProviderHold.released_at.is_(None),
        )
        .values(released_at=utc_now())
        .returning(ProviderHold.provider)
        .execution_options(synchronize_session=False)
    ).all()
    if not released:
        return False
    now = ctx.clock.now()
    session.execute(
        update(SendBatch)
        .where(
            SendBatch.sending_id == sending_id,
            SendBatch.provider.in_(released),
            SendBatch.state == BatchState.READY.value,
            SendBatch.not_before > now,
        )
        .values(not_before=now)
        .execution_options(synchronize_session=False)
    )
    detail = {"providers": sorted(released)}
    record_audit(session, "delivery.release_provider", by=by, subject=("sending", sending_id), detail=detail)
    return True


def hold_provider_everywhere(session: Session, provider: str, note: str) -> int:
    """Hold a mailbox provider's batches in every sending that runs; return in how many that is new. Audited."""
    running = session.scalars(
        select(Sending.id).where(Sending.state == SendingState.SENDING.value).order_by(Sending.id).with_for_update()
    ).all()
    fresh = [one for one in running if find_provider_hold(session, one, provider) is None]
    for sending_id in fresh:
        hold = {"sending_id": sending_id, "provider": provider, "reason": HoldReason.BREAKER.value, "note": note}
        session.add(ProviderHold(**hold, held_at=utc_now()))
    if fresh:
        detail = {"provider": provider, "note": note, "sendings": fresh}
        record_audit(session, "delivery.hold_provider_everywhere", actor="delivery", detail=detail)
    return len(fresh)


def release_provider_everywhere(session: Session, ctx: Context, provider: str, *, by: int | None = None) -> int:
    """Let a provider's batches go again that `hold_provider_everywhere` held; return in how many sendings."""
    held = session.scalars(
        select(ProviderHold.sending_id).where(
            ProviderHold.provider == provider,
            ProviderHold.reason == HoldReason.BREAKER.value,
            ProviderHold.released_at.is_(None),
        )
    ).all()
    for sending_id in sorted(held):
        session.get(Sending, sending_id, with_for_update=True, populate_existing=True)
        _release(session, ctx, sending_id, [provider], by)
    ctx.ring(session, SEND_DUE)
    return len(held)
