"""Suppressions undone in bulk: by reason, mailbox provider, period, campaign or import (FEATURES B7). Set-based.

Only what staff may lift (lifting.py) is ever lifted here, whatever a scope says: a complaint, an unsubscribe or an
erasure is the person's alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.clock import utc_now
from mailer.consent.lifting import list_lifted_by
from mailer.consent.service import lock_addresses
from mailer.context import Context
from mailer.database import any_row
from mailer.schema.consent import Suppression
from mailer.schema.contacts import Address, Contact
from mailer.schema.delivery import Message
from mailer.statuses import LiftAct, SuppressionReason

_CHUNK = 500
BOUNCES = (SuppressionReason.HARD_BOUNCE, SuppressionReason.SOFT_BOUNCES, SuppressionReason.PROVIDER)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which active suppressions are meant; None: any. `since` included, `until` not."""

    reasons: Sequence[SuppressionReason] = BOUNCES
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sending_id: int | None = None
    import_id: int | None = None
    is_suspect: bool | None = None
    source: str | None = None


def select_scope(scope: Scope) -> Select[int]:
    """Return a select of the ids of active suppressions that staff may lift."""
    liftable = [reason.value for reason in scope.reasons if reason in list_lifted_by(LiftAct.STAFF)]
    conditions: list[ColumnElement[bool]] = [Suppression.lifted_at.is_(None), Suppression.reason.in_(liftable)]
    if scope.since is not None:
        conditions.append(Suppression.created_at >= scope.since)
    if scope.until is not None:
        conditions.append(Suppression.created_at < scope.until)
    if scope.is_suspect is not None:
        conditions.append(Suppression.is_suspect.is_(scope.is_suspect))
    if scope.source is not None:
        conditions.append(Suppression.source.startswith(scope.source, autoescape=True))
    if scope.provider is not None:
        same = Address.email_hash == Suppression.address_hash
        conditions.append(any_row(Address, same, Address.provider == scope.provider))
    if scope.sending_id is not None:
        is_of = (Message.id == Suppression.message_id, Message.sending_id == scope.sending_id)
        conditions.append(any_row(Message, *is_of))
    if scope.import_id is not None:
        imported = select(Address.email_hash).join(Contact, Contact.address_id == Address.id)
        conditions.append(Suppression.address_hash.in_(imported.where(Contact.import_id == scope.import_id)))
    return select(Suppression.id).where(*conditions)


def count_scope(session: Session, scope: Scope) -> int:
    """Return how many suppressions a scope means."""
    return session.scalar(select(func.count()).select_from(select_scope(scope).subquery())) or 0


def mark_suspect(ctx: Context, scope: Scope, *, chunk: int = _CHUNK) -> int:
    """Mark suppressions as perhaps the provider's mistake; they hold all the same. Return how many are new.

    In short transactions, as `release_scope`.
    """
    total = 0
    while True:
        with ctx.write() as session:
            ids = session.scalars(select_scope(replace(scope, is_suspect=False)).limit(chunk)).all()
            session.execute(
                update(Suppression)
                .where(Suppression.id.in_(ids))
                .values(is_suspect=True)
                .execution_options(synchronize_session=False)
            )
        total += len(ids)
        if len(ids) < chunk:
            return total


def release_scope(ctx: Context, scope: Scope, *, by: int | None = None, why: str = "", chunk: int = _CHUNK) -> int:
    """Lift what a scope means, in short transactions, and return how many; audited. Safe to repeat after a kill."""
    total = 0
    while True:
        with ctx.write() as session:
            ids = session.scalars(select_scope(scope).order_by(Suppression.id).limit(chunk)).all()
            if ids:
                total += lift_ids(session, ids, by=by)
        if len(ids) < chunk:
            break
    with ctx.write() as session:
        detail = {"count": total, "why": why} | _describe(scope)
        record_audit(session, "suppression.release", by=by, actor="" if by else "policy", detail=detail)
    return total


def _describe(scope: Scope) -> dict[str, Any]:
    """Return what a scope says, for the audit; what it leaves open is left out."""
    said = {
        "reasons": [reason.value for reason in scope.reasons],
        "provider": scope.provider,
        "since": scope.since and scope.since.isoformat(),
        "until": scope.until and scope.until.isoformat(),
        "sending": scope.sending_id,
        "import": scope.import_id,
        "source": scope.source,
    }
    return {name: value for name, value in said.items() if value is not None}


def lift_ids(session: Session, ids: Sequence[int], *, by: int | None = None) -> int:
    """Lift suppressions by id; the bounce state of their addresses is that of what still suppresses them."""
    hashes = select(Suppression.address_hash).where(Suppression.id.in_(ids))
    lock_addresses(session, session.scalars(select(Address.id).where(Address.email_hash.in_(hashes))).all())
    lifted = session.scalars(
        update(Suppression)
        .where(Suppression.id.in_(ids), Suppression.lifted_at.is_(None))
        .values(lifted_at=utc_now(), lifted_by=by)
        .returning(Suppression.address_hash)
        .execution_options(synchronize_session=False)
    ).all()
    is_asleep = and_(_is_suppressed(SuppressionReason.SOFT_BOUNCES), Address.bounce_state == "asleep")
    state = case((_is_suppressed(SuppressionReason.HARD_BOUNCE), "hard"), (is_asleep, "asleep"), else_="ok")
    session.execute(
        update(Address)
        .where(Address.email_hash.in_(lifted), Address.bounce_state != "ok")
        .values(bounce_state=state)
        .execution_options(synchronize_session=False)
    )
    return len(lifted)


def _is_suppressed(reason: SuppressionReason) -> ColumnElement[bool]:
    same = Suppression.address_hash == Address.email_hash
    return any_row(Suppression, same, Suppression.reason == reason.value, Suppression.lifted_at.is_(None))
