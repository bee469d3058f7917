"""A small SMTP and LMTP server on asyncio, for mail that comes to us (RFC 5321, RFC 2033, RFC 2920).

Used by the bounce listener and by the catcher. It knows sessions, limits and replies; what is done with a mail is the
handler's matter, and 250 is said only after the handler is done. Only CRLF.CRLF ends a message: a lone LF or CR beside
a dot does not, so nobody can smuggle a second message in (CVE-2023-51764 and its kind).
"""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

import uvloop

from mailer.errors import SetupError
from mailer.log import get_logger

log = get_logger("smtpd")
_MAX_COMMAND = 4_096
_END = b"\r\n.\r\n"
_PATH = re.compile(r"\s*(?:FROM|TO):\s*<?([^<>\s]*)>?(.*)", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PATH = 320
_MAX_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Incoming:
    """One mail as it came, dots undone; `mail_from` is empty for the null sender."""

    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes


class Handler(Protocol):
    """What is done with mail."""

    def why_not_recipient(self, address: str) -> str | None:
        """Return the reply that refuses a recipient, or None."""

    async def take(self, mail: Incoming) -> str:
        """Keep a mail; return the reply to its dot. Whatever it raises is answered with 451."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    message_bytes: int = 20_000_000
    recipients: int = 100
    idle_seconds: float = 300.0
    sessions: int = 500


class Session(asyncio.Protocol):
    """One client. Input waits while a mail is with the handler, so replies keep their order."""

    def __init__(self, handler: Handler, limits: Limits, sessions: "set[Session]", *, is_lmtp: bool) -> None:
        self._handler = handler
        self._limits = limits
        self._sessions = sessions
        self._is_lmtp = is_lmtp
        self._buffer = bytearray()
        self._searched = 0
        self._in_data = False
        self._too_big = False
        self._mail_from: str | None = None
        self._recipients: list[str] = []
        self._errors = 0
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_heard = 0.0

    # ------------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or send away where the house is full."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._sessions) >= self._limits.sessions:
            self._say("421 4.3.2 too many sessions")
            self._transport.close()
            return
        self._sessions.add(self)
        self._last_heard = asyncio.get_running_loop().time()
        self._watch()
        self._say("220 mailer ready")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the session; a mail that is with the handler is kept all the same."""
        del exc
        self._sessions.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take input in."""
        self._last_heard = asyncio.get_running_loop().time()
        self._buffer += data
        if self._task is None:
            self._go_on()
        elif len(self._buffer) > self._limits.message_bytes:
            self.close("421 4.3.0 too much at once")

    def _watch(self) -> None:
        """Close a session that has said nothing for too long; one timer a session, not one a command."""
        loop = asyncio.get_running_loop()
        rest = self._last_heard + self._limits.idle_seconds - loop.time()
        if rest <= 0 and self._task is None:
            self.close("421 4.4.2 idle too long")
        else:
            self._timer = loop.call_later(max(rest, 1.0), self._watch)

    def close(self, reply: str) -> None:
        """Say goodbye and close."""
        self._say(reply)
        if self._transport is not None:
            self._transport.close()

    def _say(self, reply: str) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(reply.encode() + b"\r\n")

    # ------------------------------------------------------------------ commands

    def _go_on(self) -> None:
        while self._task is None and self._transport is not None and not self._transport.is_closing():
            if self._in_data:
                if not self._take_data():
                    return
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) > _MAX_COMMAND:
                    self.close("500 5.5.2 line too long")
                return
            line = bytes(self._buffer[:end]).rstrip(b"\r").decode("utf-8", "replace")
            del self._buffer[: end + 1]
            self._obey(line)

    def _obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        command = _COMMANDS.get(verb.upper())
        is_greeting = verb.upper() in ("LHLO", "EHLO", "HELO")
        if command is None or (is_greeting and (verb.upper() == "LHLO") != self._is_lmtp):
            self._complain("500 5.5.1 command not known")
            return
        command(self, rest)

    def _complain(self, reply: str) -> None:
        self._errors += 1
        if self._errors > _MAX_ERRORS:
            self.close("421 4.7.0 too many errors")
        else:
            self._say(reply)

    def _hello(self, rest: str) -> None:
        del rest
        self._reset("")
        self._say(
            f"250-mailer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
            f"250 SIZE {self._limits.message_bytes}"
        )

    def _helo(self, rest: str) -> None:
        del rest
        self._reset("")
        self._say("250 mailer")

    def _mail(self, rest: str) -> None:
        path = _PATH.fullmatch(rest)
        if path is None or not rest[:5].upper().startswith("FROM:"):
            self._complain("501 5.5.4 say MAIL FROM:<address>")
        elif self._mail_from is not None:
            self._complain("503 5.5.1 one mail at a time")
        elif len(path[1]) > _MAX_PATH or _CONTROL.search(path[1]):
            self._complain("501 5.1.7 not an address")
        else:
            self._mail_from = path[1]
            self._say("250 2.1.0 ok")

    def _rcpt(self, rest: str) -> None:
        path = _PATH.fullmatch(rest)
        if self._mail_from is None:
            self._complain("503 5.5.1 MAIL first")
        elif path is None or not rest[:3].upper().startswith("TO:") or not path[1]:
            self._complain("501 5.5.4 say RCPT TO:<address>")
        elif len(path[1]) > _MAX_PATH or _CONTROL.search(path[1]):
            self._complain("501 5.1.3 not an address")
        elif len(self._recipients) >= self._limits.recipients:
            self._say("452 4.5.3 too many recipients")
        else:
            refusal = self._handler.why_not_recipient(path[1])
            if refusal is None:
                self._recipients.append(path[1])
            self._say(refusal or "250 2.1.5 ok")

    def _data(self, rest: str) -> None:
        del rest
        if not self._recipients:
            self._complain("503 5.5.1 no valid recipients")
            return
        self._in_data, self._searched, self._too_big = True, 0, False
        self._say("354 end with CRLF.CRLF")

    def _rset(self, rest: str) -> None:
        self._reset(rest)
        self._say("250 2.0.0 ok")

    def _reset(self, rest: str) -> None:
        del rest
        self._mail_from, self._recipients = None, []

    def _noop(self, rest: str) -> None:
        del rest
        self._say("250 2.0.0 ok")

    def _quit(self, rest: str) -> None:
        del rest
        self.close("221 2.0.0 bye")

    # ------------------------------------------------------------------ the message

    def _take_data(self) -> bool:
        """Look for the end of the message; True where it was found."""
        if not self._too_big and self._buffer.startswith(b".\r\n"):
            end, size = 0, 3
        else:
            end, size = self._buffer.find(_END, max(0, self._searched - len(_END))), len(_END)
        if end < 0:
            if self._too_big or len(self._buffer) > self._limits.message_bytes:
                self._too_big = True
                del self._buffer[: -len(_END)]  # go on reading, keep nothing
            self._searched = len(self._buffer)
            return False
        raw = bytes(self._buffer[:end]) + (b"\r\n" if size == len(_END) else b"")
        del self._buffer[: end + size]
        self._in_data = False
        mail = Incoming(self._mail_from or "", tuple(self._recipients), _undo_dots(raw))
        self._reset("")
        if self._too_big or len(raw) > self._limits.message_bytes:
            self._answer("552 5.3.4 message too big", len(mail.recipients))
        else:
            self._task = asyncio.get_running_loop().create_task(self._hand_over(mail))
        return True

    async def _hand_over(self, mail: Incoming) -> None:
        try:
            reply = await self._handler.take(mail)
        except Exception as error:  # noqa: BLE001 - a door: the sender keeps the mail and tries again
            log.warning("mail_not_taken", error=type(error).__name__)
            reply = "451 4.3.0 not stored, try again later"
        self._answer(reply, len(mail.recipients))
        self._task = None
        self._go_on()

    def _answer(self, reply: str, recipients: int) -> None:
        """Answer a message: once in SMTP, once for each recipient in LMTP (RFC 2033, section 4.2)."""
        for _ in range(recipients if self._is_lmtp else 1):
            self._say(reply)


_COMMANDS: dict[str, Callable[[Session, str], None]] = {
    "EHLO": Session._hello,  # noqa: SLF001 - the table of this very class
    "LHLO": Session._hello,  # noqa: SLF001 - the table of this very class
    "HELO": Session._helo,  # noqa: SLF001 - the table of this very class
    "MAIL": Session._mail,  # noqa: SLF001 - the table of this very class
    "RCPT": Session._rcpt,  # noqa: SLF001 - the table of this very class
    "DATA": Session._data,  # noqa: SLF001 - the table of this very class
    "RSET": Session._rset,  # noqa: SLF001 - the table of this very class
    "NOOP": Session._noop,  # noqa: SLF001 - the table of this very class
    "QUIT": Session._quit,  # noqa: SLF001 - the table of this very class
}


def _undo_dots(raw: bytes) -> bytes:
    """Take the stuffed dots out (RFC 5321, section 4.5.2)."""
    if b"\r\n." in raw:
        raw = raw.replace(b"\r\n.", b"\r\n")
    return raw.removeprefix(b".")


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    is_lmtp: bool = False,
    limits: Limits | None = None,
    ready: Callable[[int], None] | None = None,
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set; `ready` is called with the port once it is open.

    Raises:
        SetupError: the port cannot be had.
    """
    sessions: set[Session] = set()
    limits = limits or Limits()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Session(handler, limits, sessions, is_lmtp=is_lmtp), host, port)
    except OSError as error:
        raise SetupError(f"cannot listen on {host}:{port}: {error.strerror}", mend="choose another --port") from error
    if ready is not None:
        ready(server.sockets[0].getsockname()[1])
    try:
        await stop.wait()
    finally:
        server.close()
        for session in list(sessions):
            session.close("421 4.3.2 closing")
        await asyncio.sleep(0)


def run_until_signal(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stop)` on uvloop until it ends; SIGTERM or SIGINT set `stop`, so that it ends cleanly."""

    async def guarded() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError, RuntimeError):  # not the main thread, in a test
                loop.add_signal_handler(number, stop.set)
        await main(stop)

    uvloop.run(guarded())
