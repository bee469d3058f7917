"""What a chunk of rows does to what is there: new, changed, unchanged or refused. Pure.

The key is the external id where the file has one, else the address. Empty cells never erase; tags are only added.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailer.contacts.bulk import Known, KnownAddress
from mailer.imports.check import ContactRow, Refused

ERASED = "this address was erased at its owner's wish; only the person can come back, by signing up"
SHARED = "several contacts share this address; give the external id of the one that is meant"


@dataclass(frozen=True)
class Change:
    """A row that changes a contact; `known` is the contact before, merged values follow."""

    row: ContactRow
    known: Known
    plain: tuple[str, ...]
    data: str
    new_tags: tuple[str, ...]


@dataclass
class Plan:
    """What a chunk does, in file order within each list."""

    new: list[ContactRow] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: list[tuple[ContactRow, Known]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True)
class There:
    """What is there already of a chunk."""

    by_email: Mapping[str, KnownAddress]
    by_external_id: Mapping[str, Known]
    tags: Mapping[int, set[str]]
    erased: frozenset[bytes] | set[bytes]


def split_repeats(rows: Sequence[ContactRow]) -> tuple[list[ContactRow], list[ContactRow]]:
    """Return rows whose key comes for the first time, and the others, which wait until those are written."""
    if len({row.email for row in rows}) == len(rows) and not any(row.external_id for row in rows):
        return list(rows), []
    seen: set[str] = set()
    first: list[ContactRow] = []
    later: list[ContactRow] = []
    for row in rows:
        key = "\0" + row.external_id if row.external_id else row.email
        if key in seen:
            later.append(row)
            continue
        seen.add(key)
        if row.external_id and row.email:
            seen.add(row.email)
        first.append(row)
    return first, later


def plan_rows(rows: Sequence[ContactRow], there: There) -> Plan:
    """Return what `rows`, each with a key of its own, do to what is there."""
    if not there.by_email and not there.by_external_id and not there.erased:
        return Plan(new=list(rows))
    plan = Plan()
    for row in rows:
        if row.email_hash in there.erased:
            plan.refused.append(Refused(row.cells, ERASED))
            continue
        known: Known | None = None
        if row.external_id:
            known = there.by_external_id.get(row.external_id)
        elif row.email in there.by_email:
            contacts = there.by_email[row.email].contacts
            if len(contacts) > 1:
                plan.refused.append(Refused(row.cells, SHARED))
                continue
            known = contacts[0] if contacts else None
        if known is None:
            plan.new.append(row)
            continue
        change = merge(row, known, there.tags.get(known.id, set()))
        if change is None:
            plan.unchanged.append((row, known))
        else:
            plan.changed.append(change)
    return plan


def merge(row: ContactRow, known: Known, tags: set[str]) -> Change | None:
    """Return the change that a row makes to a contact; None where it makes none."""
    plain = tuple(new or old for new, old in zip(row.plain, known.plain, strict=True))
    data = {**known.data, **json.loads(row.data)} if row.data != "{}" else known.data
    new_tags = tuple(tag for tag in row.tags if tag not in tags)
    is_same = (
        plain == known.plain
        and data == known.data
        and not new_tags
        and (not row.email or row.email == known.email)
        and (not row.owner_id or row.owner_id == known.owner_id)
        and (not row.company or row.company == known.company)
    )
    return None if is_same else Change(row, known, plain, json.dumps(data, ensure_ascii=False), new_tags)


def after(change: Change) -> Known:
    """Return the contact as it is after a change."""
    row, known = change.row, change.known
    return known._replace(
        email=row.email or known.email,
        plain=change.plain,
        owner_id=row.owner_id or known.owner_id,
        company=row.company or known.company,
        data=json.loads(change.data),
    )


def as_known(row: ContactRow, number: int) -> Known:
    """Return a new contact as it would be found."""
    return Known(number, 0, 0, row.email, row.external_id, row.plain, row.owner_id, row.company, json.loads(row.data))


@dataclass(frozen=True)
class Counts:
    """How many rows did what."""

    rows: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    left: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return replace(
            self,
            rows=self.rows + other.rows,
            new=self.new + other.new,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            refused=self.refused + other.refused,
            left=self.left + other.left,
        )
