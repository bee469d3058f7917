"""The catcher takes every mail, and misbehaves exactly as its rules say."""

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.policy import default
from pathlib import Path

import pytest

from mailer.bounces.smtpd import Incoming, Limits, serve
from mailer.catcher import service
from mailer.catcher.links import read_mail
from mailer.catcher.service import serve_catcher
from mailer.delivery.relays import Relay
from mailer.delivery.smtp import Connection, Envelope
from mailer.delivery.smtp_wire import Timeouts
from mailer.errors import InputError, NotFoundError, SetupError
from mailer.settings import Settings

QUICK = Timeouts(connect=5, greeting=5, command=5, body=5, dot=5)
RAW = (
    b"From: a@example.com\r\nTo: b@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <one@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"See https://t.example.com/c/abc=3D, and=\r\n more https://t.example.com/c/def.\r\n"
    b"--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b'<html xmlns=3D"http://www.w3.org/1999/xhtml"><a href=3D"https://t.example.com/c/=\r\nghi?a=3D1&amp;b=3D2">x</a>'
    b'<img src=3D"https://t.example.com/o/jkl.gif"></html>\r\n--x--\r\n'
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


class Inbox:
    """What a bounce listener would have got."""

    def __init__(self) -> None:
        self.mails: list[Incoming] = []
        self.arrived = asyncio.Event()

    def why_not_recipient(self, address: str) -> str | None:  # noqa: ARG002 - the handler's shape
        return None

    async def take(self, mail: Incoming) -> str:
        self.mails.append(mail)
        self.arrived.set()
        return "250 2.0.0 ok"


@asynccontextmanager
async def running(start) -> AsyncIterator[int]:
    """Run a server for a block; yield its port."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(start(stop=stop, ready=port.set_result))
    try:
        yield await asyncio.wait_for(port, 10)
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
        await asyncio.sleep(0.02)


def catcher(settings: Settings, report_to: Relay | None = None):
    return running(lambda **more: serve_catcher(settings, "127.0.0.1", 0, listener=lambda: report_to, **more))


async def send(port: int, recipient: str, raw: bytes = RAW, mail_from: str = "b+x@bounce.example.com"):
    connection = await Connection.open(Relay("127.0.0.1", port), QUICK)
    try:
        reply = await connection.offer(Envelope(mail_from, recipient, raw))
        return reply or await connection.finish()
    finally:
        connection.quit()


def test_an_accepted_mail_is_listed_with_its_links_and_shown_raw(settings: Settings) -> None:
    async def story() -> None:
        async with catcher(settings) as port:
            assert (await send(port, "ada@example.com")).code == 250

    asyncio.run(story())

    (mail,) = service.list_mails(settings)
    assert (mail.mail_from, mail.rcpt_to) == ("b+x@bounce.example.com", "ada@example.com")
    assert (mail.message_id, mail.subject) == ("one@example.com", "Grüße")
    assert mail.links == (
        "https://t.example.com/c/abc=",
        "https://t.example.com/c/def",
        "https://t.example.com/c/ghi?a=1&b=2",
        "https://t.example.com/o/jkl.gif",
    )
    assert service.get_mail(settings, mail.id).raw == RAW
    with pytest.raises(NotFoundError):
        service.get_mail(settings, mail.id + 1)


def test_rules_of_another_process_act_at_once_and_the_newest_wins(settings: Settings) -> None:
    async def story() -> None:
        async with catcher(settings) as port:
            assert (await send(port, "ada@example.com")).code == 250
            service.add_rule(settings, "*@example.com", "refuse")
            service.add_rule(settings, "ADA@*", "defer")
            refused, deferred = await send(port, "bob@example.com"), await send(port, "ada@example.com")
            assert (refused.code, refused.enhanced) == (550, "5.1.1")
            assert (deferred.code, deferred.enhanced) == (451, "4.7.1")
            service.add_rule(settings, "ada@example.com", "deliver")
            assert (await send(port, "ada@example.com")).code == 250
            assert service.clear_rules(settings) == 3
            assert (await send(port, "bob@example.com")).code == 250

    asyncio.run(story())

    assert [mail.rcpt_to for mail in service.list_mails(settings)] == [
        "ada@example.com", "ada@example.com", "bob@example.com",
    ]  # fmt: skip


def test_an_unknown_behavior_is_refused(settings: Settings) -> None:
    with pytest.raises(InputError, match="soft_bounce"):
        service.add_rule(settings, "*", "explode")


@pytest.mark.parametrize(
    ("behavior", "content_type", "evidence"),
    [
        ("bounce", "delivery-status", b"Status: 5.1.1"),
        ("soft_bounce", "delivery-status", b"Status: 4.2.2"),
        ("complain", "feedback-report", b"Feedback-Type: abuse"),
    ],
)
def test_a_report_goes_to_the_envelope_sender(
    settings: Settings, behavior: str, content_type: str, evidence: bytes
) -> None:
    service.add_rule(settings, "*", behavior)
    inbox: list[Inbox] = []

    async def story() -> None:
        inbox.append(Inbox())
        async with (
            running(lambda **more: serve(inbox[0], "127.0.0.1", 0, **more)) as listener,
            catcher(settings, Relay("127.0.0.1", listener)) as port,
        ):
            assert (await send(port, "ada@example.com")).code == 250
            await asyncio.wait_for(inbox[0].arrived.wait(), 10)

    asyncio.run(story())

    (mail,) = inbox[0].mails
    assert (mail.mail_from, mail.recipients) == ("", ("b+x@bounce.example.com",))
    assert evidence in mail.raw
    assert b"one@example.com" in mail.raw
    parsed = email.message_from_bytes(mail.raw, policy=default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Content-Type"].params["report-type"] == content_type
    assert len(list(parsed.iter_parts())) == 3


def test_a_report_waits_until_the_listener_is_there(settings: Settings) -> None:
    """Also across a restart of the catcher: what is due stands in its file."""
    service.add_rule(settings, "*", "bounce")
    inbox: list[Inbox] = []

    async def story() -> None:
        async with catcher(settings) as port:
            assert (await send(port, "ada@example.com")).code == 250
        inbox.append(Inbox())
        async with (
            running(lambda **more: serve(inbox[0], "127.0.0.1", 0, **more)) as listener,
            catcher(settings, Relay("127.0.0.1", listener)),
        ):
            await asyncio.wait_for(inbox[0].arrived.wait(), 10)

    asyncio.run(story())

    assert len(inbox[0].mails) == 1


def test_a_bounce_of_a_bounce_is_never_sent(settings: Settings) -> None:
    service.add_rule(settings, "*", "bounce")

    async def story() -> None:
        async with catcher(settings) as port:
            await send(port, "ada@example.com", mail_from="")

    asyncio.run(story())

    (mail,) = service.list_mails(settings)
    assert service.get_mail(settings, mail.id).report is None


async def talk(port: int, *chunks: bytes) -> bytes:
    """Send chunks as they are, then QUIT; return all that was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for chunk in (*chunks, b"QUIT\r\n"):
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(0.01)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


HELLO = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r\r\n.\r\r\n"])
def test_only_crlf_dot_crlf_ends_a_message(settings: Settings, end: bytes) -> None:
    smuggled = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\nevil\r\n.\r\n"

    async def story() -> None:
        async with catcher(settings) as port:
            await talk(port, HELLO, b"hello" + end + smuggled)

    asyncio.run(story())

    assert [mail.rcpt_to for mail in service.list_mails(settings)] == ["b@example.com"]


@pytest.mark.parametrize("cut", range(1, 8))
def test_an_end_cut_anywhere_is_found(settings: Settings, cut: int) -> None:
    end = b"..x\r\n.\r\n"

    async def story() -> None:
        async with catcher(settings) as port:
            await talk(port, HELLO, end[:cut], end[cut:], b"RSET\r\n")

    asyncio.run(story())

    (mail,) = service.list_mails(settings)
    assert service.get_mail(settings, mail.id).raw == b".x\r\n"


def test_an_empty_message_in_two_pieces_is_taken(settings: Settings) -> None:
    async def story() -> None:
        async with catcher(settings) as port:
            await talk(port, HELLO, b".", b"\r\n")

    asyncio.run(story())

    assert len(service.list_mails(settings)) == 1


def test_commands_out_of_order_are_refused(settings: Settings) -> None:
    async def story() -> bytes:
        async with catcher(settings) as port:
            return await talk(port, b"RCPT TO:<b@example.com>\r\nDATA\r\nMAIL TO:<x>\r\nBOGUS\r\nLHLO x\r\n")

    codes = [line[:3] for line in asyncio.run(story()).split(b"\r\n") if line]

    assert codes == [b"220", b"503", b"503", b"501", b"500", b"500", b"221"]


def test_a_message_too_big_is_read_to_its_end_and_refused() -> None:
    async def story() -> bytes:
        inbox = Inbox()
        limits = Limits(message_bytes=1_000)
        async with running(lambda **more: serve(inbox, "127.0.0.1", 0, limits=limits, **more)) as port:
            answer = await talk(port, HELLO, b"x" * 5_000, b"y" * 5_000 + b"\r\n.\r\n", b"NOOP\r\n")
        assert inbox.mails == []
        return answer

    assert b"552 5.3.4" in asyncio.run(story())


def test_lmtp_answers_once_for_each_recipient() -> None:
    async def story() -> bytes:
        inbox = Inbox()
        async with running(lambda **more: serve(inbox, "127.0.0.1", 0, is_lmtp=True, **more)) as port:
            hello = HELLO.replace(b"EHLO", b"LHLO").replace(b"DATA", b"RCPT TO:<c@example.com>\r\nDATA")
            return await talk(port, hello, b"x\r\n.\r\n")

    answer = asyncio.run(story())

    assert answer.partition(b"354")[2].count(b"250 2.0.0") == 2


def test_a_taken_port_is_an_error_with_a_cure(settings: Settings) -> None:
    async def story() -> None:
        async with catcher(settings) as port:
            with pytest.raises(SetupError) as caught:
                await serve_catcher(settings, "127.0.0.1", port, listener=lambda: None, stop=asyncio.Event())
            assert "--port" in caught.value.mend

    asyncio.run(story())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\xff",
        b"Subject: =?x-nope?b?!!?=\r\n\r\n",
        b"Content-Type: text/html; charset=nope\r\n\r\n<a href=http://x>",
    ],
)
def test_any_mail_can_be_listed(raw: bytes) -> None:
    read_mail(raw)
