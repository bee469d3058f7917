"""One client of the tracking endpoint: requests read from its connection, answers written to it (RFC 9112)."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import cast

from mailer.clock import utc_now
from mailer.tracking.endpoint import Decision, Headers
from mailer.tracking.http_head import MAX_BODY, MAX_HEAD, BadRequestError, parse_head

_MOST_UNREAD = MAX_HEAD + MAX_BODY
_END = b"\r\n\r\n"


class Session(asyncio.Protocol):
    """Requests are answered one after the other, so answers keep their order (RFC 9112, section 9.3).

    `ask` has a request answered by a call of `answer`, at once or later; `sessions` are those that live.
    """

    def __init__(self, ask: "Callable[[Session, dict[str, str]], None]", sessions: "set[Session]", most: int) -> None:
        self._ask = ask
        self._sessions = sessions
        self._most = most
        self._buffer = b""
        self._skip = 0
        self._is_reading = self._is_kept_alive = self._is_paused = self._is_full = False
        self.is_waiting = False
        self.since = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        self._remote = (transport.get_extra_info("peername") or ("",))[0]
        if len(self._sessions) >= self._most:
            self._transport.abort()
        else:
            self._sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self._sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        """Take in what came; what comes behind a request that waits for its answer waits, too."""
        self._buffer = self._buffer + data if self._buffer else data
        if self.is_waiting or self._is_full:
            if len(self._buffer) > _MOST_UNREAD and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            return
        self._read()

    def pause_writing(self) -> None:
        """Read nothing from a client that does not read its answers."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_full = False
        self._go_on()

    def answer(self, decision: Decision) -> None:
        """Send an answer, and go on to the next request."""
        self.is_waiting = False
        if self._transport.is_closing():
            return
        self.since = time.monotonic()
        self._transport.write(_render(decision, is_kept_alive=self._is_kept_alive))
        if not self._is_kept_alive:
            self._transport.close()
        elif self._buffer:
            self._go_on()

    def close(self) -> None:
        """End the connection; what was written still leaves."""
        self._transport.close()

    def drop(self) -> None:
        """End the connection at once, whether or not the client reads."""
        self._transport.abort()

    def _go_on(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        if not self._is_reading and not self.is_waiting:
            self._read()

    def _read(self) -> None:
        """Take requests from what came, as long as each is answered at once."""
        self._is_reading = True
        while self._buffer and not (self.is_waiting or self._is_full or self._transport.is_closing()):
            if self._skip:
                gone = min(self._skip, len(self._buffer))
                self._buffer, self._skip = self._buffer[gone:], self._skip - gone
                continue
            end = self._buffer.find(_END)
            if (len(self._buffer) if end < 0 else end) > MAX_HEAD:
                self._refuse("431 Request Header Fields Too Large")
            elif end < 0:
                break
            else:
                self._take_request(end)
        self._is_reading = False

    def _take_request(self, end: int) -> None:
        head, self._buffer = self._buffer[:end], self._buffer[end + len(_END) :]
        try:
            request = parse_head(head.lstrip(b"\r\n"))
        except BadRequestError as error:
            self._refuse(error.status)
            return
        self._skip, self._is_kept_alive = request.body_bytes, request.is_kept_alive
        self.is_waiting = True
        request.environ["REMOTE_ADDR"] = self._remote
        self._ask(self, request.environ)

    def _refuse(self, status: str) -> None:
        """Answer what is no request, and end: what follows could be anything."""
        self._is_kept_alive, self._buffer = False, b""
        self.answer(Decision(status, (("Content-Length", "0"),)))


def _render(decision: Decision, *, is_kept_alive: bool) -> bytes:
    head = f"HTTP/1.1 {decision.status}\r\nDate: {_date(int(utc_now().timestamp()))}\r\n{_lines(decision.headers)}"
    return (head + ("\r\n" if is_kept_alive else "Connection: close\r\n\r\n")).encode("latin-1") + decision.body


@lru_cache(64)
def _lines(headers: Headers) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


@lru_cache(1)
def _date(second: int) -> str:
    """Return a time as RFC 9110, section 5.6.7 has it."""
    return formatdate(second, usegmt=True)
