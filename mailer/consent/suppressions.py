"""Suppressions by hand and by file: who may add, who may lift (lifting.py), what a file may say (FEATURES C10).

A file adds, it never lifts. An address stands in it as it is or by its keyed hash, which only the installation that
made it (or one with the same key file) can read: so an export can be kept, and erased people stay suppressed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from mailer.accounts.service import record_audit
from mailer.addresses import AddressError, check_address, hash_address
from mailer.clock import utc_now
from mailer.consent import queries
from mailer.consent.lifting import may_lift, why_not_lift
from mailer.consent.service import hash_email, lock_addresses, suppress
from mailer.context import Context
from mailer.errors import InputError, NotAllowedError, NotFoundError
from mailer.schema.consent import Suppression, Topic
from mailer.schema.contacts import Address
from mailer.statuses import LiftAct, SuppressionReason

_CHUNK = 500
_SHOWN = 100
_HASH = re.compile(r"[0-9a-fA-F]{32}")
_NAMES = {"email": "email", "e-mail": "email", "address": "email", "address_hash": "address_hash", "reason": "reason",
          "topic": "topic"}  # fmt: skip
EXPORT_COLUMNS = ("email", "address_hash", "scope", "topic", "reason", "source", "created_at")


@dataclass
class ImportedList:
    """What came of a file of suppressions; `refused`: the first lines with why not, `refused_count` all of them."""

    rows: int = 0
    new: int = 0
    refused_count: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def add_suppression(
    ctx: Context,
    email: str,
    *,
    source: str,
    reason: SuppressionReason = SuppressionReason.MANUAL,
    topic_id: int | None = None,
    by: int | None = None,
) -> bool:
    """Suppress a typed address for all mail or one topic, and return whether that is new.

    Raises:
        InputError: it is no address, or there is no such topic.
    """
    address_hash = hash_email(ctx, email)
    with ctx.write() as session:
        if topic_id is not None and session.get(Topic, topic_id) is None:
            raise InputError("there is no such topic", where="topic")
        is_new = suppress(session, address_hash, reason, source, topic_id=topic_id)
        record_audit(session, "suppression.add", by=by, detail={"reason": reason.value, "new": is_new})
    return is_new


def lift_suppressions(ctx: Context, email: str, *, by: int | None, act: LiftAct = LiftAct.STAFF) -> int:
    """Lift what `act` may lift from an address and return how many; history stays.

    Raises:
        NotFoundError: nothing suppresses the address.
        NotAllowedError: only the person can lift what is there (unsubscribe, complaint, erasure).
    """
    address_hash = hash_email(ctx, email)
    with ctx.write() as session:
        active = queries.list_active_suppressions(session, address_hash)
        if not active:
            raise NotFoundError(f"{email} is not suppressed")
        return _lift(session, active, act, by, shown=email)


def lift_one(ctx: Context, suppression_id: int, *, by: int | None) -> None:
    """Lift one suppression by hand. Raises as `lift_suppressions` does."""
    with ctx.write() as session:
        row = session.get(Suppression, suppression_id)
        if row is None or row.lifted_at is not None:
            raise NotFoundError("this address is not suppressed any more")
        _lift(session, [row], LiftAct.STAFF, by, shown="this address")


def _lift(session: Session, active: Sequence[Suppression], act: LiftAct, by: int | None, *, shown: str) -> int:
    liftable = [row.id for row in active if may_lift(row.reason, act)]
    if not liftable:
        why = [why_not_lift(reason, act) for reason in dict.fromkeys(row.reason for row in active)]
        words = [(what, mend) for what, mend in filter(None, why)]
        raise NotAllowedError(f"{shown} stays suppressed: {words[0][0]}", mend=words[0][1])
    address_hash = active[0].address_hash
    address_id = session.scalar(select(Address.id).where(Address.email_hash == address_hash))
    lock_addresses(session, [address_id])
    lifted = update(Suppression).where(Suppression.id.in_(liftable), Suppression.lifted_at.is_(None))
    session.execute(lifted.values(lifted_at=utc_now(), lifted_by=by).execution_options(synchronize_session=False))
    still = {row.reason for row in active if row.id not in liftable}
    if SuppressionReason.HARD_BOUNCE.value not in still:
        session.execute(update(Address).where(Address.email_hash == address_hash).values(bounce_state="ok"))
    detail = {"reasons": sorted({row.reason for row in active if row.id in liftable})}
    record_audit(session, "suppression.lift", by=by, subject=("suppression", liftable[0]), detail=detail)
    return len(liftable)


def find_hash(ctx: Context, text: str) -> bytes | None:
    """Return the keyed hash of a whole address, so that a search finds it where only the hash is kept."""
    try:
        return hash_address(check_address(text).email, ctx.keys.suppression)
    except AddressError:
        return None


def read_list(rows: Iterable[Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield the lines of a file by column; without a header that we know, the first column is the address."""
    names: dict[int, str] | None = None
    for row in rows:
        cells = [cell.replace("\0", "").strip() for cell in row]
        if names is None:
            known = {at: _NAMES[cell.lower()] for at, cell in enumerate(cells) if cell.lower() in _NAMES}
            names = known if {"email", "address_hash"} & set(known.values()) else {0: "email"}
            if known and names is known:
                continue
        line = {name: cells[at] for at, name in names.items() if at < len(cells)}
        if line.get("email") or line.get("address_hash"):
            yield line


