"""Reads of sending domains and their keys."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.delivery.domains import Check, Light, Standing, candidates, is_aligned, read_checks, worst_light
from mailer.errors import NotFoundError
from mailer.schema.transports import DkimKey, SendingDomain
from mailer.schema.workspace import Sender


@dataclass(frozen=True)
class DomainLine:
    """A line of the list. `light` is None where it was never checked; `keys` counts those that sign."""

    id: int
    public_id: uuid.UUID
    domain: str
    keys: int
    light: Light | None
    checked_at: datetime | None
    created_at: datetime
    worst: Sequence[Check] = ()


def list_domains(session: Session) -> list[DomainLine]:
    """Return the sending domains by name."""
    rows = session.execute(
        select(SendingDomain, func.count(DkimKey.id))
        .outerjoin(DkimKey, (DkimKey.domain_id == SendingDomain.id) & DkimKey.is_active)
        .group_by(SendingDomain.id)
        .order_by(SendingDomain.domain)
    )
    return [_line(row, keys) for row, keys in rows]


def _line(row: SendingDomain, keys: int) -> DomainLine:
    checks = read_checks(row.checks)
    light = worst_light(checks)
    worst = [check for check in checks if check.light is light and light is not Light.OK]
    return DomainLine(row.id, row.public_id, row.domain, keys, light, row.checked_at, row.created_at, worst)


def get_domain(session: Session, public_id: uuid.UUID) -> SendingDomain:
    """Return a sending domain or raise NotFoundError."""
    row = session.scalar(select(SendingDomain).where(SendingDomain.public_id == public_id))
    if row is None:
        raise NotFoundError("no such sending domain")
    return row


def get_domain_by_name(session: Session, domain: str) -> SendingDomain:
    """Return the sending domain of that name or raise NotFoundError."""
    row = session.scalar(select(SendingDomain).where(SendingDomain.domain == domain.strip().lower()))
    if row is None:
        known = ", ".join(session.scalars(select(SendingDomain.domain).order_by(SendingDomain.domain)))
        raise NotFoundError(f"there is no sending domain {domain!r}", mend=f"sending domains: {known or 'none'}")
    return row


def find_signing_domain(session: Session, from_email: str) -> SendingDomain | None:
    """Return the sending domain that mails from an address are signed as: its own, else the nearest above it."""
    names = candidates(from_email.rpartition("@")[2])
    rows = session.scalars(select(SendingDomain).where(SendingDomain.domain.in_(names))).all()
    return min(rows, key=lambda row: names.index(row.domain), default=None)


def list_keys(session: Session, domain_id: int) -> Sequence[DkimKey]:
    """Return the keys of a domain, oldest first."""
    return session.scalars(select(DkimKey).where(DkimKey.domain_id == domain_id).order_by(DkimKey.id)).all()


def list_from_domains(session: Session, row: SendingDomain) -> list[str]:
    """Return the domains of sender profiles whose mails are signed as this domain."""
    emails = session.scalars(select(Sender.from_email).where(Sender.archived_at.is_(None)).order_by(Sender.id))
    near = [email for email in emails if row.domain in candidates(email.rpartition("@")[2])]
    signed = [email for email in near if (found := find_signing_domain(session, email)) and found.id == row.id]
    return list(dict.fromkeys(email.rpartition("@")[2] for email in signed))


def find_standing(session: Session, from_email: str) -> Standing:
    """Return what the last checks say about mails from an address; what the review judges."""
    row = find_signing_domain(session, from_email)
    if row is None:
        return Standing()
    name = from_email.rpartition("@")[2]
    active = {key.selector for key in list_keys(session, row.id) if key.is_active}
    checks = read_checks(row.checks)
    said = {check.light for check in checks if check.kind == "alignment" and check.name == name}
    return Standing(
        domain=row.domain,
        has_key=bool(active),
        dkim=_best([check for check in checks if check.kind == "dkim" and check.selector in active]),
        dmarc=_best([check for check in checks if check.kind == "dmarc"]),
        is_aligned=Light.FAIL not in said and is_aligned(name, row.domain),
        checked_at=row.checked_at,
    )


def _best(checks: Sequence[Check]) -> Light | None:
    """One signature that holds is enough for DMARC."""
    order = (Light.OK, Light.WARN, Light.UNKNOWN, Light.FAIL)
    lights = {check.light for check in checks}
    return next((light for light in order if light in lights), None)
