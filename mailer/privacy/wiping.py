"""What an erasure does to rows, table by table as the register says; small pieces, each safe to repeat.

It writes tables that other rooms own: that is the one exception to their ownership (docs/decisions/).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Select, case, delete, func, or_, select, text, tuple_, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from mailer.clock import utc_now
from mailer.context import Context
from mailer.ids import new_ledger_id, new_public_id
from mailer.privacy.person import Person
from mailer.privacy.register import REGISTER, Fate, New, Phase, Table, get_table, of_phase
from mailer.privacy.rows import Messages, is_of, messages_of, table_of
from mailer.schema.actions import ActionRun
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.schema.followups import FollowUp
from mailer.schema.privacy import KeptFigure
from mailer.schema.tracking import Hit
from mailer.segments.chosen import count_written, insert_into
from mailer.statuses import MessageState

ROWS, MESSAGES, SCANNED = 500, 200, 20_000
"""Rows deleted, messages blanked and rows looked through in one go: well under 100 ms of writing on SQLite."""
OWN_KEYS = -(2**62)
"""Recipient keys of erased people begin below it; no contact and no hash of an address has one."""
FOLLOW_UPS = "follow_up"
ACTIONS = "action"


@contextmanager
def erasing(ctx: Context) -> Iterator[Session]:
    """Open a writing transaction in which SQLite overwrites what is deleted."""
    with ctx.write() as session:
        if ctx.database.is_sqlite:
            session.execute(text("PRAGMA secure_delete = ON"))
        yield session


def wipe(session: Session, entry: Table, person: Person, messages: Messages) -> int:
    """Do to every row of a person in one table what the register says; return how many rows that were."""
    condition = is_of(entry, person, messages)
    if entry.fate is Fate.DELETE:
        return count_written(session, delete(table_of(entry)).where(condition))
    if "public_id" in entry.blank or "ledger_id" in entry.blank:
        return _blank_each(session, entry, person, messages)
    return count_written(session, update(table_of(entry)).where(condition).values(_values(entry)))


def _values(entry: Table) -> dict[str, Any]:
    columns = table_of(entry).c
    made = {New.NOW: utc_now(), New.OWN_KEY: OWN_KEYS - columns["id"] if "id" in columns else None}
    return {name: made.get(value, value) if isinstance(value, New) else value for name, value in entry.blank.items()}


def _blank_each(session: Session, entry: Table, person: Person, messages: Messages) -> int:
    """Blank rows of which each gets a random value of its own."""
    table = table_of(entry)
    ids = session.scalars(select(table.c.id).where(is_of(entry, person, messages)).order_by(table.c.id)).all()
    for number in ids:
        fresh = {New.PUBLIC_ID: new_public_id(), New.LEDGER_ID: new_ledger_id()}
        values = {name: fresh.get(value, value) if isinstance(value, New) else value
                  for name, value in _values(entry).items()}  # fmt: skip
        session.execute(update(table).where(table.c.id == number).values(values))
    return len(ids)


def wipe_rows(ctx: Context, person: Person) -> dict[str, int]:
    """Take what hangs on the contact: tags, activities, tasks, memberships, sign-ups; return rows by table."""
    counts: dict[str, int] = {}
    for entry in of_phase(Phase.ROWS):
        while done := _wipe_some(ctx, entry, person):
            counts[entry.name] = counts.get(entry.name, 0) + done
            if entry.fate is not Fate.DELETE or done < ROWS:
                break
    return counts


def _wipe_some(ctx: Context, entry: Table, person: Person) -> int:
    table = table_of(entry)
    with ctx.read() as session:
        condition = is_of(entry, person, messages_of(person))
        keys = session.execute(select(*table.primary_key.columns).where(condition).limit(ROWS)).all()
    if not keys:
        return 0
    with erasing(ctx) as session:
        if entry.name == FollowUp.__tablename__:
            _keep_follow_ups(session, [key[0] for key in keys])
        if entry.name == ActionRun.__tablename__:
            _keep_actions(session, [key[0] for key in keys])
        if entry.fate is not Fate.DELETE:
            return wipe(session, entry, person, messages_of(person))
        is_mine = tuple_(*table.primary_key.columns).in_([tuple(key) for key in keys])
        return count_written(session, delete(table).where(is_mine))


def _keep_follow_ups(session: Session, ids: Sequence[int]) -> None:
    """Count tasks that links made at their sendings, so that reports stay true without them."""
    rows = session.execute(
        select(Sending.id, FollowUp.status, func.count())
        .join(TrackedLink, TrackedLink.content_version_id == Sending.content_version_id)
        .join(FollowUp, FollowUp.tracked_link_id == TrackedLink.id)
        .where(FollowUp.id.in_(ids))
        .group_by(Sending.id, FollowUp.status)
    ).all()
    for sending_id, status, count in rows:
        add_figure(session, sending_id, FOLLOW_UPS, status, count)


def _keep_actions(session: Session, ids: Sequence[int]) -> None:
    """Count what clicks set off at their sendings, by link and outcome."""
    rows = session.execute(
        select(Message.sending_id, TrackedLink.ordinal, ActionRun.state, func.count())
        .join(Message, Message.id == ActionRun.message_id)
        .join(LinkAction, LinkAction.id == ActionRun.link_action_id)
        .join(TrackedLink, TrackedLink.id == LinkAction.tracked_link_id)
        .where(ActionRun.id.in_(ids))
        .group_by(Message.sending_id, TrackedLink.ordinal, ActionRun.state)
    ).all()
    for sending_id, ordinal, state, count in rows:
        add_figure(session, sending_id, ACTIONS, f"{ordinal}/{state}", count)


def add_figure(session: Session, sending_id: int, name: str, word: str, count: int) -> None:
    """Add to a kept figure of a sending."""
    row = insert_into(session, KeptFigure).values(sending_id=sending_id, name=name, word=word, count=count)
    keys = ["sending_id", "name", "word"]
    more = {"count": KeptFigure.count + row.excluded.count}
    session.execute(row.on_conflict_do_update(index_elements=keys, set_=more))


# ------------------------------------------------------------------ messages


def wipe_messages(session: Session, person: Person) -> tuple[Person, dict[str, int]]:
    """Blank up to MESSAGES mails with all that hangs on them; return the person with the traces, and rows by table.

    A mail that is being handed over is left for later: what its relay answers is still to come.
    """
    settled = select(Message.id).where(
        Message.id.in_(messages_of(person)), Message.state != MessageState.TRANSMITTING.value
    )
    ids = session.scalars(settled.order_by(Message.id).limit(MESSAGES)).all()
    if not ids:
        return person, {}
    ips = session.scalars(select(Hit.ip).where(Hit.message_id.in_(ids)).distinct()).all()
    counts: dict[str, int] = {}
    own = Message.__tablename__
    entries = sorted(of_phase(Phase.MESSAGES), key=lambda entry: entry.name == own)  # the mail itself comes last
    for entry in entries:
        if done := wipe(session, entry, person, ids):
            counts[entry.name] = done
    return person.with_traces(ids, ips), counts


def skip_waiting(session: Session, person: Person) -> int:
    """Let no mail that waits be sent; the gate refuses them too (delivery/gate.py)."""
    waiting = update(Message).where(
        Message.id.in_(messages_of(person)), Message.state == MessageState.QUEUED.value
    )  # fmt: skip
    return count_written(session, waiting.values(state=MessageState.SKIPPED.value, reason="suppressed"))


def has_message_under_way(session: Session, person: Person) -> bool:
    """Whether a mail of theirs is being handed over at this moment."""
    return session.scalar(select(Message.id).where(Message.id.in_(messages_of(person))).limit(1)) is not None


# ------------------------------------------------------------------ free text


def clean_texts(ctx: Context, person: Person) -> dict[str, int]:
    """Take the person's addresses and full names out of every free text of the register; return rows by table."""
    counts: dict[str, int] = {}
    if not person.needles:
        return counts
    for entry in REGISTER:
        done = _clean_table(ctx, entry, person) if entry.free else 0
        if done:
            counts[entry.name] = done
    return counts


