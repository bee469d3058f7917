"""A scripted SMTP server on loopback: says what it is told at each step, and keeps a log of what it took."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

DEFAULT = {
    "greeting": "220 relay.example.com ESMTP",
    "ehlo": "250-relay.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000000",
    "starttls": "220 2.0.0 go ahead",
    "auth": "235 2.7.0 welcome",
    "rset": "250 2.0.0 reset",
    "mail": "250 2.1.0 sender ok",
    "rcpt": "250 2.1.5 recipient ok",
    "data": "354 end with CRLF.CRLF",
    "dot": "250 2.0.0 Ok: queued as 4AbCdEf",
    "quit": "221 2.0.0 bye",
}
CLOSE = "<close>"
RESET = "<reset>"
SILENCE = "<silence>"


@dataclass
class ScriptedServer:
    """`script` maps a step to a reply, a list of replies (one a time, the last one stays), or a special word above.

    A reply may name another one after a NUL-free marker: raw bytes are sent as they are. `received` holds complete
    messages, `commands` every command line, `unfinished` counts bodies that ended without their dot.
    """

    script: dict[str, str | bytes | list[str | bytes]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    received: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    bodies_begun: int = 0
    connections: int = 0
    port: int = 0
    on_held: Callable[[asyncio.StreamWriter], None] | None = None

    def _next(self, step: str) -> str | bytes:
        planned = self.script.get(step, DEFAULT[step])
        if isinstance(planned, list):
            return planned.pop(0) if len(planned) > 1 else planned[0]
        return planned

    async def _say(self, step: str, writer: asyncio.StreamWriter) -> str:
        """Answer; return the first digit of what was said, empty after an end."""
        reply = self._next(step)
        if reply in (CLOSE, RESET):
            if reply == RESET:
                writer.transport.abort()
            writer.close()
            return ""
        if reply == SILENCE:
            await asyncio.sleep(3600)
        raw = reply if isinstance(reply, bytes) else f"{reply}\r\n".encode()
        writer.write(raw)
        await writer.drain()
        return raw[:1].decode("latin-1")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""
        self.connections += 1
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say("greeting", writer):
            return
        while line := (await reader.readline()).decode("utf-8", "replace"):
            self.commands.append(line.rstrip("\r\n"))
            verb = line[:8].strip().split(" ")[0].lower()
            step = {"ehlo": "ehlo", "starttls": "starttls", "auth": "auth", "mail": "mail", "rcpt": "rcpt"}.get(
                verb, verb
            )
            if step not in DEFAULT:
                step = "auth"  # the lines of AUTH LOGIN
            said = await self._say(step, writer)
            if not said:
                return
            if step == "starttls" and said == "2":
                await writer.start_tls(self.tls)
            if step == "data" and said == "3" and not await self._take_body(reader, writer):
                return

    async def _take_body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.bodies_begun += 1
        if self.on_held is not None:
            self.on_held(writer)
        body = await reader.readuntil(b"\r\n.\r\n")
        self.received.append(body)
        return bool(await self._say("dot", writer))


@asynccontextmanager
async def run_server(server: ScriptedServer, *, implicit_tls: bool = False) -> AsyncIterator[ScriptedServer]:
    """Serve on a free port of loopback for a block."""
    sessions: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        await server.serve(reader, writer)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**22, ssl=server.tls if implicit_tls else None)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in sessions:
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        await asyncio.sleep(0)
