"""Ports of the embedded default: kept in the data folder once chosen, because mailed links must live on."""

import fcntl
import json
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from mailer.errors import ConflictError, InputError
from mailer.settings import SHARED_TEMP

NAMES = ("web", "catcher", "listen")
FIRST = {"web": 8025, "catcher": 8125, "listen": 8225}
_TRIES = 200


@contextmanager
def choosing() -> Iterator[None]:
    """Let one installation of this user at a time choose its ports and begin to listen on them."""
    try:
        file = (SHARED_TEMP / f"mailer-ports-{os.getuid()}.lock").open("ab")
    except OSError:  # no room for it: two that start in the same second are told by the failing child
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def choose_ports(data_dir: Path, host: str, *, web_port: int | None = None) -> dict[str, int]:
    """Return the port of each server: the asked one, else the kept one, else the next free one; then kept.

    Raises:
        InputError: the asked port is taken.
        ConflictError: a kept port is taken by somebody else.
    """
    kept = read_ports(data_dir)
    chosen: dict[str, int] = {}
    for name in NAMES:
        address, asked = (host, web_port) if name == "web" else ("127.0.0.1", None)
        chosen[name] = _choose(name, address, asked, kept, set(chosen.values()))
    _file(data_dir).write_text(json.dumps(chosen), encoding="ascii")
    return chosen


def choose_port(data_dir: Path, name: str, host: str, *, asked: int | None = None) -> int:
    """Return the port of one server that runs without `mailer up`, chosen and kept in the same way.

    Raises:
        InputError: the asked port is taken.
        ConflictError: the kept port is taken by somebody else.
    """
    with choosing():
        kept = read_ports(data_dir)
        port = _choose(name, host, asked, kept, {number for other, number in kept.items() if other != name})
        with suppress(OSError) if asked else nullcontext():  # a named port serves from a read-only folder too
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            _file(data_dir).write_text(json.dumps(kept | {name: port}), encoding="ascii")
    return port


def _choose(name: str, host: str, asked: int | None, kept: Mapping[str, int], others: Collection[int]) -> int:
    if asked is not None:
        if not is_free(host, asked):
            raise InputError(f"port {asked} is taken", where="--port", mend="name another, or leave it out")
        return asked
    if name in kept and is_free(host, kept[name]):
        return kept[name]
    if name in kept and name == "web":
        raise ConflictError(
            f"port {kept[name]}, on which mailed links lead to this installation, is taken",
            mend="end what listens there, or give another with --port",
        )
    return _next_free(host, FIRST[name], others)


def _file(data_dir: Path) -> Path:
    return data_dir / "ports.json"


def read_ports(data_dir: Path) -> dict[str, int]:
    """Return the ports that are kept in a data folder, by process."""
    try:
        return {name: int(port) for name, port in json.loads(_file(data_dir).read_text(encoding="ascii")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def is_free(host: str, port: int) -> bool:
    """Whether nothing listens on the port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _next_free(host: str, first: int, taken: Collection[int]) -> int:
    for port in range(first, first + _TRIES):
        if port not in taken and is_free(host, port):
            return port
    raise ConflictError(f"no free port from {first} to {first + _TRIES}", mend="give one with --port")
