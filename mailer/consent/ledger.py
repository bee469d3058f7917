"""The bytes of the consent ledger that are sealed: lines in a fixed form, chained by SHA-256 (FIPS 180-4). Pure.

A line names a person by a random ledger id only, which is destroyed at erasure; so a sealed line never has to change.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

_ADDRESS = re.compile(r"[^\s<>,;]+@[^\s<>,;]+")
FIRST = bytes(32)
"""What stands before the first block."""


class LedgerLine(NamedTuple):
    """A line of the ledger, all that it says."""

    id: int
    ledger_id: int
    purpose: str
    topic_id: int | None
    verdict: str
    permission: str | None
    basis: str | None
    source: str
    channel: str
    wording_version: str
    evidence_digest: bytes | None
    message_id: int | None
    by_staff_id: int | None
    at: datetime
    ends_at: datetime | None = None


@dataclass(frozen=True)
class Digest:
    """What a block holds: how many lines, up to which id, and the digest of them and of the block before."""

    count: int
    last_id: int
    digest: bytes


def digest_lines(previous: bytes, lines: Iterable[LedgerLine]) -> Digest:
    """Return the digest of a block of lines, in the order of their ids, after the block with the digest `previous`."""
    found = hashlib.sha256(previous)
    count = last_id = 0
    for line in lines:
        found.update(_write(line))
        count, last_id = count + 1, line.id
    found.update(f"{count}\n".encode())
    return Digest(count, last_id, found.digest())


def clean_source(text: str) -> str:
    """Return a source without addresses: a line is never erased, so nothing of the person may stand in it."""
    return _ADDRESS.sub("(address)", text)


def digest_evidence(evidence: Mapping[str, Any], salt: bytes) -> bytes:
    """Return what a line says of its evidence: a salted digest (BLAKE2b, 32 bytes) of its JSON, keys in order."""
    return hashlib.blake2b(json.dumps(dict(evidence), sort_keys=True).encode(), salt=salt, digest_size=32).digest()


def _write(line: LedgerLine) -> bytes:
    evidence = line.evidence_digest.hex() if line.evidence_digest is not None else None
    values = [*line[:10], evidence, line.message_id, line.by_staff_id, _instant(line.at)]
    if line.ends_at is not None:  # lines from before there were ends are sealed without one
        values.append(_instant(line.ends_at))
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
