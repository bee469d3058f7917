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

from bench.sink_faults import Action, Faults, Rule, parse_faults
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


class _Late(Faults):
    """Takes its time, so that the loop is late when an answer is put on its way."""

    def find(self, phase: str, address: str = "", *, early: bool = False) -> Rule | None:
        time.sleep(0.005)
        return super().find(phase, address, early=early)


def test_bytes_of_a_slow_answer_keep_their_order_when_the_loop_is_late(tmp_path: Path) -> None:
    commands = b"EHLO test\r\n" + GROUP
    with run_sinks() as sinks:
        usual = _talk(sinks.start(tmp_path / "usual", {}).port, commands)
        server = sinks.start(tmp_path / "split", {})
        server.sink.faults = _Late([Rule("ehlo", Action.SPLIT)])
        assert _talk(server.port, commands) == usual


def _talk(port: int, commands: bytes) -> bytes:
    """Send everything at once and return what is answered until a 354."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(commands)
        while b"354" not in said or not said.endswith(b"\n"):
            said += connection.recv(4_096)
    return said