def _clean_table(ctx: Context, entry: Table, person: Person) -> int:
    done = 0
    for page in _iter_found(ctx, entry, person):
        with erasing(ctx) as session:
            for keys, values in page:
                _clean_row(session, entry, person, keys, values)
        done += len(page)
    return done


_Found = list[tuple[dict[str, Any], dict[str, Any]]]


def _iter_found(ctx: Context, entry: Table, person: Person) -> Iterator[_Found]:
    """Yield rows in which something of the person stands, as (primary key, free columns), in pages."""
    table = table_of(entry)
    keys = list(table.primary_key.columns)
    free = [table.c[name] for name in entry.free]
    holds = or_(*(sql_cast(column, Text).icontains(needle, autoescape=True)
                  for column in free for needle in person.needles))  # fmt: skip
    query = select(*keys, *free).where(holds)
    for span in _spans(ctx, entry):
        with ctx.read() as session:
            rows = session.execute(span(query)).all()
        found = [
            ({key.name: row[at] for at, key in enumerate(keys)},
             dict(zip(entry.free, row[len(keys) :], strict=True)))
            for row in rows
        ]  # fmt: skip
        for start in range(0, len(found), MESSAGES):
            yield found[start : start + MESSAGES]


def _spans(ctx: Context, entry: Table) -> Iterator[Any]:
    """Yield ways to narrow a select to a span of ids, so that no read is long; the whole table where it has none."""
    table = table_of(entry)
    if "id" not in table.c:
        yield lambda query: query
        return
    with ctx.read() as session:
        last = session.scalar(select(func.max(table.c.id))) or 0
    for start in range(0, last + 1, SCANNED):
        yield lambda query, start=start: query.where(table.c.id > start, table.c.id <= start + SCANNED)


def _clean_row(session: Session, entry: Table, person: Person, keys: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    table = table_of(entry)
    new = {name: person.clean(value) for name, value in old.items()}
    changed = {name: value for name, value in new.items() if value != old[name]}
    for name, value in changed.items():
        if table.c[name].unique:
            changed[name] = f"{value} {keys['id']}"
    if changed:
        matches = [table.c[name] == value for name, value in keys.items()]
        session.execute(update(table).where(*matches).values(changed))


REPORTS = get_table("bounce_report")


def select_loose_reports(after_id: int) -> Select[Any]:
    """Return a select of reports after `after_id` that belong to no message and may hold anybody."""
    table = table_of(REPORTS)
    loose = table.c.message_id.is_(None)
    kept = case((table.c.raw.is_(None), 0), else_=1) + case((table.c.mail_from == "", 0), else_=1)
    return select(table).where(loose, kept > 0, table.c.id > after_id).order_by(table.c.id).limit(MESSAGES)


def blank_reports(session: Session, ids: Sequence[int]) -> int:
    """Blank reports by id as the register says."""
    table = table_of(REPORTS)
    return count_written(session, update(table).where(table.c.id.in_(ids)).values(_values(REPORTS)))
