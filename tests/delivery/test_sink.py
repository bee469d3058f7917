"""The sink that benches and trials rely on does what it says: logs first, answers late where told, plays faults."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.sink_faults import parse_faults
from tests.chaos.rig import ROOT, run_sink_process
from tests.support.fault_sink import read_log, run_sinks

GROUP = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
BODY = b"Message-ID: <one@example.com>\r\nSubject: x\r\n\r\nHello\r\n..\r\n"


@contextmanager
def _session(port: int) -> Iterator[Any]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as replies:
        assert replies.readline().startswith(b"220")
        connection.sendall(b"EHLO test\r\n")
        while replies.readline()[3:4] == b"-":
            pass
        yield connection, replies


def _hand_over(connection: socket.socket, replies: Any) -> None:
    connection.sendall(GROUP)
    assert [replies.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    connection.sendall(BODY)


def test_a_mail_is_in_the_log_when_its_answer_arrives(tmp_path: Path) -> None:
    with run_sink_process(tmp_path / "log") as sink, _session(sink.port) as (connection, replies):
        _hand_over(connection, replies)
        connection.sendall(b".\r\n" + GROUP)
        assert replies.readline().startswith(b"250 2.0.0")
        (line,) = read_log(sink.log)
        assert (line.verdict, line.message_id, line.recipient) == ("250", "one@example.com", "b@example.com")
        assert [replies.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        assert sink.order(ask="counters")["mails"] == 1


def test_each_batch_of_commands_is_answered_so_many_milliseconds_later(tmp_path: Path) -> None:
    with run_sink_process(tmp_path / "log", None, "--latency", "50") as sink, _session(sink.port) as (wire, replies):
        began = time.monotonic()
        _hand_over(wire, replies)
        wire.sendall(b".\r\n")
        replies.readline()
        assert 0.1 <= time.monotonic() - began < 1


def test_a_dropped_mail_is_in_the_log_and_has_no_answer(tmp_path: Path) -> None:
    drop = {"rules": [{"at": "dot", "do": "drop", "match": "b@*", "times": 1}]}
    with run_sink_process(tmp_path / "log", drop) as sink:
        with _session(sink.port) as (connection, replies):
            _hand_over(connection, replies)
            connection.sendall(b".\r\n")
            assert replies.readline() == b""
        assert [line.verdict for line in read_log(sink.log)] == ["drop"]
        with _session(sink.port) as (connection, replies):
            _hand_over(connection, replies)
            connection.sendall(b".\r\n")
            assert replies.readline().startswith(b"250")


def test_the_sink_ends_with_who_started_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["port"]
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.mark.parametrize(
    "wrong", [{"rules": [{"at": "nowhere", "do": "close"}]}, {"rules": [{"at": "dot", "do": "reply"}]}, {"rule": []}]
)
def test_faults_that_nobody_knows_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown|needs"):
        parse_faults(wrong)


class _LateTimers:
    """A loop whose every third timer is late, as when the system takes the thread away while one is being set."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_at(self, when: float, *call: Any) -> Any:
        self._count += 1
        return self._loop.call_at(when + 0.01 * (self._count % 3 == 0), *call)


def test_bytes_of_a_split_answer_keep_their_order_whichever_timer_is_late(tmp_path: Path) -> None:
    with run_sinks() as sinks:
        server = sinks.start(tmp_path / "log", {"rules": [{"at": "rcpt", "do": "split"}]})
        with _session(server.port) as (connection, replies):
            for session in server.sink.sessions:
                session._loop = _LateTimers(session._loop)
            _hand_over(connection, replies)
            connection.sendall(b".\r\n" + GROUP)
            assert [replies.readline() for _ in range(4)] == [
                b"250 2.0.0 Ok\r\n", b"250 2.1.0 Ok\r\n", b"250 2.1.5 Ok\r\n", b"354 End with a dot\r\n",
            ]  # fmt: skip
