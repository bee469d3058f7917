"""A small asyncio SMTP client that stops before the final dot, so that the gate can stand between (RFC 5321, RFC 2920).

`Connection.offer` drives MAIL, RCPT, DATA and the body; `Connection.finish` writes the dot; `Connection.abandon` closes
at once, and the server discards the unfinished message (RFC 5321, section 4.1.1.4). Commands are pipelined where the
server offers it. What a reply means is decided in codes.py; addresses of servers are parsed in relays.py.

An instance belongs to one event loop; asyncio's own and uvloop both serve.
"""

import asyncio
import base64
import re
import ssl
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, cast

from mailer.delivery.codes import Phase, Reply, parse_reply_text
from mailer.delivery.relays import Relay, Tls
from mailer.errors import PermanentTransportError, TemporaryTransportError, TransportError, UnknownOutcomeError

MAX_LINE_BYTES = 4_096
MAX_REPLY_LINES = 200
DOT = b".\r\n"
_ENVELOPE_PATH = re.compile(r"[^\x00-\x20\x7f<>]+@[^\x00-\x20\x7f<>@]+")
_MAX_PATH = 254


class SessionRefusedError(TemporaryTransportError):
    """The relay refused before any message was named; `reply` says how. No contact is to blame."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"the relay refused at {reply.phase}: {reply.code} {reply.enhanced} {reply.text}".rstrip())
        self.reply = reply


class StaleConnectionError(TemporaryTransportError):
    """A connection from the pool had died before the first reply; the same mail may be offered again at once."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait by phase; not below RFC 5321, section 4.5.3.2. `body` is for handing the whole body over."""

    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    body: float = 180.0
    dot: float = 600.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail to one recipient. `body` is header and content; `mail_from` may be empty.

    `is_clean`: the body is known to have CRLF line ends only, the last one included, and no line with a leading dot, as
    mime.py and content/render.py make it. That saves looking, a quarter of the work of sending.
    """

    mail_from: str
    rcpt_to: str
    body: bytes
    is_clean: bool = False


class _State(StrEnum):
    NEW = "new"  # greeting, EHLO, STARTTLS, AUTH
    IDLE = "idle"
    OFFERING = "offering"
    BODY = "body"
    HELD = "held"
    DOT = "dot"
    CLOSED = "closed"


def prepare_body(body: bytes) -> bytes:
    """Return `body` with CRLF line ends only, leading dots doubled, and a CRLF at the end (RFC 5321, section 4.5.2).

    A lone CR or LF becomes CRLF: servers that take it for a line end could be tricked into seeing an early end of data.
    """
    lines = body.count(b"\r\n")
    if body.count(b"\n") != lines or body.count(b"\r") != lines:
        body = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
    if b"\n." in body:
        body = body.replace(b"\n.", b"\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body if body.endswith(b"\r\n") else body + b"\r\n"


class Connection(asyncio.Protocol):
    """One session with a relay. Made by `Connection.open`; used for one mail at a time."""

    def __init__(self, relay: Relay, timeouts: Timeouts, ehlo_name: str) -> None:
        self.relay = relay
        self.mail_count = 0
        self.idle_since = 0.0
        self.extensions: dict[str, str] = {}
        self._timeouts = timeouts
        self._ehlo_name = ehlo_name
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._state = _State.NEW
        self._buffer = b""
        self._lines: list[bytes] = []
        self._phase = Phase.GREETING
        self._unsent: deque[tuple[Phase, bytes]] = deque()
        self._expected: deque[Phase] = deque()
        self._body = b""
        self._refusal: Reply | None = None
        self._early: Reply | None = None
        self._dirty = False
        self._waiter: asyncio.Future[Reply | None] | None = None
        self._following: asyncio.Future[Reply | None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._lost_why = ""

    # ------------------------------------------------------------------ session

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
        connection._state = _State.IDLE
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

    def _use(self, transport: asyncio.Transport) -> None:
        """Talk through `transport`; it says when its buffer is empty, which is how a body counts as handed over."""
        self._transport = transport
        transport.set_write_buffer_limits(high=0)

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

    # ------------------------------------------------------------------ one mail

    async def offer(self, envelope: Envelope) -> Reply | None:
        """Hand over all but the final dot. None: held, ready for `finish` or `abandon`; else the reply that refused.

        A reply of ours (code 5yz, phase `local`) says that this relay cannot carry the mail; nothing was sent.

        Raises:
            TemporaryTransportError: the connection was lost or timed out; the message was not delivered.
            StaleConnectionError: it was lost before the first reply on a connection used before.
        """
        if (local := self._why_not_here(envelope)) is not None:
            return local
        if self._state is not _State.IDLE:
            raise self._lost()
        self._state = _State.OFFERING
        self._waiter = self._loop.create_future()
        self._prepare(envelope)
        self._send_commands(b"")
        return await self._patiently(self._waiter)

    async def held(self) -> Reply | None:
        """Wait for the mail that went along with the last `finish`; the answer and the errors are those of `offer`."""
        waiter, self._following = self._following, None
        if waiter is None:
            raise self._lost()
        return await self._patiently(waiter)

    async def _patiently(self, waiter: "asyncio.Future[Reply | None]") -> Reply | None:
        try:
            return await waiter
        except asyncio.CancelledError:
            self.abandon()
            raise

    def _prepare(self, envelope: Envelope) -> None:
        """Note what `envelope` is offered with."""
        self._refusal = self._early = None
        self._body = envelope.body if envelope.is_clean else prepare_body(envelope.body)
        self._unsent.extend(self._commands(envelope))

    def _commands(self, envelope: Envelope) -> list[tuple[Phase, bytes]]:
        extensions, parameters = self.extensions, ""
        if "SIZE" in extensions:
            parameters = f" SIZE={len(self._body)}"
        if not self._body.isascii():
            parameters += " BODY=8BITMIME"
        if not (envelope.rcpt_to.isascii() and envelope.mail_from.isascii()):
            parameters += " SMTPUTF8"
        commands = [
            (Phase.MAIL, f"MAIL FROM:<{envelope.mail_from}>{parameters}\r\n".encode()),
            (Phase.RCPT, f"RCPT TO:<{envelope.rcpt_to}>\r\n".encode()),
            (Phase.DATA, b"DATA\r\n"),
        ]
        return [(Phase.RSET, b"RSET\r\n"), *commands] if self._dirty else commands

    def _why_not_here(self, envelope: Envelope) -> Reply | None:
        """Return our own refusal where this relay cannot carry the mail, else None."""
        extensions = self.extensions
        for path in (envelope.rcpt_to, envelope.mail_from or "a@b"):
            if _ENVELOPE_PATH.fullmatch(path) is None or len(path) > _MAX_PATH:
                return Reply(553, "5.1.3", "not an address that an envelope can carry", Phase.LOCAL)
            if not path.isascii() and "SMTPUTF8" not in extensions:
                return Reply(553, "5.6.7", "the relay offers no SMTPUTF8 for this address", Phase.LOCAL)
        if not envelope.body.isascii() and "8BITMIME" not in extensions:
            return Reply(554, "5.6.3", "the relay offers no 8BITMIME for this message", Phase.LOCAL)
        limit = extensions.get("SIZE", "")
        if limit.isdecimal() and 0 < int(limit) < len(envelope.body):
            return Reply(552, "5.3.4", f"the relay takes messages up to {limit} bytes", Phase.LOCAL)
        return None

    def _send_commands(self, data: bytes) -> None:
        """Write, behind `data`, all commands at once where the server pipelines (RFC 2920), else the next one."""
        pipelined = "PIPELINING" in self.extensions
        while self._unsent:
            phase, command = self._unsent.popleft()
            self._expected.append(phase)
            data += command
            if not pipelined:
                break
        self._arm(self._timeouts.command)
        self._channel.write(data)

    def can_carry(self, following: Envelope) -> bool:
        """Whether `following` may go along with a dot: the server pipelines (RFC 2920, section 3.1) and takes it."""
        return "PIPELINING" in self.extensions and self._why_not_here(following) is None

    async def finish(self, following: Envelope | None = None) -> Reply:
        """Write the final dot and return the server's last word on this mail.

        `following` (`can_carry` said yes) is offered in the same breath, which saves a round trip a mail; `held` then
        waits for it. An early refusal, sent by the server before the dot, is returned with phase `body`, and no dot is
        written, nor anything of `following`. A caller that is cancelled here must treat the outcome as unknown.

        Raises:
            TemporaryTransportError: the connection had gone before the dot; no byte of it left.
            UnknownOutcomeError: the dot may have left, and no answer came (RFC 1047). Never resend blindly.
        """
        if self._state is not _State.HELD or self._early is not None:
            early = self._early
            error = self._lost()
            self.abandon()
            if early is not None and early.code >= 400:  # noqa: PLR2004 - 4yz and 5yz, RFC 5321, section 4.2.1
                return early
            raise error
        self._state = _State.DOT
        self._expected.append(Phase.DOT)
        self._waiter = waiter = self._loop.create_future()
        self._dirty = False  # whatever the server says to the dot, the transaction has ended
        if following is None:
            self._following = None
            self._channel.write(DOT)
        else:
            self._following = self._loop.create_future()
            self._prepare(following)
            self._send_commands(DOT)
        self._arm(self._timeouts.dot)
        return cast("Reply", await self._patiently(waiter))

    def abandon(self) -> None:
        """Close at once; a message without its dot is discarded by the server (RFC 5321, section 4.1.1.4)."""
        self._close("abandoned by us", abort=True)

    def quit(self) -> None:
        """Say QUIT and close without waiting for the answer."""
        if self._state is _State.IDLE:
            self._channel.write(b"QUIT\r\n")
        self._close("closed by us", abort=False)

    def sever(self) -> None:
        """Let go of a connection that was closed and whose peer has not closed its side."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_usable(self) -> bool:
        """Whether another mail can be offered."""
        return self._state is _State.IDLE

    @property
    def has_following(self) -> bool:
        """Whether a mail went along with the last dot, so that `held` is to be asked next."""
        return self._following is not None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can happen on it."""
        return self._state is _State.CLOSED

    # ------------------------------------------------------------------ asyncio's side

    @property
    def _channel(self) -> asyncio.Transport:
        if self._transport is None:
            raise self._lost()
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over."""
        self._use(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Cut replies out of what came; a line or reply beyond all measure ends the connection."""
        if self._state is _State.CLOSED:
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

    def _reply_received(self, phase: Phase, lines: list[bytes]) -> None:
        if self._state is _State.OFFERING:
            self._command_answered(phase, lines)
            return
        reply = parse_reply_text(lines, phase)
        if self._state is _State.DOT:
            self._dot_answered(reply)
        else:
            self._resolve(reply)

    def _command_answered(self, phase: Phase, lines: list[bytes]) -> None:
        """Take one reply of the group RSET, MAIL, RCPT, DATA; the first refusal counts."""
        kind = lines[-1][0]
        if phase is Phase.DATA and kind == _THREE:
            if self._refusal is None:
                self._send_body()
                return
            # A 354 after a refused recipient: what follows would be a message to nobody (RFC 2920, section 3.1).
            refusal = self._refusal
            self._waiter, waiter = None, self._waiter
            self.abandon()
            _answer(waiter, refusal)
            return
        if kind != _TWO and self._refusal is None:
            self._refusal = parse_reply_text(lines, phase)
            self._unsent.clear()
        elif phase is Phase.DATA and self._refusal is None:
            self._fail("a 2yz reply to DATA")
            return
        elif phase is Phase.MAIL:
            self._dirty = True
        if self._unsent:
            self._send_commands(b"")
        elif not self._expected:
            self._group_refused()

    def _group_refused(self) -> None:
        refusal = cast("Reply", self._refusal)
        self._dirty = True
        self._state = _State.IDLE
        self._disarm()
        if refusal.code == _CLOSING:
            self._waiter, waiter = None, self._waiter
            self.abandon()
            _answer(waiter, refusal)
        else:
            self._resolve(refusal)

    def _send_body(self) -> None:
        self._state = _State.BODY
        body, self._body = self._body, b""
        self._arm(self._timeouts.body)
        self._channel.write(body)
        if self._state is _State.BODY and self._channel.get_write_buffer_size() == 0:
            self._hold()

    def _hold(self) -> None:
        self._state = _State.HELD
        self._disarm()
        self._resolve(None)

    def resume_writing(self) -> None:
        """Learn that the buffer is empty: the body is with the operating system."""
        if self._state is _State.BODY:
            self._hold()

    def _reply_unasked(self, reply: Reply) -> None:
        """Handle a reply to nothing: a refusal while the body flows or waits, or a server that speaks out of turn."""
        if self._state is _State.BODY and reply.code >= 400:  # noqa: PLR2004 - 4yz and 5yz, RFC 5321, section 4.2.1
            self._waiter, waiter = None, self._waiter
            self.abandon()
            _answer(waiter, reply)
        elif self._state is _State.HELD:
            self._early = reply
            self._lost_why = f"the server spoke before the dot: {reply.code} {reply.text}"
        else:
            self._fail(f"a reply to nothing: {reply.code} {reply.text}")

    def _dot_answered(self, reply: Reply) -> None:
        if reply.code // 100 == 3:  # noqa: PLR2004 - 3yz is no answer to a dot
            self._fail(f"a 3yz reply to the dot: {reply.text}")
            return
        self.mail_count += 1
        self._waiter, waiter = self._following, self._waiter
        if reply.code == _CLOSING:
            self._fail("421 after the dot")
        elif self._waiter is None:
            self._disarm()
            self._state = _State.IDLE
        else:
            self._arm(self._timeouts.command)
            self._state = _State.OFFERING
        _answer(waiter, reply)

    def eof_received(self) -> None:
        """Let the transport close: a server that closed its side answers nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        if self._state is not _State.CLOSED:
            self._fail(f"the server closed the connection{f': {exc}' if exc else ''}")

    # ------------------------------------------------------------------ ends

    def _resolve(self, reply: Reply | None) -> None:
        self._waiter, waiter = None, self._waiter
        _answer(waiter, reply)

    def _fail(self, why: str) -> None:
        """Close, and raise in the waiters what the phase makes of it."""
        state, waiter, following = self._state, self._waiter, self._following
        phase = self._expected[0] if self._expected else Phase.BODY
        self._waiter = None
        self._close(why, abort=True)
        if state is _State.DOT:
            _raise(following, StaleConnectionError(f"nothing of this mail was answered: {why}"))
            _raise(waiter, UnknownOutcomeError(f"no answer to the final dot: {why}"))
        elif state is _State.OFFERING and self._refusal is not None:
            _answer(waiter, self._refusal)  # the server's word on this mail; that it then closed says no more
        elif state is _State.OFFERING and self.mail_count and phase in (Phase.RSET, Phase.MAIL):
            _raise(waiter, StaleConnectionError(f"{phase}: {why}"))
        else:
            _raise(waiter, TemporaryTransportError(f"{self.relay.host}, {phase}: {why}"))

    def _lost(self) -> TemporaryTransportError:
        return TemporaryTransportError(f"{self.relay.host}: {self._lost_why or 'the connection is not ready'}")

    def _close(self, why: str, *, abort: bool) -> None:
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._lost_why = self._lost_why or why
        self._buffer, self._body = b"", b""
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            if abort:
                self._transport.abort()
            else:
                self._transport.close()

    # ------------------------------------------------------------------ one lazy timer

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


_TWO, _THREE = ord("2"), ord("3")
_CLOSING = 421


def _require(reply: Reply | None, positive: int) -> Reply:
    """Return `reply` where its first digit is `positive`; SessionRefusedError else."""
    if reply is None or reply.code // 100 != positive:
        raise SessionRefusedError(cast("Reply", reply))
    return reply


def _answer(waiter: "asyncio.Future[Reply | None] | None", reply: Reply | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(reply)


def _raise(waiter: "asyncio.Future[Reply | None] | None", error: TransportError) -> None:
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


def _tls_context(relay: Relay) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=relay.ca_file or None)


def _untrusted(relay: Relay, error: ssl.SSLCertVerificationError) -> PermanentTransportError:
    return PermanentTransportError(
        f"the certificate of {relay.host} is not trusted: {error.verify_message}",
        mend="name the host as its certificate does, or give the authority's file with ?ca_file=PATH",
    )
