"""The sink of `bench/`, in a thread of the test's own: any number of servers, each with faults and a log of its own."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench.sink_faults import parse_faults
from bench.sink_server import Session, Sink


@dataclass(frozen=True)
class Taken:
    """One line of a sink's log: the end of a body. `verdict`: `250`, `drop` (taken, unanswered), else what was said."""

    wall_ns: int
    verdict: str
    message_id: str
    recipient: str
    mail_from: str

    @property
    def is_taken(self) -> bool:
        """Whether the server has the mail."""
        return self.verdict.startswith("2") or self.verdict == "drop"


def read_log(path: Path) -> list[Taken]:
    """Return the lines of a sink's log."""
    if not path.exists():
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [Taken(int(row[0]), row[2], row[3], row[4], row[5]) for row in rows if len(row) == 7]


@dataclass
class FaultServer:
    """A server on loopback; `log` is read with `taken`."""

    sink: Sink
    server: asyncio.Server
    port: int
    path: Path

    def taken(self) -> list[Taken]:
        """Return every end of a body so far."""
        return read_log(self.path)

    def play(self, faults: dict[str, Any]) -> None:
        """Play other faults from now on."""
        self.sink.faults = parse_faults(faults)


def _narrow_socket() -> socket.socket:
    """A listener whose connections hold some 60 kB between two programs, where loopback holds 4 MB.

    So a client with a larger body is still writing when the server has read its first bytes and plays a fault there:
    whose thread the machine runs first changes nothing.
    """
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_400)
    made.bind(("127.0.0.1", 0))
    return made


class Sinks:
    """Servers in one thread; they end with `close`."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open: list[FaultServer] = []

    def start(
        self, path: Path, faults: dict[str, Any], *, tls: ssl.SSLContext | None = None, auth: bool = False
    ) -> FaultServer:
        """Start a server that logs to `path`."""
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        sink = Sink(parse_faults(faults), log=log, tls=tls, auth=auth)
        coroutine = self._loop.create_server(lambda: Session(sink), sock=_narrow_socket())
        server = asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)
        made = FaultServer(sink, server, server.sockets[0].getsockname()[1], path)
        self._open.append(made)
        return made

    def stop(self, made: FaultServer) -> None:
        """Close a server and its sessions."""
        asyncio.run_coroutine_threadsafe(self._stop(made), self._loop).result(10)
        os.close(made.sink.log or 0)
        self._open.remove(made)

    async def _stop(self, made: FaultServer) -> None:
        made.server.close()
        for session in list(made.sink.sessions):
            session.close()
        await asyncio.sleep(0)

    def close(self) -> None:
        """End everything."""
        for made in list(self._open):
            self.stop(made)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def run_sinks() -> Iterator[Sinks]:
    """Yield a thread that servers run in."""
    sinks = Sinks()
    try:
        yield sinks
    finally:
        sinks.close()
