"""Ports of the embedded default: kept in the data folder once chosen, because mailed links must live on."""

import fcntl
import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailer.errors import ConflictError, InputError

NAMES = ("web", "catcher", "listen")
FIRST = {"web": 8025, "catcher": 8125, "listen": 8225}
_TRIES = 200


@contextmanager
def choosing() -> Iterator[None]:
    """Let one installation of this machine at a time choose its ports and begin to listen on them."""
    try:
        file = (Path(tempfile.gettempdir()) / "mailer-ports.lock").open("ab")
    except OSError:  # another user's: two users who start in the same second are told by the failing child
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
    path = data_dir / "ports.json"
    kept = _read(path)
    chosen: dict[str, int] = {}
    for name in NAMES:
        address = host if name == "web" else "127.0.0.1"
        if name == "web" and web_port is not None:
            if not is_free(address, web_port):
                raise InputError(f"port {web_port} is taken", where="--port", mend="name another, or leave it out")
            chosen[name] = web_port
        elif name in kept:
            if not is_free(address, kept[name]):
                raise ConflictError(
                    f"port {kept[name]}, on which mailed links lead to this installation, is taken",
                    mend="end what listens there, or give another with --port",
                )
            chosen[name] = kept[name]
        else:
            chosen[name] = _next_free(address, FIRST[name], set(chosen.values()))
    path.write_text(json.dumps(chosen), encoding="ascii")
    return chosen


def _read(path: Path) -> dict[str, int]:
    try:
        return {name: int(port) for name, port in json.loads(path.read_text(encoding="ascii")).items()}
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


def _next_free(host: str, first: int, taken: set[int]) -> int:
    for port in range(first, first + _TRIES):
        if port not in taken and is_free(host, port):
            return port
    raise ConflictError(f"no free port from {first} to {first + _TRIES}", mend="give one with --port")