def import_suppressions(
    ctx: Context, lines: Iterable[Mapping[str, str] | str], *, source: str, by: int | None = None
) -> ImportedList:
    """Suppress what the lines name: `email` or `address_hash`, and perhaps `reason` and `topic`. Lifts nothing.

    A line without a reason, or with one that we do not know, counts as done by hand. Safe to repeat.
    """
    with ctx.read() as session:
        topics = {topic.name.casefold(): topic.id for topic in queries.list_topics(session)}
    found = ImportedList()
    waiting: dict[tuple[str, int | None], dict[bytes, None]] = {}
    for line in lines:
        found.rows += 1
        given = {"email": line} if isinstance(line, str) else line
        try:
            reason, topic_id, address_hash = _read_line(ctx, given, topics)
        except ValueError as error:
            found.refused_count += 1
            if len(found.refused) < _SHOWN:
                found.refused.append((given.get("email") or given.get("address_hash", ""), str(error)))
            continue
        group = waiting.setdefault((reason, topic_id), {})
        group[address_hash] = None
        if len(group) >= _CHUNK:
            found.new += _suppress_many(ctx, list(group), reason, topic_id, source)
            group.clear()
    for (reason, topic_id), group in waiting.items():
        found.new += _suppress_many(ctx, list(group), reason, topic_id, source) if group else 0
    with ctx.write() as session:
        record_audit(session, "suppression.import", by=by, detail={"rows": found.rows, "new": found.new})
    return found


def _read_line(ctx: Context, line: Mapping[str, str], topics: Mapping[str, int]) -> tuple[str, int | None, bytes]:
    reason = line.get("reason", "").strip().lower().replace(" ", "_")
    if reason not in list(SuppressionReason):  # another program's word; the wish not to be mailed counts all the same
        reason = SuppressionReason.MANUAL.value
    topic = line.get("topic", "").strip().casefold()
    if topic and topic not in topics:
        raise ValueError(f"no such topic: {line['topic']}")
    email, known_hash = line.get("email", ""), line.get("address_hash", "")
    if email:
        try:
            address_hash = hash_address(check_address(email).email, ctx.keys.suppression)
        except AddressError as error:
            raise ValueError(str(error)) from error
    elif _HASH.fullmatch(known_hash):
        address_hash = bytes.fromhex(known_hash)
    else:
        raise ValueError("neither an address nor a hash of 32 hexadecimal digits")
    return reason, topics[topic] if topic else None, address_hash


def _suppress_many(ctx: Context, hashes: Sequence[bytes], reason: str, topic_id: int | None, source: str) -> int:
    with ctx.write() as session:
        ids = session.scalars(select(Address.id).where(Address.email_hash.in_(hashes))).all()
        lock_addresses(session, ids)
        active = select(Suppression.address_hash).where(
            Suppression.address_hash.in_(hashes),
            Suppression.reason == reason,
            func.coalesce(Suppression.topic_id, 0) == (topic_id or 0),
            Suppression.lifted_at.is_(None),
        )
        there, now = set(session.scalars(active)), utc_now()
        rows = [
            {"address_hash": value, "scope": "all" if topic_id is None else "topic", "topic_id": topic_id,
             "reason": reason, "source": source, "is_suspect": False, "created_at": now}
            for value in hashes
            if value not in there
        ]  # fmt: skip
        if rows:
            session.execute(insert(Suppression), rows)
    return len(rows)


def iter_export(ctx: Context, *, page: int = 1_000) -> Iterator[tuple[str, ...]]:
    """Yield what is suppressed now, newest first, in the order of EXPORT_COLUMNS; `import_suppressions` reads it back.

    A row whose address is not known any more has its hash only.
    """
    before: int | None = None
    while True:
        with ctx.read() as session:
            lines = queries.list_suppressions(session, before_id=before, limit=page)
        for line in lines:
            yield (line.email or "", line.address_hash.hex(), line.scope, line.topic or "", line.reason, line.source,
                   line.created_at.isoformat())  # fmt: skip
        if len(lines) < page:
            return
        before = lines[-1].id
