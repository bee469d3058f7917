"""Connections to one relay, kept open between mails (RFC 5321, section 4.1.1.5 lets a session carry many).

A pool belongs to one event loop. It opens at most `size` connections, closes each after `mails_per_connection` mails or
`idle_seconds` of rest, and rests itself, longer each time, after a connection could not be made.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailer.delivery.relays import Relay, Tls
from mailer.delivery.smtp import Connection
from mailer.delivery.smtp_wire import Timeouts
from mailer.errors import TemporaryTransportError, TransportError

_FIRST_REST, _LONGEST_REST = 0.5, 60.0
_GOODBYE_SECONDS = 0.1


class RelayRestingError(TemporaryTransportError):
    """No connection could be made lately; the next try is due in `seconds`."""

    def __init__(self, relay: Relay, seconds: float, why: str) -> None:
        super().__init__(f"{relay} is left alone for {seconds:.1f} s: {why}")
        self.seconds = seconds


class Pool:
    """At most `size` open connections to `relay`."""

    def __init__(
        self,
        relay: Relay,
        size: int,
        *,
        mails_per_connection: int = 100,
        idle_seconds: float = 30.0,
        timeouts: Timeouts | None = None,
        ehlo_name: str = "",
    ) -> None:
        self.relay = relay
        self.size = size
        self._mails_per_connection = mails_per_connection
        self._idle_seconds = idle_seconds
        self._timeouts = timeouts or Timeouts()
        self._ehlo_name = ehlo_name
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._failures = 0
        self._rest_until = 0.0
        self._last_failure = ""

    async def acquire(self) -> Connection:
        """Return a connection that is ready for a mail; wait while all are in use. Give it back with `release`.

        Raises:
            RelayRestingError: a connection failed a moment ago.
            TransportError: as `Connection.open`.
        """
        await self._slots.acquire()
        try:
            return self._find_idle() or await self._open()
        except BaseException:
            self._slots.release()
            raise

    def release(self, connection: Connection) -> None:
        """Take `connection` back: kept where it can carry another mail, else closed."""
        if connection.is_usable and connection.mail_count < self._mails_per_connection:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.quit()
        self._slots.release()

    def may_follow(self, connection: Connection) -> bool:
        """Whether `connection` may carry another mail after the one that is on it now."""
        return connection.mail_count + 1 < self._mails_per_connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection for a block; it is given back at its end, and closed where a mail was left unfinished."""
        connection = await self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    async def close(self) -> None:
        """Say goodbye on every idle connection; a peer that does not end TLS in a moment is left."""
        secured = [connection for connection in self._idle if connection.relay.tls is not Tls.NONE]
        while self._idle:
            self._idle.pop().quit()
        if secured:
            await asyncio.sleep(_GOODBYE_SECONDS)
            for connection in secured:
                connection.sever()

    @property
    def rest_seconds(self) -> float:
        """Seconds until the relay is tried again; 0 where it works."""
        return max(0.0, self._rest_until - asyncio.get_running_loop().time())

    def _find_idle(self) -> Connection | None:
        """Return the connection used last that is still good: the others may then age and close."""
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since >= oldest:
                return connection
            connection.quit()
        return None

    async def _open(self) -> Connection:
        if (rest := self.rest_seconds) > 0:
            raise RelayRestingError(self.relay, rest, self._last_failure)
        try:
            connection = await Connection.open(self.relay, self._timeouts, ehlo_name=self._ehlo_name)
        except TransportError as error:
            self._note_failure(error)
            raise
        self._failures = 0
        return connection

    def _note_failure(self, error: TransportError) -> None:
        """Rest twice as long after each failure; connections that fail at the same time count once."""
        if self.rest_seconds > 0:
            return
        rest = min(_LONGEST_REST, _FIRST_REST * 2**self._failures)
        self._failures += 1
        self._last_failure = error.message
        self._rest_until = asyncio.get_running_loop().time() + rest
