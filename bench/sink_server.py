"""The sink's side of SMTP (RFC 5321, RFC 2920): takes mail, throws it away, and plays the faults it was given.

Fast where nothing is to be played: a group of commands is answered as one, a body is searched for its end in the chunks
that arrive, and no line is looked at. Each mail taken is written to the log before its 250 leaves.
"""

import asyncio
import os
import socket
import ssl
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from bench.sink_faults import Action, Faults, Rule

GROUP = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End with a dot\r\n"
TAKEN = b"250 2.0.0 Ok\r\n"
END = b"\r\n.\r\n"
USUAL = {
    "greeting": "220 sink.example.com ESMTP",
    "starttls": "220 2.0.0 Go ahead",
    "auth": "235 2.7.0 Welcome",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 End with a dot",
    "dot": "250 2.0.0 Ok",
    "quit": "221 2.0.0 Bye",
}
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 52428800")
HEAD_BYTES = 16_384


@dataclass
class Counters:
    """What the sink saw. `mails`: taken; `dots`: ends of data, refused ones too; `torn`: bodies without their dot."""

    connections: int = 0
    open: int = 0
    most_open: int = 0
    mails: int = 0
    dots: int = 0
    refused: int = 0
    dropped: int = 0
    torn: int = 0
    faults: int = 0
    bytes: int = 0


@dataclass
class Sink:
    """What all sessions share. `log` is the file descriptor of the log, or None; `latency` in seconds."""

    faults: Faults = field(default_factory=Faults)
    latency: float = 0.0
    log: int | None = None
    tls: ssl.SSLContext | None = None
    auth: bool = False
    counters: Counters = field(default_factory=Counters)
    sessions: "set[Session]" = field(default_factory=set)

    def write_log(self, verdict: str, sender: str, recipients: list[str], head: bytes, size: int) -> None:
        """Append one line, tab-separated: wall ns, monotonic ns, verdict, Message-ID, recipients, sender, bytes."""
        if self.log is None:
            return
        name = ",".join(recipients)
        line = f"{time.time_ns()}\t{time.monotonic_ns()}\t{verdict}\t{message_id_of(head)}\t{name}\t{sender}\t{size}\n"
        os.write(self.log, line.encode("utf-8", "surrogateescape"))


