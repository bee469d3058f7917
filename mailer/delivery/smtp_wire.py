"""The wire of an SMTP session: bytes in, replies out, one timer, one end (RFC 5321, section 4.2).

What a reply answers is known to the classes built on it: smtp_session.py opens a session, smtp.py carries mails.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from mailer.delivery.codes import Phase, Reply, parse_reply_text
from mailer.delivery.relays import Relay
from mailer.errors import TemporaryTransportError, TransportError

MAX_LINE_BYTES = 4_096
MAX_REPLY_LINES = 200


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait by phase; not below RFC 5321, section 4.5.3.2. `body` is for handing the whole body over."""

    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    body: float = 180.0
    dot: float = 600.0


class State(StrEnum):
    """Where a session is."""

    NEW = "new"  # greeting, EHLO, STARTTLS, AUTH
    IDLE = "idle"
    OFFERING = "offering"
    BODY = "body"
    HELD = "held"
    DOT = "dot"
    CLOSED = "closed"


class Wire(asyncio.Protocol, ABC):
    """The transport of one session and the replies on it."""

    def __init__(self, relay: Relay, timeouts: Timeouts) -> None:
        self.relay = relay
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._state = State.NEW
        self._buffer = b""
        self._lines: list[bytes] = []
        self._expected: deque[Phase] = deque()
        self._waiter: asyncio.Future[Reply | None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._lost_why = ""

    @abstractmethod
    def _reply_received(self, phase: Phase, lines: list[bytes]) -> None:
        """Take the reply to a command of `phase`."""

    @abstractmethod
    def _reply_unasked(self, reply: Reply) -> None:
        """Take a reply to nothing."""

    @abstractmethod
    def _fail(self, why: str) -> None:
        """Close, and raise in the waiters what the phase makes of it."""

    @property
    def _channel(self) -> asyncio.Transport:
        if self._transport is None:
            raise self._lost()
        return self._transport

    def _use(self, transport: asyncio.Transport) -> None:
        """Talk through `transport`; it says when its buffer is empty, which is how a body counts as handed over."""
        self._transport = transport
        transport.set_write_buffer_limits(high=0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over."""
        self._use(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Cut replies out of what came; a line or reply beyond all measure ends the connection."""
        if self._state is State.CLOSED:
            return
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            if end - start > MAX_LINE_BYTES:
                break
            line = data[start:end]
            start = end + 1
            self._line_received(line)
            if self.is_closed:
                return
        if len(data) - start > MAX_LINE_BYTES:
            self._fail("a reply line without an end")
            return
        self._buffer = data[start:]

    def _line_received(self, line: bytes) -> None:
        self._lines.append(line)
        if line[3:4] == b"-":
            if len(self._lines) > MAX_REPLY_LINES or not line[:3].isdigit():
                self._fail("not an SMTP reply")
            return
        lines, self._lines = self._lines, []
        if not _is_reply(lines):
            self._fail("not an SMTP reply")
        elif not self._expected:
            self._reply_unasked(parse_reply_text(lines, Phase.BODY))
        else:
            self._reply_received(self._expected.popleft(), lines)

    def eof_received(self) -> None:
        """Let the transport close: a server that closed its side answers nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        if self._state is not State.CLOSED:
            self._fail(f"the server closed the connection{f': {exc}' if exc else ''}")

    def _resolve(self, reply: Reply | None) -> None:
        self._waiter, waiter = None, self._waiter
        answer(waiter, reply)

    def _lost(self) -> TemporaryTransportError:
        return TemporaryTransportError(f"{self.relay.host}: {self._lost_why or 'the connection is not ready'}")

    def _close(self, why: str, *, abort: bool) -> None:
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        self._lost_why = self._lost_why or why
        self._buffer = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            if abort:
                self._transport.abort()
            else:
                self._transport.close()

    def _arm(self, seconds: float) -> None:
        """Fail after `seconds` of silence. A timer that is due earlier stays and looks again then: no churn a mail."""
        self._deadline = deadline = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._timer_fired)

    def _disarm(self) -> None:
        self._deadline = float("inf")

    def _timer_fired(self) -> None:
        self._timer = None
        if self._deadline == float("inf"):
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._timer_fired)
        else:
            self._fail("no reply in time")

    def abandon(self) -> None:
        """Close at once; a message without its dot is discarded by the server (RFC 5321, section 4.1.1.4)."""
        self._close("abandoned by us", abort=True)

    def sever(self) -> None:
        """Let go of a connection that was closed and whose peer has not closed its side."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can happen on it."""
        return self._state is State.CLOSED


def answer(waiter: "asyncio.Future[Reply | None] | None", reply: Reply | None) -> None:
    """Let `waiter` go on with `reply`, unless it has given up."""
    if waiter is not None and not waiter.done():
        waiter.set_result(reply)


def fail(waiter: "asyncio.Future[Reply | None] | None", error: TransportError) -> None:
    """Let `waiter` raise; an error that nobody comes to fetch is no matter for the event loop's log."""
    if waiter is not None and not waiter.done():
        waiter.set_exception(error)
        waiter.exception()


def _is_reply(lines: list[bytes]) -> bool:
    """Check the form of RFC 5321, section 4.2: the same three digits on each line, from 200 to 599."""
    last = lines[-1]
    code = last[:3]
    if not (code.isdigit() and len(code) == 3 and b"2" <= code[:1] <= b"5" and last[3:4] in (b" ", b"\r", b"")):  # noqa: PLR2004 - three digits
        return False
    return len(lines) == 1 or all(line[:3] == code for line in lines)
