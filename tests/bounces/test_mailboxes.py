"""Reports are fetched over IMAP from a real server: each once, whatever is killed in between."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.bounces import mailboxes, service, ways
from mailer.bounces.imap import Account, Mail, Mailbox, MailboxError, open_mailbox, quote
from mailer.bounces.mailboxes import MailboxValues
from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import ConflictError, InputError, NotFoundError
from mailer.schema.bounces import BounceMailbox, BounceReport
from tests.bounces.test_classify import dsn
from tests.bounces.test_service import HARD, events, make_message, verp
from tests.support.engines import on_one_engine
from tests.support.imap_server import PASSWORD, USER, ImapServer, run_imap_server


@pytest.fixture(scope="module")
def running() -> Iterator[ImapServer]:
    with run_imap_server() as server:
        yield server


@pytest.fixture
def imap(running: ImapServer) -> ImapServer:
    client = running.connect()
    for folder in ("INBOX", "Read"):
        if client.select(folder)[0] == "OK":
            client.store("1:*", "+FLAGS", r"(\Deleted)")
            client.expunge()
    client.logout()
    return running


def add(ctx: Context, imap: ImapServer, **more: str) -> BounceMailbox:
    values = {"name": "reports", "host": "127.0.0.1", "port": str(imap.port), "security": "none", "username": USER}
    return mailboxes.add_mailbox(ctx, MailboxValues(**{**values, "password": PASSWORD, **more}))


def report(number: int) -> bytes:
    return dsn("550 5.1.1 User unknown", "5.1.1", to=f"p{number}@example.org")


def count_reports(ctx: Context) -> int:
    with ctx.read() as session:
        return len(session.scalars(select(BounceReport.id)).all())


def test_what_is_new_is_fetched_once_and_marked_as_seen(ctx: Context, imap: ImapServer) -> None:
    imap.add(report(1), report(2))
    add(ctx, imap)

    assert list(mailboxes.poll_mailboxes(ctx).values()) == [2]
    imap.add(report(3))
    assert list(mailboxes.poll_mailboxes(ctx).values()) == [1]
    assert list(mailboxes.poll_mailboxes(ctx).values()) == [0]

    assert count_reports(ctx) == 3
    assert imap.count("INBOX", "UNSEEN") == 0


@on_one_engine
def test_what_was_read_is_moved_where_a_folder_is_named(ctx: Context, imap: ImapServer) -> None:
    imap.create("Read")
    imap.add(*(report(number) for number in range(45)))
    row = add(ctx, imap, move_to="Read")

    assert mailboxes.poll_now(ctx, row.public_id) == 45

    assert (imap.count("INBOX"), imap.count("Read"), count_reports(ctx)) == (0, 45, 45)


@on_one_engine
def test_a_report_goes_the_way_of_all_reports(ctx: Context, imap: ImapServer) -> None:
    message_id = make_message(ctx)
    raw = dsn(HARD, "5.1.1").replace(b"To: b+x@bounce.example.com", f"To: {verp(ctx, message_id)}".encode())
    imap.add(raw)
    row = add(ctx, imap)

    mailboxes.poll_now(ctx, row.public_id)
    service.process_reports(ctx)

    assert events(ctx) == [("hard_bounce", "user_unknown", "5.1.1")]


@pytest.mark.parametrize("move_to", ["", "Read"])
@on_one_engine
def test_killed_after_storing_nothing_is_doubled_and_the_rest_is_tidied(
    ctx: Context, imap: ImapServer, move_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit and the marks at the server the process dies; the next run finishes what it began."""
    imap.create("Read")
    imap.add(report(1), report(2))
    row = add(ctx, imap, move_to=move_to)

    def die(_: object, uids: list[int], __: str) -> None:
        if uids:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mailer.bounces.imap.Mailbox.finish", die)
        with pytest.raises(KeyboardInterrupt):
            mailboxes.poll_now(ctx, row.public_id)
    with ctx.write() as session:
        session.execute(update(BounceMailbox).values(leased_until=utc_now() - timedelta(seconds=1)))

    assert mailboxes.poll_now(ctx, row.public_id) == 0
    assert count_reports(ctx) == 2
    assert imap.count("INBOX", "UNSEEN") == 0
    assert imap.count("Read") == (2 if move_to else 0)