def message_id_of(head: bytes) -> str:
    """Return the Message-ID that a header names, without its brackets; empty where there is none."""
    start = head.find(b"\r\nMessage-ID:")
    if start < 0:
        start = head.lower().find(b"\r\nmessage-id:")
    if start < 0:
        return ""
    end = head.find(b"\r\n", start + 13)
    return head[start + 13 : end].strip().strip(b"<>").decode("ascii", "replace")


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer = b""
        self._is_body = self._is_deaf = self._is_secure = self._is_known = False
        self._tail = b""
        self._head = b""
        self._size = 0
        self._group = b""
        self._sender = ""
        self._recipients: list[str] = []
        self._body_rule: Rule | None = None
        self._answered: set[str] = set()
        self._ready_at = 0.0
        self._unwritten: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        if self in self.sink.sessions:  # the same client again, behind TLS
            return
        counters = self.sink.counters
        self.sink.sessions.add(self)
        counters.connections += 1
        counters.open += 1
        counters.most_open = max(counters.most_open, counters.open)
        self._answer("greeting")

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count; a body whose dot never came is thrown away (RFC 5321, section 4.1.1.4)."""
        self.sink.sessions.discard(self)
        self.sink.counters.open -= 1
        self.sink.counters.torn += self._is_body
        self._is_deaf = True

    def data_received(self, data: bytes) -> None:
        """Take what came, body or commands."""
        if self._is_deaf:
            return
        if self._is_body:
            self._take_body(data)
        elif (
            not self._buffer
            and not self.sink.faults.rules
            and data.startswith(b"MAIL FROM:<")
            and data.endswith(b"\r\nDATA\r\n")
            and data.count(b"\n") == 3
        ):
            self._group = data
            self._begin_body()
            self._write(GROUP)
        else:
            self._take_lines(data)

    def close(self) -> None:
        """Close at once, whatever is going on."""
        self._unwritten.clear()
        self._end_now(abort=False)

    # ------------------------------------------------------------------ bodies

    def _begin_body(self) -> None:
        self._is_body = True
        self._tail = b"\r\n"  # so that a body may begin with its end
        self._head = b"\r\n"
        self._size = 0
        self._body_rule = None

    def _take_body(self, data: bytes) -> None:
        if self.sink.faults.rules and self._size == 0 and self._play_body():
            return
        if self.sink.log is not None and len(self._head) < HEAD_BYTES:
            self._head += data
        joined = self._tail + data
        end = joined.find(END)
        if end < 0:
            self._size += len(data)
            self._tail = joined[-4:]
            return
        self._is_body = False
        self._size += end + 5 - len(self._tail)
        rest = joined[end + 5 :]
        self._end_body()
        if rest and not self._is_deaf:
            self.data_received(rest)

    def _play_body(self) -> bool:
        """Play what is due when the body's first bytes come; True where the rest is not wanted."""
        name = self._recipients[0] if self._recipients else ""
        rule = self.sink.faults.find("body", name)
        if rule is not None:
            self._body_rule = rule
            self._play("body", rule)
            return self._is_deaf
        early = self.sink.faults.find("dot", name, early=True)
        if early is not None:
            self._say_early("dot", early)
        return False

    def _end_body(self) -> None:
        counters = self.sink.counters
        counters.dots += 1
        if self.sink.faults.rules:
            self._end_with_faults()
            return
        counters.mails += 1
        counters.bytes += self._size
        if self.sink.log is not None:
            self._read_group()
            self.sink.write_log("250", self._sender, self._recipients, self._head, self._size)
        self._forget_envelope()
        self._write(TAKEN)

    def _end_with_faults(self) -> None:
        self._read_group()
        name = self._recipients[0] if self._recipients else ""
        refused_in_body = self._body_rule is not None and self._body_rule.do is Action.REPLY
        rule = None if self._body_rule is not None else self.sink.faults.find("dot", name)
        reply = rule.text if rule is not None and rule.text else "250"
        is_taken = not refused_in_body and reply.startswith("2")
        if rule is not None and rule.do in (Action.CLOSE, Action.RST, Action.STALL, Action.GARBAGE):
            is_taken, reply = False, rule.do.value
        if is_taken:
            self.sink.counters.mails += 1
            self.sink.counters.bytes += self._size
        else:
            self.sink.counters.refused += 1
        verdict = "refused in body" if refused_in_body else "drop" if _is(rule, Action.DROP) else reply
        self.sink.write_log(verdict, self._sender, self._recipients, self._head, self._size)
        self._forget_envelope()
        if self._body_rule is None:
            self._answer_with("dot", rule)
            self._look_ahead("quit")

    def _read_group(self) -> None:
        """Read the envelope out of a group that was answered unread."""
        if self._group:
            lines = self._group.split(b"\r\n")
            self._sender, self._recipients = _path(lines[0]), [_path(lines[1])]

    def _forget_envelope(self) -> None:
        self._group, self._sender, self._recipients = b"", "", []

    # ------------------------------------------------------------------ commands

    def _take_lines(self, data: bytes) -> None:
        data = self._buffer + data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start : end + 1]
            start = end + 1
            self._buffer = b""
            self._take_line(line)
            if self._is_deaf:
                return
            if self._is_body:
                if start < len(data):
                    self._take_body(data[start:])
                return
        self._buffer = data[start:]

    def _take_line(self, line: bytes) -> None:  # noqa: C901 - a table of verbs
        verb = line[:4].upper().strip()
        if verb in (b"EHLO", b"HELO"):
            self._answer("ehlo")
            self._look_ahead(self._after_ehlo())
        elif verb == b"STAR" and self.sink.tls is not None:
            rule = self.sink.faults.find("starttls")
            self._answer_with("starttls", rule)
            if not self._is_deaf and not self._is_secure and not _refuses(rule):
                self._secure(self.sink.tls)
        elif verb == b"AUTH":
            self._is_known = True
            self._answer("auth")
            self._look_ahead("mail")
        elif verb == b"MAIL":
            self._mail(_path(line))
        elif verb == b"RCPT":
            self._rcpt(_path(line))
        elif verb == b"DATA":
            self._data()
        elif verb == b"QUIT":
            self._answer("quit")
            if not self._is_deaf:
                self._end(abort=False)
        elif verb in (b"RSET", b"NOOP"):
            self._forget_envelope()
            self._write(b"250 2.0.0 Ok\r\n")
        else:
            self._write(b"502 5.5.2 Not known\r\n")

    def _after_ehlo(self) -> str:
        if self.sink.tls is not None and not self._is_secure:
            return "starttls"
        return "auth" if self.sink.auth and not self._is_known else "mail"

    def _mail(self, sender: str) -> None:
        self._forget_envelope()
        rule = self.sink.faults.find("mail", sender)
        if not _refuses(rule):
            self._sender = sender or "<>"
        self._answer_with("mail", rule)
        self._look_ahead("rcpt")

    def _rcpt(self, recipient: str) -> None:
        if not self._sender:
            self._write(b"503 5.5.1 MAIL first\r\n")
            return
        rule = self.sink.faults.find("rcpt", recipient)
        if not _refuses(rule):
            self._recipients.append(recipient)
        self._answer_with("rcpt", rule)
        self._look_ahead("data")

    def _data(self) -> None:
        if not self._recipients:
            self._write(b"554 5.5.1 No valid recipients\r\n" if self._sender else b"503 5.5.1 MAIL first\r\n")
            return
        rule = self.sink.faults.find("data", self._recipients[0])
        if not _refuses(rule):
            self._begin_body()
        self._answer_with("data", rule)

    def _secure(self, tls: ssl.SSLContext) -> None:
        """Let TLS begin; what comes from here on is the handshake's."""
        self._is_secure = True
        self._transport.pause_reading()
        if self._ready_at > self._loop.time() - 0.01:  # the answer is still on its way
            self._loop.call_at(self._ready_at + 0.02, self._secure, tls)
            return
        asyncio.ensure_future(self._handshake(tls))  # noqa: RUF006 - it holds this session, and the loop holds it

    async def _handshake(self, tls: ssl.SSLContext) -> None:
        try:
            secured = await self._loop.start_tls(self._transport, self, tls, server_side=True)
        except (OSError, ssl.SSLError):
            return
        if secured is not None:
            self._transport = secured

    # ------------------------------------------------------------------ answers

    def _answer(self, phase: str) -> None:
        self._answer_with(phase, self.sink.faults.find(phase))
        if phase == "greeting":
            self._look_ahead("ehlo")

    def _answer_with(self, phase: str, rule: Rule | None) -> None:
        if rule is not None:
            self._play(phase, rule)
        elif phase in self._answered:
            self._answered.discard(phase)
        else:
            self._write(self._usual(phase))

    def _look_ahead(self, phase: str) -> None:
        """Answer the next command before it comes, where a rule wants that."""
        if self.sink.faults.rules and not self._is_deaf:
            rule = self.sink.faults.find(phase, self._recipients[0] if self._recipients else "", early=True)
            if rule is not None:
                self._say_early(phase, rule)

    def _say_early(self, phase: str, rule: Rule) -> None:
        self.sink.counters.faults += 1
        self._answered.add(phase)
        self._write(self._text(phase, rule))

    def _usual(self, phase: str) -> bytes:
        if phase != "ehlo":
            return f"{USUAL[phase]}\r\n".encode()
        own = self.sink.faults.extensions
        words = list(EXTENSIONS if own is None else own)
        if self.sink.tls is not None and not self._is_secure:
            words.append("STARTTLS")
        if self.sink.auth:
            words.append("AUTH PLAIN")
        lines = ["sink.example.com", *words]
        return "".join(f"250{'-' if line is not lines[-1] else ' '}{line}\r\n" for line in lines).encode()

    def _text(self, phase: str, rule: Rule) -> bytes:
        return f"{rule.text}\r\n".encode() if rule.text else self._usual("dot" if phase == "body" else phase)

    def _play(self, phase: str, rule: Rule) -> None:
        self.sink.counters.faults += 1
        if rule.do is Action.REPLY:
            self._write(self._text(phase, rule))
            if rule.text.startswith("421"):
                self._take_leave(phase)
        elif rule.do in (Action.SPLIT, Action.SLOW):
            pause = 0.002 if rule.do is Action.SPLIT else rule.seconds
            for byte in self._text(phase, rule):
                self._write(bytes([byte]), pause)
        elif rule.do is Action.DELAY:
            self._write(self._text(phase, rule), rule.seconds)
        elif rule.do is Action.GARBAGE:
            self._write(b"\x00\xff\xfe neither number nor words \x80\x81\r\n")
        elif rule.do is Action.HUGE:
            self._write(b"250 " + b"x" * 2_000_000 + b"\r\n")
        elif rule.do is Action.STALL:
            self._is_deaf = True
        else:
            self.sink.counters.dropped += rule.do is Action.DROP
            self._end(abort=rule.do is Action.RST)

    def _take_leave(self, phase: str) -> None:
        """Close after a 421; in the middle of a body only our side, since unread bytes would make it an RST."""
        if phase == "body":
            self._is_deaf = True
            self._transport.write_eof()
        else:
            self._end(abort=False)

    def _write(self, data: bytes, pause: float = 0.0) -> None:
        """Write now, or `latency` after what is answered here arrived, or `pause` after what was written last."""
        wait = pause or self.sink.latency
        if not wait and not self._ready_at:
            self._transport.write(data)
            return
        now = self._loop.time()
        self._ready_at = max(self._ready_at + pause, now + wait)
        self._unwritten.append(data)
        self._loop.call_at(self._ready_at, self._write_oldest)

    def _write_oldest(self) -> None:
        """Write what waits longest: uvloop may run two timers in either order where one was set late."""
        if self._unwritten and not self._transport.is_closing():
            self._transport.write(self._unwritten.popleft())

    def _end(self, *, abort: bool) -> None:
        """Close after what is still to be written; with RST where `abort`."""
        self._is_deaf = True
        if self._ready_at > self._loop.time():
            self._loop.call_at(self._ready_at + 0.001, self._end_now, abort)
        else:
            self._end_now(abort)

    def _end_now(self, abort: bool) -> None:  # noqa: FBT001 - a callback of the loop's
        if self._unwritten and not self._transport.is_closing():
            self._loop.call_later(0.001, self._end_now, abort)
            return
        if abort:
            plain = self._transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()


def _refuses(rule: Rule | None) -> bool:
    """Whether the phase ends without a yes."""
    if rule is None or rule.do in (Action.SPLIT, Action.SLOW, Action.DELAY, Action.EARLY):
        return rule is not None and rule.text[:1] in ("4", "5")
    return not (rule.do is Action.REPLY and rule.text[:1] in ("2", "3"))


def _is(rule: Rule | None, action: Action) -> bool:
    return rule is not None and rule.do is action


def _path(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")
