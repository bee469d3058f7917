"""How an SMTP session begins: connect, greeting, EHLO, STARTTLS, AUTH (RFC 5321, RFC 3207, RFC 4954)."""

import asyncio
import base64
import ssl
from typing import Self, cast

from mailer.delivery.codes import Phase, Reply
from mailer.delivery.relays import Relay, Tls
from mailer.delivery.smtp_wire import State, Timeouts, Wire
from mailer.errors import PermanentTransportError, TemporaryTransportError


class SessionRefusedError(TemporaryTransportError):
    """The relay refused before any message was named; `reply` says how. No contact is to blame."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"the relay refused at {reply.phase}: {reply.code} {reply.enhanced} {reply.text}".rstrip())
        self.reply = reply


class Session(Wire):
    """A session with a relay, ready for mails once it is open."""

    def __init__(self, relay: Relay, timeouts: Timeouts, ehlo_name: str) -> None:
        super().__init__(relay, timeouts)
        self.extensions: dict[str, str] = {}
        self._ehlo_name = ehlo_name

    @classmethod
    async def open(cls, relay: Relay, timeouts: Timeouts | None = None, *, ehlo_name: str = "") -> Self:
        """Connect, greet, secure and authenticate.

        Raises:
            SessionRefusedError: a 4yz or 5yz reply to the greeting, EHLO, STARTTLS or AUTH.
            PermanentTransportError: the relay cannot be used as it is set up (TLS, certificate, authentication).
            TemporaryTransportError: no connection.
        """
        connection = cls(relay, timeouts or Timeouts(), ehlo_name)
        try:
            greeting = await connection._connect()
            await connection._greet(greeting)
        except BaseException:
            connection.abandon()
            raise
        connection._state = State.IDLE
        return connection

    async def _connect(self) -> "asyncio.Future[Reply | None]":
        """Connect, and return what will be the greeting: it may arrive before anybody waits for it."""
        relay, loop = self.relay, self._loop
        tls = _tls_context(relay) if relay.tls is Tls.IMPLICIT else None
        greeting = self._expect(Phase.GREETING, self._timeouts.greeting)
        try:
            async with asyncio.timeout(self._timeouts.connect):
                transport, _ = await loop.create_connection(
                    lambda: self, relay.host, relay.port, ssl=tls, server_hostname=relay.host if tls else None
                )
        except ssl.SSLCertVerificationError as error:
            raise _untrusted(relay, error) from error
        except (OSError, TimeoutError) as error:
            reason = str(error) or "no answer"
            raise TemporaryTransportError(f"no connection to {relay.host}:{relay.port}: {reason}") from error
        self._use(transport)
        return greeting

    async def _greet(self, greeting: "asyncio.Future[Reply | None]") -> None:
        _require(await greeting, 2)
        await self._say_hello()
        if self.relay.tls is Tls.STARTTLS:
            await self._start_tls()
            await self._say_hello()
        if self.relay.user:
            await self._authenticate()

    async def _say_hello(self) -> None:
        name = self._ehlo_name or self._address_literal()
        reply = await self._ask(Phase.EHLO, f"EHLO {name}\r\n".encode("ascii"))
        self.extensions = {}
        for line in reply.lines[1:]:
            word, _, rest = line.strip().partition(" ")
            self.extensions[word.upper()] = rest

    def _address_literal(self) -> str:
        """Return our end as RFC 5321, section 4.1.3 writes an address without a name."""
        host = str(self._channel.get_extra_info("sockname")[0])
        return f"[IPv6:{host.partition('%')[0]}]" if ":" in host else f"[{host}]"

    async def _start_tls(self) -> None:
        if "STARTTLS" not in self.extensions:
            raise PermanentTransportError(
                f"{self.relay.host} offers no STARTTLS",
                mend="use smtps://, or starttls=no on your own host",
            )
        await self._ask(Phase.STARTTLS, b"STARTTLS\r\n")
        # What came in the clear after the reply was not sent by the relay (CVE-2011-0411).
        if self._buffer or self.is_closed:
            raise TemporaryTransportError(f"{self.relay.host} sent text before the TLS handshake")
        try:
            async with asyncio.timeout(self._timeouts.connect):
                secured = await self._loop.start_tls(
                    self._channel, self, _tls_context(self.relay), server_hostname=self.relay.host
                )
        except ssl.SSLCertVerificationError as error:
            raise _untrusted(self.relay, error) from error
        except (OSError, TimeoutError) as error:
            raise TemporaryTransportError(f"TLS handshake with {self.relay.host} failed: {error}") from error
        if secured is None:  # what asyncio returns when the connection was lost meanwhile
            raise self._lost()
        self._use(secured)

    async def _authenticate(self) -> None:
        """Prove who we are: PLAIN (RFC 4616), else LOGIN. The secret appears in no message."""
        offered = self.extensions.get("AUTH", "").upper().split()
        user, password = self.relay.user.encode(), self.relay.password.encode()
        if "PLAIN" in offered:
            secret = base64.b64encode(b"\0" + user + b"\0" + password)
            await self._ask(Phase.AUTH, b"AUTH PLAIN " + secret + b"\r\n")
        elif "LOGIN" in offered:
            await self._ask(Phase.AUTH, b"AUTH LOGIN\r\n", positive=3)
            await self._ask(Phase.AUTH, base64.b64encode(user) + b"\r\n", positive=3)
            await self._ask(Phase.AUTH, base64.b64encode(password) + b"\r\n")
        else:
            raise PermanentTransportError(
                f"{self.relay.host} offers no authentication that we speak (PLAIN, LOGIN)",
                mend="leave user and password out of the URL, or use TLS: many relays offer AUTH only then",
            )

    async def _ask(self, phase: Phase, command: bytes, *, positive: int = 2) -> Reply:
        waiter = self._expect(phase, self._timeouts.command)
        self._channel.write(command)
        return _require(await waiter, positive)

    def _expect(self, phase: Phase, seconds: float) -> "asyncio.Future[Reply | None]":
        self._expected.append(phase)
        self._waiter = waiter = self._loop.create_future()
        self._arm(seconds)
        return waiter


def _require(reply: Reply | None, positive: int) -> Reply:
    """Return `reply` where its first digit is `positive`; SessionRefusedError else."""
    if reply is None or reply.code // 100 != positive:
        raise SessionRefusedError(cast("Reply", reply))
    return reply


def _tls_context(relay: Relay) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=relay.ca_file or None)
    except OSError as error:
        raise PermanentTransportError(f"{relay.ca_file} cannot be read: {error}", mend="check ?ca_file=PATH") from error


def _untrusted(relay: Relay, error: ssl.SSLCertVerificationError) -> PermanentTransportError:
    return PermanentTransportError(
        f"the certificate of {relay.host} is not trusted: {error.verify_message}",
        mend="name the host as its certificate does, or give the authority's file with ?ca_file=PATH",
    )
