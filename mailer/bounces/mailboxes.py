"""Use-cases of mailboxes that reports are fetched from: add, try, poll. A password is sealed.

A poll takes the mailbox's lease, stores what is new in groups, writes how far it came, and only then marks or moves the
mails: killed anywhere it loses nothing and doubles nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, update

from mailer.bounces.imap import Account, Mail, Mailbox, MailboxError, open_mailbox
from mailer.bounces.jobs import PROCESS_REPORTS
from mailer.bounces.service import Received, store_reports
from mailer.bounces.ways import audit_way, get_way, list_ways
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, Problem
from mailer.ids import new_public_id
from mailer.log import get_logger
from mailer.schema.bounces import SECURITIES, BounceMailbox
from mailer.sealing import seal, unseal
from mailer.settings import is_loopback

log = get_logger("mailboxes")
_LEASE = timedelta(minutes=2)
_GROUP, _RUN = 20, 2_000
_PORTS = range(1, 65_536)


@dataclass(frozen=True, kw_only=True)
class MailboxValues:
    """What a mailbox is made of, as it was typed; `move_to` empty: mails that were read stay, marked as seen."""

    name: str
    host: str
    username: str
    password: str = ""
    port: str = "993"
    security: str = "tls"
    folder: str = "INBOX"
    move_to: str = ""


def add_mailbox(ctx: Context, values: MailboxValues, *, by: int | None = None) -> BounceMailbox:
    """Fetch reports from a mailbox from now on.

    Raises:
        InputError: lists every value that cannot be.
    """
    checked = _check(values, needs_password=True)
    row = BounceMailbox(**checked, public_id=new_public_id(), secret=b"", created_at=utc_now())
    row.secret = seal(ctx.keys, _context(row), values.password.encode())
    with ctx.write() as session:
        session.add(row)
        session.flush()
        audit_way(session, "add", row, by)
    return row


def change_mailbox(ctx: Context, public_id: uuid.UUID, values: MailboxValues, *, by: int | None = None) -> None:
    """Change a mailbox; an empty password keeps the present one. Another folder or host is read from its beginning."""
    checked = _check(values, needs_password=False)
    with ctx.write() as session:
        row = get_way(session, BounceMailbox, public_id)
        if (row.host, row.username, row.folder) != (checked["host"], checked["username"], checked["folder"]):
            row.uid_validity, row.last_uid = None, 0
        for name, value in checked.items():
            setattr(row, name, value)
        if values.password:
            row.secret = seal(ctx.keys, _context(row), values.password.encode())
        audit_way(session, "change", row, by)


def _check(values: MailboxValues, *, needs_password: bool) -> dict[str, object]:
    problems: list[Problem] = []
    checked: dict[str, object] = {}
    for name, limit in (("name", 100), ("host", 255), ("username", 255), ("folder", 200)):
        text = getattr(values, name).strip()
        checked[name] = text
        if not text or len(text) > limit:
            problems.append(Problem(name, f"1 to {limit} characters are needed"))
    checked["move_to"] = values.move_to.strip()[:200]
    if checked["move_to"] == checked["folder"]:
        problems.append(Problem("move_to", "that is the folder itself", "name another, or none"))
    if not values.port.isdecimal() or int(values.port) not in _PORTS:
        problems.append(Problem("port", "no port", "993 with TLS, 143 without"))
    else:
        checked["port"] = int(values.port)
    if values.security not in SECURITIES:
        problems.append(Problem("security", "not known", f"one of {', '.join(SECURITIES)}"))
    elif values.security == "none" and not is_loopback(values.host.strip()):
        problems.append(Problem("security", "a password must not go unencrypted through a network", "tls or starttls"))
    checked["security"] = values.security
    if needs_password and not values.password:
        problems.append(Problem("password", "a password is needed"))
    if problems:
        raise InputError(problems)
    return checked


# ------------------------------------------------------------------ polling


def poll_mailboxes(ctx: Context) -> dict[int, int]:
    """Fetch what is new from every mailbox; return how many mails, by mailbox. What fails is written down at it."""
    with ctx.read() as session:
        rows = [row.id for row in list_ways(session, BounceMailbox) if row.is_enabled]
    return {mailbox_id: found for mailbox_id in rows if (found := _poll(ctx, mailbox_id)) is not None}


def poll_now(ctx: Context, public_id: uuid.UUID) -> int:
    """Fetch from one mailbox at once, and return how many mails.

    Raises:
        ConflictError: another process is at it.
        MailboxError: what the server said.
    """
    with ctx.read() as session:
        row = get_way(session, BounceMailbox, public_id)
    found = _poll(ctx, row.id)
    if found is not None:
        return found
    with ctx.read() as session:
        row = get_way(session, BounceMailbox, public_id)
    if row.error:
        raise MailboxError(row.error)
    raise ConflictError("the mailbox is being read just now")


def _poll(ctx: Context, mailbox_id: int) -> int | None:
    """Return how many mails were fetched; None where another is at it, or it failed."""
    row = _lease(ctx, mailbox_id)
    if row is None:
        return None
    error, found = "", None
    try:
        with open_mailbox(_account(ctx, row)) as mailbox:
            found = _read(ctx, row, mailbox)
    except MailboxError as failed:
        error = failed.message
        log.warning("mailbox_not_read", mailbox=row.name, error=error)
    with ctx.write() as session:
        values = {"leased_until": None, "error": error, "polled_at": utc_now()}
        session.execute(update(BounceMailbox).where(BounceMailbox.id == mailbox_id).values(values))
    return found


def _lease(ctx: Context, mailbox_id: int) -> BounceMailbox | None:
    now = utc_now()
    with ctx.write() as session:
        is_free = or_(BounceMailbox.leased_until.is_(None), BounceMailbox.leased_until < now)
        taken = session.scalars(
            update(BounceMailbox)
            .where(BounceMailbox.id == mailbox_id, BounceMailbox.archived_at.is_(None), is_free)
            .values(leased_until=now + _LEASE)
            .returning(BounceMailbox.id)
        ).all()
        return session.get_one(BounceMailbox, mailbox_id, populate_existing=True) if taken else None


def _account(ctx: Context, row: BounceMailbox) -> Account:
    password = unseal(ctx.keys, _context(row), row.secret).decode()
    return Account(row.host, row.port, row.security, row.username, password, row.folder)


def _read(ctx: Context, row: BounceMailbox, mailbox: Mailbox) -> int:
    last = row.last_uid if row.uid_validity == mailbox.uid_validity else 0  # else the UIDs are others
    mailbox.finish(mailbox.list_unfinished(last, row.move_to)[:_RUN], row.move_to)
    uids = mailbox.list_after(last)[:_RUN]
    for begin in range(0, len(uids), _GROUP):
        group = uids[begin : begin + _GROUP]
        _store(ctx, row, mailbox.uid_validity, group[-1], list(mailbox.fetch(group)))
        mailbox.finish(group, row.move_to)
    return len(uids)


def _store(ctx: Context, row: BounceMailbox, uid_validity: int, last_uid: int, mails: Sequence[Mail]) -> None:
    with ctx.write() as session:
        store_reports(session, [Received(mail.raw, f"imap:{row.id}") for mail in mails if mail.raw])
        values = {
            "uid_validity": uid_validity, "last_uid": last_uid, "leased_until": utc_now() + _LEASE,
            "fetched": BounceMailbox.fetched + len(mails),
        }  # fmt: skip
        session.execute(update(BounceMailbox).where(BounceMailbox.id == row.id).values(values))
        ctx.ring(session, PROCESS_REPORTS)


def _context(row: BounceMailbox) -> str:
    return f"mailbox:{row.public_id}"
