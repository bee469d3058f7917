"""The endpoint's own server: answers keep their order and wait for the disk; what is odd ends its connection."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from mailer import tokens
from mailer.context import Context
from mailer.tracking import http_server
from mailer.tracking.endpoint import PIXEL
from mailer.tracking.records import GET, HEAD, POST
from tests.tracking.http_site import URL, HttpSite, read_answers, request

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def site(ctx: Context) -> Iterator[HttpSite]:
    with HttpSite(ctx).running() as made:
        yield made


def test_one_connection_opens_clicks_and_presses(site: HttpSite) -> None:
    with site.connect() as wire:
        wire.sendall(request(site.pixel(), b"User-Agent: Mozilla/5.0 (X11)"))
        assert read_answers(wire, 1) == [("200 OK", PIXEL)]
        wire.sendall(request(site.link(0)))
        data = wire.recv(65_536)
        assert data.startswith(b"HTTP/1.1 302 Found\r\nDate: ")
        assert f"\r\nLocation: {URL}\r\n".encode() in data
        wire.sendall(request(site.link(1), b"Content-Length: 3", method=b"POST") + b"a=b")
        assert read_answers(wire, 1)[0][0] == "200 OK"
        wire.sendall(request(b"/login"))
        assert read_answers(wire, 1)[0][0] == "404 Not Found"

    hits = site.hits()
    assert [(hit.kind, hit.method) for hit in hits] == [
        (tokens.OPEN, GET), (tokens.CLICK, GET), (tokens.CLICK, POST),
    ]  # fmt: skip
    assert (hits[0].ip, hits[0].user_agent) == ("127.0.0.1", "Mozilla/5.0 (X11)")


def test_requests_sent_at_once_are_answered_in_their_order(site: HttpSite) -> None:
    with site.connect() as wire:
        wire.sendall(request(site.link(1)) + request(b"/nowhere") + request(site.pixel()) + request(site.link(0)))
        answers = read_answers(wire, 4)

    assert [status for status, _ in answers] == ["200 OK", "404 Not Found", "200 OK", "302 Found"]
    assert b"<button" in answers[0][1]


def test_a_request_may_come_byte_by_byte(site: HttpSite) -> None:
    with site.connect() as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(site.pixel()):
            wire.sendall(bytes([byte]))
        assert read_answers(wire, 1) == [("200 OK", PIXEL)]


def test_head_is_answered_without_a_body(site: HttpSite) -> None:
    with site.connect() as wire:
        wire.sendall(request(site.pixel(), b"Connection: close", method=b"HEAD"))
        answer = wire.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\nConnection: close\r\n\r\n")
    assert [hit.method for hit in site.hits()] == [HEAD]


def test_a_body_is_never_taken_for_a_request(site: HttpSite) -> None:
    hidden = request(site.pixel())
    length = f"Content-Length: {len(hidden)}".encode()
    with site.connect() as wire:
        wire.sendall(request(site.link(0), length, method=b"POST") + hidden + request(site.link(0)))
        assert [status for status, _ in read_answers(wire, 2)] == ["405 Method Not Allowed", "302 Found"]
    with site.connect() as wire:
        wire.sendall(request(site.link(0), b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\n\r\n" + hidden)
        assert wire.makefile("rb").read().startswith(b"HTTP/1.1 411 ")
    assert [hit.kind for hit in site.hits()] == [tokens.CLICK]


def test_a_head_without_end_is_refused(site: HttpSite) -> None:
    with site.connect() as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000)
        assert read_answers(wire, 1)[0][0] == "431 Request Header Fields Too Large"


def test_an_answer_waits_for_the_disk_and_who_comes_meanwhile_shares_the_next_sync(
    site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_sync, syncs, sync = threading.Event(), list[int](), os.fdatasync

    def slow(file: int) -> None:
        syncs.append(file)
        may_sync.wait(10)
        sync(file)

    monkeypatch.setattr(os, "fdatasync", slow)
    wires = [site.connect() for _ in range(20)]
    wires[0].sendall(request(site.pixel()))
    wires[0].settimeout(0.2)
    with pytest.raises(TimeoutError):
        wires[0].recv(1)
    for wire in wires[1:]:
        wire.sendall(request(site.pixel()))
    wires[0].settimeout(10)
    may_sync.set()

    assert [read_answers(wire, 1) for wire in wires] == [[("200 OK", PIXEL)]] * 20
    assert len(syncs) < 10
    assert len(site.hits()) == 20
    for wire in wires:
        wire.close()


def test_a_spool_that_fails_costs_a_reader_nothing_and_a_press_is_refused(site: HttpSite) -> None:
    site.ctx.settings.spool_dir.parent.mkdir(exist_ok=True)
    site.ctx.settings.spool_dir.write_text("a file where the folder should be")

    with site.connect() as wire:
        wire.sendall(request(site.pixel()) + request(site.link(1), method=b"POST"))
        assert [status for status, _ in read_answers(wire, 2)] == ["200 OK", "503 Service Unavailable"]


def test_a_request_that_fails_ends_no_other(site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError

    with site.connect() as wire:
        with monkeypatch.context() as broken:
            broken.setattr(site.links, "find", fail)
            wire.sendall(request(site.link(0)))
            assert read_answers(wire, 1)[0][0] == "500 Internal Server Error"
        wire.sendall(request(site.link(0)))
        assert read_answers(wire, 1)[0][0] == "302 Found"


def test_a_link_that_is_looked_for_keeps_nobody_waiting(site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    find, go_on = site.links.find, threading.Event()

    def slow(message_id: int, link: int, *, wait_seconds: float = 0.0) -> object:
        if wait_seconds:
            go_on.wait(20)
        return find(message_id, link)

    monkeypatch.setattr(site.links, "find", slow)
    with site.connect() as first, site.connect() as second:
        second.settimeout(5)
        first.sendall(request(site.link(7)))
        second.sendall(request(site.pixel()))
        assert read_answers(second, 1) == [("200 OK", PIXEL)]
        go_on.set()
        assert read_answers(first, 1)[0][0] == "503 Service Unavailable"


@pytest.mark.parametrize("sent", [b"", b"GET /o/"])
def test_a_silent_connection_is_closed(ctx: Context, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(http_server, "_LOOK_EVERY", 0.05)
    with HttpSite(ctx).running() as site, site.connect() as wire:
        wire.sendall(sent)
        begun = time.monotonic()
        assert is_hung_up(wire)
        assert time.monotonic() - begun > 0.2


def test_more_connections_than_there_is_room_for_are_turned_away(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_SESSIONS", 1)
    with HttpSite(ctx).running() as site, site.connect() as first:
        first.sendall(request(site.pixel()))
        assert read_answers(first, 1) == [("200 OK", PIXEL)]
        with site.connect() as second:
            assert is_hung_up(second)
        first.sendall(request(site.pixel()))
        assert read_answers(first, 1) == [("200 OK", PIXEL)]


def is_hung_up(wire: socket.socket) -> bool:
    """Wait until the server ends a connection; whether it said nothing before."""
    try:
        return wire.recv(1) == b""
    except ConnectionResetError:
        return True
