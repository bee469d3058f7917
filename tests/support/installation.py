"""A real installation in a temporary folder: `mailer up` as its own process, commands as a person types them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.lifeline import dying_with_us

UP_SECONDS = 90
COMMAND = [sys.executable, "-m", "mailer.cli.main"]


@dataclass
class Installation:
    """Where it lives and what its processes are told."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    said: str = ""

    def start(self, *arguments: str) -> None:
        """Start `mailer up` and wait until it says where it is."""
        self.process = subprocess.Popen(
            [*COMMAND, "up", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509 - as in lifeline.py
        )
        assert self.process.stdout is not None
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, f"`mailer up` ended: {self.said}"
            self.said += line

    @property
    def address(self) -> str:
        """Where the pages are."""
        return self.said.partition("mailer is at ")[2].split()[0]

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; its exit code must be `code`."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return the document it prints."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def lines(self, *arguments: str) -> list[Any]:
        """Run a command with --json and return the documents it prints, one a line."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]

    def children(self) -> dict[str, int]:
        """Return the process ids of the supervisor's children by name."""
        assert self.process is not None
        return dict(_children_of(self.process.pid))

    def family(self) -> list[int]:
        """Return the ids of every process of this installation that lives, found by its data folder."""
        return [pid for pid in _pids() if self._is_mine(pid)]

    def _is_mine(self, pid: int) -> bool:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z" and f"MAILER_DATA_DIR={self.folder}".encode() in environment.split(b"\0")

    def stop(self) -> None:
        """Ask it to end, and make sure."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate(timeout=10)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _children_of(parent: int) -> Iterator[tuple[str, int]]:
    for pid in _pids():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(stat[1]) == parent and b"run" in words:
            yield words[words.index(b"run") + 1].decode(), pid


def wait_until(what: str, is_there: Callable[[], object], seconds: float = 60, *, pause: float = 0.1) -> None:
    """Wait for something that other processes do; AssertionError names it. `pause` between two looks, in seconds."""
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(pause)


@contextmanager
def installed(folder: Path, **settings: str) -> Iterator[Installation]:
    """Yield an installation that is not started yet; whatever it starts ends with the block."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "MAILER_DATA_DIR": str(folder),
        **{f"MAILER_{name.upper()}": value for name, value in settings.items()},
    }
    installation = Installation(folder, environment)
    try:
        yield installation
    finally:
        installation.stop()
        for pid in installation.family():
            os.kill(pid, signal.SIGKILL)
