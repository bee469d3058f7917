"""Everything that the ledger says about one person, with what proves it, on one page (GDPR, article 7(1)).

Each line is shown with its evidence and whether that is still what it was, and with the block that seals it. Never
commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.consent import queries
from mailer.consent.blocks import check_block
from mailer.consent.ledger import digest_evidence
from mailer.consent.queries import TopicChoice
from mailer.consent.wording import load_wordings
from mailer.schema.accounts import Staff
from mailer.schema.consent import (
    Consent,
    ConsentBlock,
    ConsentEvent,
    ConsentEvidence,
    LeaveAnswer,
    Suppression,
    Topic,
)
from mailer.schema.contacts import Address, Contact
from mailer.statuses import Purpose

LIMIT = 1_000


class Evidence(StrEnum):
    """What became of the evidence of a line: as it was, changed, erased, or there was none."""

    INTACT = "intact"
    CHANGED = "changed"
    ERASED = "erased"
    NONE = "none"


@dataclass(frozen=True)
class Seal:
    """A block of the ledger; `is_intact` is None where nobody looked."""

    number: int
    digest: str
    sealed_at: datetime
    is_intact: bool | None = None


@dataclass(frozen=True)
class ProofLine:
    """A line of the ledger with what proves it. `wording`: the text that was agreed to; `seal` None: not sealed yet."""

    id: int
    at: datetime
    purpose: str
    verdict: str
    topic: str
    permission: str
    basis: str
    source: str
    channel: str
    by: str
    message_id: int | None
    ends_at: datetime | None
    wording_version: str
    wording: str
    evidence_state: Evidence
    evidence: Mapping[str, Any]
    answer: str
    seal: Seal | None


@dataclass(frozen=True)
class Proof:
    """What is known of a person's consent: the state now, and how it came about, oldest first."""

    ledger_id: int
    email: str
    permissions: Sequence[Consent]
    topics: Sequence[TopicChoice]
    suppressions: Sequence[Suppression]
    lines: Sequence[ProofLine] = field(default_factory=tuple)

    @property
    def problems(self) -> list[str]:
        """What does not agree: evidence that is not what it was, blocks that are not."""
        found = [
            f"line {one.id}: its evidence was changed" for one in self.lines if one.evidence_state is Evidence.CHANGED
        ]
        broken = {one.seal.number for one in self.lines if one.seal is not None and one.seal.is_intact is False}
        return [*found, *(f"block {number}: a line in it was changed" for number in sorted(broken))]

    @property
    def marketing(self) -> Consent | None:
        """The permission for e-marketing now."""
        return next((row for row in self.permissions if row.purpose == Purpose.E_MARKETING), None)

    @property
    def tracking(self) -> Consent | None:
        """The person's word on tracking now."""
        return next((row for row in self.permissions if row.purpose == Purpose.TRACKING), None)


def build_proof(session: Session, contact: Contact, *, checks_seals: bool = False) -> Proof:
    """Return the proof of a contact; `checks_seals`: read every block again that seals one of its lines."""
    address = session.get(Address, contact.address_id) if contact.address_id else None
    mine = select(Consent).where(Consent.contact_id == contact.id).order_by(Consent.purpose)
    return Proof(
        ledger_id=contact.ledger_id,
        email=(address.email if address else None) or "",
        permissions=session.scalars(mine).all(),
        topics=queries.list_choices(session, contact.id),
        suppressions=queries.list_active_suppressions(session, address.email_hash) if address else (),
        lines=_list_lines(session, contact.ledger_id, checks_seals=checks_seals),
    )


def _list_lines(session: Session, ledger_id: int, *, checks_seals: bool) -> list[ProofLine]:
    block = select(func.min(ConsentBlock.last_id)).where(ConsentBlock.last_id >= ConsentEvent.id)
    rows = session.execute(
        select(
            ConsentEvent,
            ConsentEvidence,
            Topic.name,
            Staff,
            LeaveAnswer,
            block.correlate(ConsentEvent).scalar_subquery(),
        )
        .outerjoin(ConsentEvidence, ConsentEvidence.consent_event_id == ConsentEvent.id)
        .outerjoin(Topic, Topic.id == ConsentEvent.topic_id)
        .outerjoin(Staff, Staff.id == ConsentEvent.by_staff_id)
        .outerjoin(LeaveAnswer, LeaveAnswer.consent_event_id == ConsentEvent.id)
        .where(ConsentEvent.ledger_id == ledger_id)
        .order_by(ConsentEvent.id)
        .limit(LIMIT)
    ).all()
    seals = _load_seals(session, {last for *_, last in rows if last is not None}, is_checked=checks_seals)
    wordings = load_wordings(session, (row.ConsentEvent.wording_version for row in rows))
    return [
        _line(line, evidence, topic or "", staff, answer, wordings, seals.get(last))
        for line, evidence, topic, staff, answer, last in rows
    ]


def _load_seals(session: Session, last_ids: set[int], *, is_checked: bool) -> dict[int, Seal]:
    blocks = session.scalars(select(ConsentBlock).where(ConsentBlock.last_id.in_(last_ids)).order_by(ConsentBlock.id))
    return {
        one.last_id: Seal(one.id, one.digest.hex(), one.sealed_at, check_block(session, one) if is_checked else None)
        for one in blocks.all()
    }


def _line(
    line: ConsentEvent,
    evidence: ConsentEvidence | None,
    topic: str,
    staff: Staff | None,
    answer: LeaveAnswer | None,
    wordings: Mapping[str, str],
    seal: Seal | None,
) -> ProofLine:
    return ProofLine(
        id=line.id, at=line.at, purpose=line.purpose, verdict=line.verdict, topic=topic,
        permission=line.permission or "", basis=line.basis or "", source=line.source, channel=line.channel,
        by=(staff.name or staff.email) if staff else "", message_id=line.message_id, ends_at=line.ends_at,
        wording_version=line.wording_version, wording=wordings.get(line.wording_version, ""),
        evidence_state=judge_evidence(line, evidence), evidence=evidence.data if evidence else {},
        answer=": ".join(filter(None, (answer.reason, answer.note))) if answer else "", seal=seal,
    )  # fmt: skip


def as_mapping(proof: Proof) -> dict[str, Any]:
    """Return a proof as plain values: for JSON, exports and the command line."""
    return {
        "ledger_id": proof.ledger_id,
        "email": proof.email,
        "permissions": [
            {"purpose": row.purpose, "permission": row.permission, "basis": row.basis, "source": row.source,
             "expires_at": row.expires_at, "paused_until": row.paused_until, "since": row.updated_at}
            for row in proof.permissions
        ],
        "topics": {choice.name: choice.status.value for choice in proof.topics},
        "suppressions": [
            {"reason": row.reason, "scope": row.scope, "source": row.source, "since": row.created_at}
            for row in proof.suppressions
        ],
        "lines": [asdict(line) for line in proof.lines],
    }  # fmt: skip


def judge_evidence(line: ConsentEvent, evidence: ConsentEvidence | None) -> Evidence:
    """Compare evidence with the digest that the line, which nobody can change, has of it."""
    if line.evidence_digest is None:
        return Evidence.NONE if evidence is None else Evidence.CHANGED
    if evidence is None:
        return Evidence.ERASED
    is_same = digest_evidence(evidence.data, evidence.salt) == line.evidence_digest
    return Evidence.INTACT if is_same else Evidence.CHANGED
