"""Many readers at once: every request names itself by its user agent, and every answer is noted."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
_LOST = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@dataclass
class Readers:
    """`answered`: the user agents of requests that got their 200 or 302; `refused`: other answers by status.

    A request whose connection breaks is nobody's word on whether it counts: it is `lost`, and asked again under another
    name.
    """

    port: int
    name: str = "reader"
    answered: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    async def read(self, paths: Sequence[str], connections: int) -> None:
        """Ask for every path until it is answered, over so many connections."""
        waiting = list(paths)
        await asyncio.gather(*(self._read_all(waiting) for _ in range(connections)))

    async def _read_all(self, waiting: list[str]) -> None:
        while waiting:
            try:
                replies, wire = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)  # nobody listens just now
                continue
            await self._read_some(waiting, replies, wire)
            wire.close()
            try:
                await wire.wait_closed()
            except OSError:
                continue

    async def _read_some(self, waiting: list[str], replies: asyncio.StreamReader, wire: asyncio.StreamWriter) -> None:
        """Ask over one connection while it holds."""
        while waiting:
            path, agent = waiting.pop(), f"{FIREFOX} {self.name}/{next(self._numbers)}"
            try:
                wire.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n".encode())
                head = await replies.readuntil(b"\r\n\r\n")
                size = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0].strip()
                await replies.readexactly(int(size or 0))
            except _LOST:
                self.lost += 1
                waiting.append(path)
                return
            status = head.split(b" ")[1].decode()
            if status in ("200", "302"):
                self.answered.append(agent)
            else:
                self.refused[status] = self.refused.get(status, 0) + 1
