"""The endpoint behind its own HTTP server, in a thread, with links that are filled in by hand."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailer import tokens
from mailer.context import Context
from mailer.tracking import http_server
from mailer.tracking.endpoint import TrackingEndpoint
from mailer.tracking.link_map import LinkMap, LinkTable, Target
from mailer.tracking.queries import Run
from mailer.tracking.records import RawHit, iter_hits
from mailer.tracking.spool import SpoolWriter, list_segments

URL = "https://example.com/søk?q=1"


class HttpSite:
    """Link 0 leads on, link 1 asks first. `port` is where it listens once `running`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.links = LinkMap(ctx)
        self.links._table = LinkTable(
            (Run(1, 100, 9),), (1,), {(9, 0): Target(URL, "a", False), (9, 1): Target(URL, "b", True)}
        )
        self.endpoint = TrackingEndpoint(ctx.keys, SpoolWriter(ctx.settings.spool_dir), self.links)

    @contextmanager
    def running(self) -> Iterator["HttpSite"]:
        """Serve for a block."""
        ready, ports, loops = threading.Event(), list[int](), list[asyncio.AbstractEventLoop]()
        stop = asyncio.Event()

        async def main() -> None:
            loops.append(asyncio.get_running_loop())

            def tell(port: int) -> None:
                ports.append(port)
                ready.set()

            await http_server.serve(self.endpoint, "127.0.0.1", 0, stop, tell)

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        assert ready.wait(10)
        self.port = ports[0]
        try:
            yield self
        finally:
            loops[0].call_soon_threadsafe(stop.set)
            thread.join(10)
        assert not thread.is_alive()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def pixel(self, message_id: int = 42) -> bytes:
        return f"/o/{tokens.track_token(self.ctx.keys, tokens.OPEN, message_id)}.gif".encode()

    def link(self, number: int, message_id: int = 42) -> bytes:
        return f"/c/{tokens.track_token(self.ctx.keys, tokens.CLICK, message_id, number)}".encode()

    def hits(self) -> list[RawHit]:
        folder: Path = self.ctx.settings.spool_dir
        return [hit for one in list_segments(folder) for hit, _ in iter_hits(one.path.read_bytes())]


def request(path: bytes, *lines: bytes, method: bytes = b"GET") -> bytes:
    """Return the bytes of a request without a body."""
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: x", *lines, b"", b""])


def read_answers(wire: socket.socket, count: int) -> list[tuple[str, bytes]]:
    """Return status and body of the next answers."""
    file = wire.makefile("rb")
    answers = []
    for _ in range(count):
        status, size = file.readline().decode().strip(), 0
        while line := file.readline().strip():
            size = int(line[15:]) if line.lower().startswith(b"content-length:") else size
        answers.append((status.partition(" ")[2], file.read(size)))
    return answers
