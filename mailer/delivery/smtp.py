"""A small asyncio SMTP client that stops before the final dot, so that the gate can stand between (RFC 5321, RFC 2920).

`Connection.offer` drives MAIL, RCPT, DATA and the body; `Connection.finish` writes the dot; `Connection.abandon` closes
at once, and the server discards the unfinished message (RFC 5321, section 4.1.1.4). Commands are pipelined where the
server offers it. What a reply means is decided in codes.py; addresses of servers are parsed in relays.py.

An instance belongs to one event loop; asyncio's own and uvloop both serve.
"""

import asyncio
import re
from collections import deque
from typing import NamedTuple, cast

from mailer.delivery.codes import Phase, Reply, parse_reply_text
from mailer.delivery.relays import Relay
from mailer.delivery.smtp_session import Session
from mailer.delivery.smtp_wire import State, Timeouts, answer, fail
from mailer.errors import TemporaryTransportError, UnknownOutcomeError

DOT = b".\r\n"
_ENVELOPE_PATH = re.compile(r"[^\x00-\x20\x7f<>]+@[^\x00-\x20\x7f<>@]+")
_MAX_PATH = 254
_TWO, _THREE = ord("2"), ord("3")
_CLOSING = 421


class StaleConnectionError(TemporaryTransportError):
    """A connection from the pool had died before the first reply; the same mail may be offered again at once."""


class Envelope(NamedTuple):
    """One mail to one recipient. `body` is header and content; `mail_from` may be empty.

    `is_clean`: the body is known to have CRLF line ends only, the last one included, and no line with a leading dot, as
    mime.py and content/render.py make it. That saves looking, a quarter of the work of sending.
    """

    mail_from: str
    rcpt_to: str
    body: bytes
    is_clean: bool = False


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


class Connection(Session):
    """One session with a relay. Made by `Connection.open`; used for one mail at a time."""

    def __init__(self, relay: Relay, timeouts: Timeouts, ehlo_name: str) -> None:
        super().__init__(relay, timeouts, ehlo_name)
        self.mail_count = 0
        self.idle_since = 0.0
        self._unsent: deque[tuple[Phase, bytes]] = deque()
        self._body = b""
        self._refusal: Reply | None = None
        self._early: Reply | None = None
        self._dirty = False
        self._following: asyncio.Future[Reply | None] | None = None

    async def offer(self, envelope: Envelope) -> Reply | None:
        """Hand over all but the final dot. None: held, ready for `finish` or `abandon`; else the reply that refused.

        A reply of ours (code 5yz, phase `local`) says that this relay cannot carry the mail; nothing was sent.

        Raises:
            TemporaryTransportError: the connection was lost or timed out; the message was not delivered.
            StaleConnectionError: it was lost before the first reply on a connection used before.
        """
        if (local := self._why_not_here(envelope)) is not None:
            return local
        if self._state is not State.IDLE:
            raise self._lost()
        self._state = State.OFFERING
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
        if self._state is not State.HELD or self._early is not None:
            early = self._early
            error = self._lost()
            self.abandon()
            if early is not None and early.code >= 400:  # noqa: PLR2004 - 4yz and 5yz, RFC 5321, section 4.2.1
                return early
            raise error
        self._state = State.DOT
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

    def quit(self) -> None:
        """Say QUIT and close without waiting for the answer."""
        if self._state is State.IDLE:
            self._channel.write(b"QUIT\r\n")
        self._close("closed by us", abort=False)

    @property
    def is_usable(self) -> bool:
        """Whether another mail can be offered."""
        return self._state is State.IDLE

    @property
    def has_following(self) -> bool:
        """Whether a mail went along with the last dot, so that `held` is to be asked next."""
        return self._following is not None

    def _reply_received(self, phase: Phase, lines: list[bytes]) -> None:
        if self._state is State.OFFERING:
            self._command_answered(phase, lines)
            return
        reply = parse_reply_text(lines, phase)
        if self._state is State.DOT:
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
            answer(waiter, refusal)
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
        self._state = State.IDLE
        self._disarm()
        if refusal.code == _CLOSING:
            self._waiter, waiter = None, self._waiter
            self.abandon()
            answer(waiter, refusal)
        else:
            self._resolve(refusal)

    def _send_body(self) -> None:
        self._state = State.BODY
        body, self._body = self._body, b""
        self._arm(self._timeouts.body)
        self._channel.write(body)
        if self._state is State.BODY and self._channel.get_write_buffer_size() == 0:
            self._hold()

    def _hold(self) -> None:
        self._state = State.HELD
        self._disarm()
        self._resolve(None)

    def resume_writing(self) -> None:
        """Learn that the buffer is empty: the body is with the operating system."""
        if self._state is State.BODY:
            self._hold()

    def _reply_unasked(self, reply: Reply) -> None:
        """Handle a reply to nothing: a refusal while the body flows or waits, or a server that speaks out of turn."""
        if self._state is State.BODY and reply.code >= 400:  # noqa: PLR2004 - 4yz and 5yz, RFC 5321, section 4.2.1
            self._waiter, waiter = None, self._waiter
            self.abandon()
            answer(waiter, reply)
        elif self._state is State.HELD:
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
            self._state = State.IDLE
        else:
            self._arm(self._timeouts.command)
            self._state = State.OFFERING
        answer(waiter, reply)

    def _fail(self, why: str) -> None:
        """Close, and raise in the waiters what the phase makes of it."""
        state, waiter, following = self._state, self._waiter, self._following
        phase = self._expected[0] if self._expected else Phase.BODY
        self._waiter = None
        self._close(why, abort=True)
        if state is State.DOT:
            fail(following, StaleConnectionError(f"nothing of this mail was answered: {why}"))
            fail(waiter, UnknownOutcomeError(f"no answer to the final dot: {why}"))
        elif state is State.OFFERING and self._refusal is not None:
            answer(waiter, self._refusal)  # the server's word on this mail; that it then closed says no more
        elif state is State.OFFERING and self.mail_count and phase in (Phase.RSET, Phase.MAIL):
            fail(waiter, StaleConnectionError(f"{phase}: {why}"))
        else:
            fail(waiter, TemporaryTransportError(f"{self.relay.host}, {phase}: {why}"))
