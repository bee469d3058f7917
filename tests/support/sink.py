"""A real SMTP server in a thread: takes mail, answers by recipient as it is told, and keeps a log of what it took."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CLOSE = "close"
EHLO = b"250-sink.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10000000\r\n"


@dataclass(frozen=True)
class Mail:
    """One mail that was answered with 250."""

    mail_from: str
    rcpt_to: str
    raw: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, unfolded; empty where there is none."""
        head = self.raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").replace("\r\n ", " ")
        lines = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
        return lines.get(name, "")


@dataclass
class Sink:
    """What to answer, and what was taken.

    `at_rcpt` and `at_dot` map a recipient to a reply; `close` ends the session without one.
    """

    at_rcpt: dict[str, str] = field(default_factory=dict)
    at_dot: dict[str, str] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    bodies: int = 0
    port: int = 0

    @property
    def recipients(self) -> list[str]:
        """Recipients of accepted mails, in order."""
        return [mail.rcpt_to for mail in self.mails]

    @property
    def message_ids(self) -> list[str]:
        """Message-IDs of accepted mails, in order."""
        return [mail.header("Message-ID") for mail in self.mails]

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until it leaves."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: C901 - a dialogue
        writer.write(b"220 sink.example.com ESMTP\r\n")
        mail_from = rcpt_to = ""
        while line := (await reader.readline()).decode():
            verb = line[:4].upper()
            reply = "250 2.0.0 ok"
            if verb == "EHLO":
                writer.write(EHLO)
                continue
            if verb == "MAIL":
                mail_from = _path(line)
            elif verb == "RCPT":
                rcpt_to = _path(line)
                reply = self.at_rcpt.get(rcpt_to, "250 2.1.5 ok")
                if not reply.startswith("2"):
                    writer.write(f"{reply}\r\n".encode())
                    rcpt_to = ""
                    continue
            elif verb == "DATA" and not rcpt_to:
                reply = "503 5.5.1 no recipient"
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                raw = await self._body(reader)
                reply = self.at_dot.get(rcpt_to, f"250 2.0.0 Ok: queued as Q{len(self.mails)}X{id(raw)}")
                if reply.startswith("2"):
                    self.mails.append(Mail(mail_from, rcpt_to, raw))
                if reply == CLOSE:
                    return
            elif verb == "QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            writer.write(f"{reply}\r\n".encode())

    async def _body(self, reader: asyncio.StreamReader) -> bytes:
        raw = await reader.readuntil(b"\r\n.\r\n")
        self.bodies += 1
        return raw


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@contextmanager
def run_sink(sink: Sink) -> Iterator[Sink]:
    """Serve on a free port of loopback, in a thread, for a block."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stopping = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(sink.session, "127.0.0.1", 0, limit=2**24)
        sink.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stopping.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
