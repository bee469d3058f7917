"""The ledger sealed in hash-chained blocks by a background job, and the check that nobody changed it afterwards.

Lines are written set-based and unsealed; a block covers every line between the one before and its last. A line must not
come to stand behind a seal: on PostgreSQL ids are handed out before their transactions end, so a block waits until
every transaction that ran when its last id was read is over.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailer.clock import utc_now
from mailer.consent.ledger import FIRST, LedgerLine, digest_lines
from mailer.context import Context
from mailer.errors import ConflictError
from mailer.schema.consent import ConsentBlock, ConsentEvent

BLOCK_LINES = 50_000
_PAGE = 2_000
_COLUMNS = [getattr(ConsentEvent, name) for name in LedgerLine._fields]


@dataclass
class Findings:
    """What a check of the ledger found; `head` is the digest of the last block, to be kept elsewhere."""

    blocks: int = 0
    lines: int = 0
    unsealed: int = 0
    head: bytes = FIRST
    problems: list[str] = field(default_factory=list)


def seal(ctx: Context, *, patience: float = 10.0) -> int:
    """Seal what is written so far and return how many blocks that made; `patience` in seconds. Safe to repeat.

    Raises:
        ConflictError: transactions went on for longer than `patience`; the next run seals.
    """
    last = _find_settled(ctx, patience)
    made = 0
    while _seal_next(ctx, last):
        made += 1
    return made


def _find_settled(ctx: Context, patience: float) -> int:
    """Return the highest id below which no line can appear any more."""
    with ctx.read() as session:
        last = session.scalar(select(func.max(ConsentEvent.id))) or 0
        if ctx.database.is_sqlite:
            return last  # one writer at a time
        horizon = session.scalar(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")) or 0
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with ctx.read() as session:
            oldest = session.scalar(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")) or 0
        if oldest >= horizon:
            return last
        time.sleep(0.2)
    raise ConflictError("the ledger is being written to", mend="seal again when long transactions are over")


def _seal_next(ctx: Context, last: int) -> bool:
    """Seal one block of lines up to `last`; False where there is nothing left, or another process was quicker."""
    with ctx.read() as session:
        head = find_head(session)
        before, previous = (head.last_id, head.digest) if head else (0, FIRST)
        found = digest_lines(previous, _iter_lines(session, before, last, BLOCK_LINES))
    if not found.count:
        return False
    block = ConsentBlock(
        previous_digest=previous, digest=found.digest, line_count=found.count, last_id=found.last_id,
        sealed_at=utc_now(),
    )  # fmt: skip
    try:
        with ctx.write() as session:
            session.add(block)
    except IntegrityError:  # another process sealed after the same block
        return False
    return True


def find_head(session: Session) -> ConsentBlock | None:
    """Return the newest block; None before the first."""
    return session.scalar(select(ConsentBlock).order_by(ConsentBlock.id.desc()).limit(1))


def _iter_lines(session: Session, after: int, last: int, limit: int | None = None) -> Iterator[LedgerLine]:
    query = select(*_COLUMNS).where(ConsentEvent.id > after, ConsentEvent.id <= last).order_by(ConsentEvent.id)
    with session.execute(query.limit(limit).execution_options(yield_per=_PAGE)) as result:
        for row in result:
            yield LedgerLine(*row)


def check_blocks(session: Session, *, known_head: bytes | None = None) -> Findings:
    """Compute every block anew and compare. `known_head`: a digest kept elsewhere that must be among them."""
    findings, after, heads = Findings(), 0, {FIRST}
    for block in session.scalars(select(ConsentBlock).order_by(ConsentBlock.id).execution_options(yield_per=100)):
        _check_block(session, block, after, findings)
        findings.head, after = block.digest, block.last_id
        heads.add(block.digest)
    findings.unsealed = session.scalar(select(func.count()).where(ConsentEvent.id > after)) or 0
    if known_head is not None and known_head not in heads:
        findings.problems.append("no block has the digest that was kept: blocks were taken away or made anew")
    return findings


def check_block(session: Session, block: ConsentBlock) -> bool:
    """Return whether one block holds what it held when it was sealed; its lines are read again."""
    before = session.scalars(select(ConsentBlock).where(ConsentBlock.digest == block.previous_digest)).one_or_none()
    if before is None and block.previous_digest != FIRST:
        return False
    found = digest_lines(block.previous_digest, _iter_lines(session, before.last_id if before else 0, block.last_id))
    return (found.count, found.digest) == (block.line_count, block.digest)


def _check_block(session: Session, block: ConsentBlock, after: int, findings: Findings) -> None:
    where = f"block {block.id}, lines {after + 1} to {block.last_id}"
    if block.previous_digest != findings.head:
        findings.problems.append(f"{where}: does not follow the block before it")
    found = digest_lines(block.previous_digest, _iter_lines(session, after, block.last_id))
    if (found.count, found.digest) != (block.line_count, block.digest):
        findings.problems.append(f"{where}: {found.count} lines of {block.line_count} are there, or one was changed")
    findings.blocks, findings.lines = findings.blocks + 1, findings.lines + found.count
