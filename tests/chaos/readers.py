"""Many readers at once: every request names itself by its user agent, and every answer is noted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@dataclass
class Readers:
    """`answered`: the user agents of requests that got their 200 or 302; `refused`: other answers by status."""

    port: int
    name: str = "reader"
    answered: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    async def read(self, paths: Sequence[str], connections: int) -> None:
        """Ask for every path once, over so many connections."""
        waiting = [(path, f"{FIREFOX} {self.name}/{number}") for number, path in enumerate(paths)]
        await asyncio.gather(*(self._read_all(waiting) for _ in range(connections)))

    async def _read_all(self, waiting: list[tuple[str, str]]) -> None:
        replies, wire = await asyncio.open_connection("127.0.0.1", self.port)
        while waiting:
            path, agent = waiting.pop()
            wire.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n".encode())
            head = await replies.readuntil(b"\r\n\r\n")
            size = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0].strip()
            await replies.readexactly(int(size or 0))
            status = head.split(b" ")[1].decode()
            if status in ("200", "302"):
                self.answered.append(agent)
            else:
                self.refused[status] = self.refused.get(status, 0) + 1
        wire.close()
        await wire.wait_closed()
