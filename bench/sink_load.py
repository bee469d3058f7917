"""A pipelining client that does nothing but load the sink: MAIL, RCPT, DATA as one, the body, the dot, again."""

import asyncio
import time
from typing import cast

HEAD = b"From: a@example.com\r\nTo: b@example.com\r\nMessage-ID: <%d@example.com>\r\nSubject: load\r\n\r\n"
LINE = b"It costs nothing to be polite, and a line has to be filled with something.\r\n"
GROUP = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b%d@example.com>\r\nDATA\r\n"


class Loader(asyncio.Protocol):
    """One connection; takes numbers from `left` until none is there."""

    def __init__(self, left: "list[int]", body: bytes, done: "asyncio.Future[None]") -> None:
        self._left, self._body, self.done = left, body, done
        self._number = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer by what the last reply was."""
        last = data[data.rfind(b"\n", 0, -2) + 1 :]
        if last.startswith(b"220"):
            self._transport.write(b"EHLO load\r\n")
        elif last.startswith(b"354"):
            self._transport.write(HEAD % self._number + self._body)
            self._transport.write(b".\r\n")
        elif not self._left:
            self._transport.close()
        elif last.startswith(b"250 "):
            self._number = self._left.pop()
            self._transport.write(GROUP % self._number)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Say that nothing is left."""
        if not self.done.done():
            self.done.set_result(None)


async def measure(port: int, messages: int, connections: int, size: int) -> float:
    """Return the seconds that `messages` of about `size` bytes took."""
    loop = asyncio.get_running_loop()
    left, body = list(range(messages)), LINE * (size // len(LINE))
    started = time.monotonic()
    waits = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda done=done: Loader(left, body, done), "127.0.0.1", port)  # type: ignore[misc]
        waits.append(done)
    await asyncio.gather(*waits)
    return time.monotonic() - started