@on_one_engine
def test_another_uidvalidity_means_reading_from_the_beginning_without_doubles(ctx: Context, imap: ImapServer) -> None:
    imap.add(report(1), report(2))
    row = add(ctx, imap)
    mailboxes.poll_now(ctx, row.public_id)
    with ctx.write() as session:
        session.execute(update(BounceMailbox).values(uid_validity=1, last_uid=999_999))

    assert mailboxes.poll_now(ctx, row.public_id) == 2
    assert count_reports(ctx) == 2


def test_two_pollers_at_once_fetch_each_mail_once(ctx: Context, imap: ImapServer) -> None:
    imap.add(*(report(number) for number in range(30)))
    add(ctx, imap)
    threads = [threading.Thread(target=mailboxes.poll_mailboxes, args=(ctx,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert count_reports(ctx) == 30


@on_one_engine
def test_a_mailbox_that_is_leased_is_left_alone(ctx: Context, imap: ImapServer) -> None:
    row = add(ctx, imap)
    with ctx.write() as session:
        session.execute(update(BounceMailbox).values(leased_until=utc_now() + timedelta(minutes=1)))

    with pytest.raises(ConflictError):
        mailboxes.poll_now(ctx, row.public_id)


@on_one_engine
def test_a_mailbox_stays_leased_while_it_is_read_however_long_that_takes(
    ctx: Context, imap: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each group: nobody else may read it, and what is left of the lease does not shrink to nothing."""
    imap.add(*(report(number) for number in range(21)))
    row = add(ctx, imap)
    read, left = Mailbox.fetch, []

    def read_slowly(mailbox: Mailbox, uids: list[int]) -> Iterator[Mail]:
        with pytest.raises(ConflictError):
            mailboxes.poll_now(ctx, row.public_id)
        with ctx.write() as session:
            left.append(session.scalars(select(BounceMailbox.leased_until)).one())
            session.execute(update(BounceMailbox).values(leased_until=utc_now() + timedelta(seconds=1)))
        return read(mailbox, uids)

    monkeypatch.setattr("mailer.bounces.imap.Mailbox.fetch", read_slowly)
    assert mailboxes.poll_now(ctx, row.public_id) == 21

    assert len(left) == 2
    assert all(until is not None and until > utc_now() + timedelta(seconds=90) for until in left)


@on_one_engine
def test_a_mailbox_that_is_switched_off_or_gone_is_left_alone(ctx: Context, imap: ImapServer) -> None:
    imap.add(report(1))
    off, gone = add(ctx, imap), add(ctx, imap, move_to="Read")
    ways.enable_way(ctx, BounceMailbox, off.public_id, is_enabled=False)
    ways.end_way(ctx, BounceMailbox, gone.public_id)

    assert mailboxes.poll_mailboxes(ctx) == {}
    with pytest.raises(NotFoundError):
        mailboxes.poll_now(ctx, gone.public_id)
    assert count_reports(ctx) == 0


@on_one_engine
def test_what_the_server_says_is_shown(ctx: Context, imap: ImapServer) -> None:
    row = add(ctx, imap, password="wrong")

    with pytest.raises(MailboxError):
        mailboxes.poll_now(ctx, row.public_id)
    with ctx.read() as session:
        kept = ways.get_way(session, BounceMailbox, row.public_id)
        assert "127.0.0.1" in kept.error
        assert b"wrong" not in kept.secret


@on_one_engine
def test_a_server_that_is_away_is_told(ctx: Context) -> None:
    row = add(ctx, ImapServer(1))

    with pytest.raises(MailboxError):
        mailboxes.poll_now(ctx, row.public_id)


def test_a_folder_name_cannot_end_its_command(imap: ImapServer) -> None:
    assert quote('a"b\\c\r\nA LOGOUT') == '"a\\"b\\\\cA LOGOUT"'
    account = Account("127.0.0.1", imap.port, "none", USER, PASSWORD, 'no"such\r\nfolder')
    with pytest.raises(MailboxError), open_mailbox(account):
        raise AssertionError("such a folder is not there")


@on_one_engine
def test_values_that_cannot_be_are_told_all_at_once(ctx: Context) -> None:
    values = MailboxValues(name="", host="mail.example.com", username="x", port="0", security="none", move_to="INBOX")

    with pytest.raises(InputError) as caught:
        mailboxes.add_mailbox(ctx, values)

    assert {problem.where for problem in caught.value.problems} == {"name", "port", "security", "move_to", "password"}
