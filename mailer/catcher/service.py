"""The catcher as a server and as a mailbox to look into (INTERFACES: `mailer run catcher`, `mailer catcher …`)."""

import asyncio
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer.bounces.smtpd import Incoming, Limits, run_until_signal, serve
from mailer.catcher import store
from mailer.catcher.links import read_mail
from mailer.catcher.reports import build_complaint, build_dsn
from mailer.catcher.store import REPORTING, Behavior, CaughtMail, MailWriter, Rule, RuleBook
from mailer.clock import utc_now
from mailer.delivery.relays import Relay
from mailer.delivery.smtp import Connection, Envelope
from mailer.delivery.smtp_wire import Timeouts
from mailer.errors import InputError, NotFoundError, TransportError
from mailer.log import get_logger
from mailer.settings import Settings

log = get_logger("catcher")
_LIMITS = Limits(message_bytes=50_000_000, sessions=2_000)
_REPLIES = {
    Behavior.REFUSE: "550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table",
    Behavior.DEFER: "451 4.7.1 <{to}>: Recipient address rejected: Greylisted, try again later",
}
_REPORT_PAUSE = 0.5


@dataclass(frozen=True)
class ListedMail:
    """A line of `mailer catcher list`."""

    id: int
    received_at: datetime
    mail_from: str
    rcpt_to: str
    message_id: str
    subject: str
    links: tuple[str, ...]


def iter_mails(settings: Settings, *, after: int = 0) -> Iterator[ListedMail]:
    """Yield accepted mails with an id above `after`, by id; one for each recipient."""
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        for mail in store.iter_mails(connection, after=after):
            yield _listed(mail)


def list_mails(settings: Settings, *, after: int = 0) -> list[ListedMail]:
    """Return accepted mails with an id above `after`, by id."""
    return list(iter_mails(settings, after=after))


def list_newest(
    settings: Settings, *, search: str = "", before: int | None = None, limit: int = 50
) -> list[ListedMail]:
    """Return accepted mails for a page, newest first, with an id below `before`."""
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        found = store.list_newest(connection, search=search, before=before, limit=limit)
    return [_listed(mail) for mail in found]


def _listed(mail: CaughtMail) -> ListedMail:
    read = read_mail(mail.raw)
    return ListedMail(
        mail.id, mail.received_at, mail.mail_from, mail.rcpt_to, read.message_id, read.subject, read.links
    )


def get_mail(settings: Settings, mail_id: int) -> CaughtMail:
    """Return one mail, raw; NotFoundError if there is none."""
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        mail = store.find_mail(connection, mail_id)
    if mail is None:
        raise NotFoundError(f"no caught mail {mail_id}", mend="see `mailer catcher list`")
    return mail


def add_rule(settings: Settings, pattern: str, behavior: str) -> Rule:
    """Add a rule: a glob on the recipient, newest wins. InputError where the behavior is not known."""
    if behavior not in list(Behavior):
        raise InputError(f"unknown behavior {behavior}", where="BEHAVIOR", mend="one of " + ", ".join(Behavior))
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        number = store.insert_rule(connection, pattern, Behavior(behavior))
    return Rule(number, pattern, Behavior(behavior))


def list_rules(settings: Settings) -> list[Rule]:
    """Return the rules, newest first."""
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        return store.list_rules(connection)


def clear_rules(settings: Settings) -> int:
    """Remove every rule; return how many there were."""
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        return store.delete_rules(connection)


class CatcherHandler:
    """Keeps mails, or refuses, defers and reports them as the rules say."""

    def __init__(self, rules: RuleBook, writer: MailWriter, wake_reporter: Callable[[], None]) -> None:
        self._rules = rules
        self._writer = writer
        self._wake_reporter = wake_reporter

    def why_not_recipient(self, address: str) -> str | None:
        """Refuse or defer where a rule says so."""
        reply = _REPLIES.get(self._rules.behavior_of(address))
        return reply.format(to=address) if reply else None

    async def take(self, mail: Incoming) -> str:
        """Keep the mail, once for each recipient."""
        reports = False
        for recipient in mail.recipients:
            behavior = self._rules.behavior_of(recipient)
            report = behavior if behavior in REPORTING and mail.mail_from else None
            await self._writer.write(mail.mail_from, recipient, mail.raw, report)
            reports = reports or report is not None
        if reports:
            self._wake_reporter()
        return f"250 2.0.0 Ok: queued as {secrets.token_hex(6).upper()}"


async def serve_catcher(
    settings: Settings,
    host: str,
    port: int,
    *,
    listener: Callable[[], Relay | None],
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set. Reports go to where `listener` says that bounces are taken; they wait for one."""
    path = settings.data_dir / "catcher.sqlite"
    wake = asyncio.Event()
    wake.set()  # reports that an earlier run left
    rules, writer = RuleBook(path), MailWriter(path)
    reporter = asyncio.create_task(_send_reports(settings, listener, wake))
    try:
        handler = CatcherHandler(rules, writer, wake.set)
        await serve(handler, host, port, limits=_LIMITS, ready=ready, stop=stop)
    finally:
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)
        await asyncio.to_thread(writer.close)
        rules.close()


def run_catcher(settings: Settings, host: str, port: int, *, listener: Callable[[], Relay | None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    run_until_signal(lambda stop: serve_catcher(settings, host, port, listener=listener, stop=stop))


async def _send_reports(settings: Settings, listener: Callable[[], Relay | None], wake: asyncio.Event) -> None:
    """Send due reports whenever woken; while the listener is away, try again every half second."""
    with store.opened(settings.data_dir / "catcher.sqlite") as connection:
        while True:
            await wake.wait()
            wake.clear()
            try:
                while due := store.list_due_reports(connection):
                    await _send_page(connection, due, listener())
            except TransportError as error:
                log.info("report_waits", error=error.message)
                await asyncio.sleep(_REPORT_PAUSE)
                wake.set()


async def _send_page(connection: sqlite3.Connection, due: Sequence[CaughtMail], listener: Relay | None) -> None:
    """Send one page of due reports over one connection; TransportError where nobody takes them."""
    if listener is None:
        raise TransportError("no bounce listener is known")
    session = await Connection.open(listener, Timeouts(connect=5, greeting=10, command=20, body=20, dot=60))
    try:
        for mail in due:
            await _send_report(session, mail)
            store.mark_reported(connection, mail.id)
    finally:
        session.quit()


async def _send_report(session: Connection, mail: CaughtMail) -> None:
    refusal = await session.offer(Envelope("", mail.mail_from, _report_of(mail)))
    reply = refusal or await session.finish()
    if reply.code // 100 != 2:  # noqa: PLR2004 - 2yz, RFC 5321, section 4.2.1
        log.warning("report_refused", mail_id=mail.id, code=reply.code)


def _report_of(mail: CaughtMail) -> bytes:
    now = utc_now()
    if mail.report is Behavior.COMPLAIN:
        return build_complaint(mail_from=mail.mail_from, rcpt_to=mail.rcpt_to, raw=mail.raw, at=now, number=mail.id)
    status = "5.1.1" if mail.report is Behavior.BOUNCE else "4.2.2"
    return build_dsn(
        mail_from=mail.mail_from, rcpt_to=mail.rcpt_to, raw=mail.raw, status=status, at=now, number=mail.id
    )
