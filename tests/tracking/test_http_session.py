"""A client that does not read its answers, or sends more than it may, is read no further until it does."""

import asyncio

from mailer.tracking.endpoint import Decision
from mailer.tracking.http_session import Session
from tests.tracking.http_site import request

OK = Decision("200 OK", (("Content-Length", "0"),))


class Wire(asyncio.Transport):
    """The other end, which only notes what it is told."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 1)})
        self.said = list[str]()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return "close" in self.said

    def pause_reading(self) -> None:
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")

    def close(self) -> None:
        self.said.append("close")


def begin() -> tuple[Session, Wire, list[str]]:
    wire, asked = Wire(), list[str]()
    session = Session(lambda _, environ: asked.append(environ["PATH_INFO"]), set(), 1)
    session.connection_made(wire)
    return session, wire, asked


def test_nothing_is_asked_for_a_client_that_reads_no_answers() -> None:
    session, _, asked = begin()
    session.pause_writing()
    session.data_received(request(b"/a") + request(b"/b"))
    assert asked == []

    session.resume_writing()
    assert asked == ["/a"]
    session.answer(OK)
    assert asked == ["/a", "/b"]


def test_who_sends_on_without_waiting_is_read_no_further() -> None:
    session, wire, asked = begin()
    session.data_received(request(b"/a"))
    for _ in range(40):
        session.data_received(request(b"/b", b"A: " + b"x" * 4_000))

    assert wire.said == ["pause"]
    session.answer(OK)
    assert wire.said == ["pause", "resume"]
    assert asked == ["/a", "/b"]


def test_nobody_is_told_the_name_of_another_client() -> None:
    said = list[dict[str, str]]()
    session = Session(lambda _, environ: said.append(environ), set(), 1)
    session.connection_made(Wire())
    session.data_received(request(b"/a", b"Remote-Addr: 127.0.0.1"))

    assert said[0]["REMOTE_ADDR"] == "192.0.2.7"
