"""Permission that runs out on its day: who may not be mailed any more is written down, set-based and in chunks.

Audience and gate obey `expires_at` themselves, to the second; this job only makes table and ledger say so. It may run
late, twice, or in two processes at once: a chunk takes its rows, and only those that are still due.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import insert, literal, null, select, text, update
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.bulk import lock_imported
from mailer.context import Context
from mailer.schema.consent import RUNS_OUT, Consent, ConsentEvent
from mailer.schema.contacts import Contact
from mailer.statuses import OWN_PRODUCTS_ONLY, Basis, ConsentVerdict, Permission
from mailer.workspace.queries import get_limit

CHUNK = 1_000
_IMPLIED = tuple(word.value for word in OWN_PRODUCTS_ONLY)


def expire_due(ctx: Context, *, chunk: int = CHUNK) -> int:
    """Write a line `expired` for every permission whose time is over, and make it `none`; return how many."""
    done = 0
    while True:
        with ctx.write() as session:
            count = _expire_chunk(session, utc_now(), chunk)
        done += count
        if count < chunk:
            return done


def _expire_chunk(session: Session, now: datetime, limit: int) -> int:
    due = (text(RUNS_OUT), Consent.expires_at <= now)
    found = session.execute(
        select(Consent.contact_id, Contact.address_id)
        .join(Contact, Contact.id == Consent.contact_id)
        .where(*due)
        .order_by(Consent.expires_at, Consent.contact_id)
        .limit(limit)
    ).all()
    lock_imported(session, [address_id for _, address_id in found if address_id is not None])
    _write_lines(session, [contact_id for contact_id, _ in found], due, now)
    return len(found)


def _write_lines(session: Session, contact_ids: Sequence[int], due: tuple, now: datetime) -> None:  # type: ignore[type-arg]
    """Behind the lock: only what is still due, because somebody may have given permission again while we waited."""
    mine = Consent.contact_id.in_(contact_ids)
    still = select(Consent.contact_id, Consent.purpose).where(*due, mine).with_for_update()
    keys = {contact_id for contact_id, _ in session.execute(still)}
    if not keys:
        return
    lines = (
        select(
            Contact.ledger_id, Consent.purpose, literal(ConsentVerdict.EXPIRED.value), literal(Permission.NONE.value),
            Consent.basis, Consent.source, literal("expiry"), literal(""), literal(now), null(),
        )
        .join(Contact, Contact.id == Consent.contact_id)
        .where(*due, Consent.contact_id.in_(keys))
        .order_by(Contact.ledger_id)
    )  # fmt: skip
    columns = ["ledger_id", "purpose", "verdict", "permission", "basis", "source", "channel", "wording_version", "at",
               "ends_at"]  # fmt: skip
    session.execute(insert(ConsentEvent).from_select(columns, lines))
    session.execute(
        update(Consent)
        .where(*due, Consent.contact_id.in_(keys))
        .values(permission=Permission.NONE.value, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def find_end(session: Session, basis: Basis, given_at: datetime) -> datetime | None:
    """Return when a permission given now runs out by the workspace's setting; None for one that stays.

    Only implied permission runs out by itself: `customer` and `business`.
    """
    days = get_limit(session, "implied_consent_days")
    return given_at + timedelta(days=days) if basis.value in _IMPLIED and days > 0 else None
