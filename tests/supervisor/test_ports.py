"""Ports: kept, next free, refused; one installation chooses at a time."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from mailer.errors import ConflictError, InputError
from mailer.supervisor.ports import choose_port, choose_ports, choosing, read_ports


def test_chosen_ports_are_free_different_and_kept(tmp_path: Path) -> None:
    first = choose_ports(tmp_path, "127.0.0.1")

    assert len(set(first.values())) == 3
    assert choose_ports(tmp_path, "127.0.0.1") == first


def test_taken_port_is_passed_over_where_nobody_asked_for_it(tmp_path: Path) -> None:
    first = choose_ports(tmp_path / "..", "127.0.0.1")["catcher"]
    (tmp_path / ".." / "ports.json").unlink()
    with socket.create_server(("127.0.0.1", first)):
        assert choose_ports(tmp_path, "127.0.0.1")["catcher"] != first


def test_asked_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="taken"):
        choose_ports(tmp_path, "127.0.0.1", web_port=taken.getsockname()[1])


def test_kept_port_that_is_taken_is_refused_because_links_lead_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "ports.json").write_text(json.dumps({"web": taken.getsockname()[1]}), encoding="ascii")
        with pytest.raises(ConflictError, match="mailed links"):
            choose_ports(tmp_path, "127.0.0.1")


def test_process_that_runs_alone_keeps_its_port_beside_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    first = choose_port(folder, "listen", "127.0.0.1")

    assert choose_port(folder, "listen", "127.0.0.1") == first
    assert choose_port(folder, "catcher", "127.0.0.1") != first
    assert read_ports(folder)["listen"] == first
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="taken"):
        choose_port(folder, "listen", "127.0.0.1", asked=taken.getsockname()[1])


def test_two_installations_choose_one_after_the_other() -> None:
    order: list[str] = []

    def second() -> None:
        with choosing():
            order.append("second")

    with choosing():
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.2)
        order.append("first")
    other.join(5)

    assert order == ["first", "second"]
