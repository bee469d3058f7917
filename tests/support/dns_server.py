"""A real name server on loopback: answers from a table, refuses or stays silent where told to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class DnsServer:
    """Records by name and type, in the words of a zone file; `silent` and `broken` are names."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """What MAILER_DNS_SERVERS is set to."""
        return f"127.0.0.1:{self.port}"

    def put(self, name: str, kind: str, *values: str) -> None:
        """Set the records of a name and type; a text is given bare."""
        self.records[name, kind] = [_quoted(value) if kind == "TXT" else value for value in values]

    def answer(self, wire: bytes) -> bytes | None:
        """Return the reply to a query, None for none."""
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        found = self.records.get((name, kind), [])
        if name in self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


def _quoted(text: str) -> str:
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255)) or '""'


@contextmanager
def run_dns_server() -> Iterator[DnsServer]:
    """Serve on a free port until the block ends."""
    server = DnsServer()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        server.port = door.getsockname()[1]
        thread = threading.Thread(target=_serve, args=(door, server), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knock:
                knock.sendto(b"", ("127.0.0.1", server.port))
            thread.join(10)


def _serve(door: socket.socket, server: DnsServer) -> None:
    while True:
        wire, sender = door.recvfrom(65_535)
        if not wire:
            return
        reply = server.answer(wire)
        if reply is not None:
            door.sendto(reply, sender)
