"""A field of processes for one trial: a stable of workers, a sink, a database, a broker, and the history of it all."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from mailer.context import Context
from mailer.delivery.transport_service import TransportValues, add_transport
from tests.chaos.history import check
from tests.chaos.scene import Scene, count_states, is_finished, open_context, read_history

ROOT = Path(__file__).parents[2]


@dataclass
class SinkProcess:
    """`python -m bench.sink`, told what to do through its standard input."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def order(self, **orders: Any) -> dict[str, Any]:
        """Give an order; return the counters it answers with."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(orders) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer
        return answer


@contextmanager
def run_sink_process(log: Path, faults: dict[str, Any] | None = None, *arguments: str) -> Iterator[SinkProcess]:
    """Run a sink for a block."""
    command = [sys.executable, "-m", "bench.sink", "--log", str(log), "--faults", json.dumps(faults or {}), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield SinkProcess(process, json.loads(process.stdout.readline())["port"], log)
        finally:
            process.stdin.close()
            process.wait(10)


@dataclass
class StableProcess:
    """`python -m tests.chaos.stable`: one a test process, shared by its trials."""

    process: subprocess.Popen[str]
    turn: threading.Lock = field(default_factory=threading.Lock)

    def order(self, **order: Any) -> int:
        """Have a worker forked; return its process id. Threads of a trial take turns: an answer has no name on it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.turn:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return int(self.process.stdout.readline())


@contextmanager
def run_stable() -> Iterator[StableProcess]:
    """Run a stable for a block; its workers end with it."""
    command = [sys.executable, "-m", "tests.chaos.stable"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield StableProcess(process)
        process.stdin.close()
        process.wait(10)


@dataclass
class Stable:
    """The workers of one trial (stable.py)."""

    process: StableProcess
    settings: dict[str, Any]
    notes: Path
    living: dict[int, dict[str, Any]] = field(default_factory=dict)

    def start(self, role: str, **order: Any) -> int:
        """Start a worker; return its process id."""
        pid = self.process.order(role=role, settings=self.settings, notes=str(self.notes), **order)
        self.living[pid] = {"role": role, **order}
        return pid

    def send(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a worker of ours, if it still lives."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def kill(self, pid: int) -> dict[str, Any]:
        """End a worker without a word; return what it was started with."""
        self.send(pid, signal.SIGKILL)
        return self.living.pop(pid)

    def is_alive(self, pid: int) -> bool:
        """Whether a worker still runs."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def wait(self, pid: int, seconds: float = 30) -> None:
        """Wait until a worker has ended."""
        wait_for(f"the end of worker {pid}", lambda: not self.is_alive(pid), seconds)
        self.living.pop(pid, None)

    def kill_all(self) -> None:
        """End every worker."""
        for pid in list(self.living):
            self.kill(pid)
            wait_for("the end of a killed worker", lambda pid=pid: not self.is_alive(pid))  # type: ignore[misc]

    def read_notes(self) -> list[dict[str, Any]]:
        """Return what the workers noted; a torn last line of a killed process is left out."""
        if not self.notes.exists():
            return []
        return [json.loads(line) for line in self.notes.read_text().splitlines() if line.endswith("}")]


@dataclass
class Field:
    """Everything of one trial."""

    ctx: Context
    sink: SinkProcess
    stable: Stable
    seed: int
    chance: random.Random

    def note(self, **values: object) -> None:
        """Note what the trial itself did, beside its workers' notes."""
        with self.stable.notes.open("a") as notes:
            notes.write(json.dumps(values) + "\n")

    @contextmanager
    def another_sink(self, faults: dict[str, Any]) -> Iterator[SinkProcess]:
        """Run a second server, with a log of its own."""
        with run_sink_process(self.sink.log.with_name("another.log"), faults) as sink:
            yield sink

    def use_relays(self, relays: list[tuple[int, int]], *, rate_per_second: int | None = None) -> None:
        """Share mails out over servers of this machine: (port, connections) of each; a rate is one for each."""
        rate = str(rate_per_second or "")
        for number, (port, connections) in enumerate(relays):
            url = f"smtp://127.0.0.1:{port}?starttls=no"
            values = TransportValues(name=f"relay{number}", url=url, connections=str(connections), rate_per_second=rate)
            add_transport(self.ctx, values)

    def verdict(self, scene: Scene, *, finished: bool = True) -> list[str]:
        """Return every promise that was broken; print what the trial came to."""
        history = read_history(self.ctx, scene, self.sink.log, self.stable.read_notes(), is_finished=finished)
        violations = check(history)
        unknown = [row for row in history.rows if row.state == "unknown"]
        print(
            f"audience={history.audience} states={dict(count_states(self.ctx, scene))}"
            f" unknown_that_arrived={sum(history.taken.get(row.id, 0) > 0 for row in unknown)}"
            f" copies_too_many={sum(max(0, count - 1) for count in history.taken.values())}"
            f" withdrawn={len(history.withdrawn)} gates={len(history.gates)} violations={len(violations)}"
        )
        return violations

    def wait_finished(self, *scenes: Scene, seconds: float = 60) -> None:
        """Wait until sendings say that they are finished."""
        for scene in scenes:
            wait_for(
                f"the end of sending {scene.sending_id}",
                lambda scene=scene: self._is_finished(scene),  # type: ignore[misc]
                seconds,
                lambda scene=scene: dict(count_states(self.ctx, scene)),  # type: ignore[misc]
            )

    def _is_finished(self, scene: Scene) -> bool:
        try:
            return is_finished(self.ctx, scene)
        except DBAPIError:  # the database is away on purpose
            return False


@contextmanager
def open_field(
    folder: Path,
    process: StableProcess,
    database_url: str,
    redis_url: str,
    seed: int,
    faults: dict[str, Any] | None = None,
    **more: str,
) -> Iterator[Field]:
    """Set up a field; whatever it starts ends with the block."""
    print(f"SEED={seed}")
    with run_sink_process(folder / "sink.log", faults) as sink:
        settings = {
            "data_dir": str(folder),
            "database_url": database_url,
            "redis_url": redis_url,
            "public_url": "http://127.0.0.1:8000",
            "bounce_domain": "bounce.localhost",
            "smtp_url": f"smtp://127.0.0.1:{sink.port}",
            "log_level": "error",
            **more,
        }
        ctx = open_context(settings)
        stable = Stable(process, settings, folder / "notes")
        try:
            yield Field(ctx, sink, stable, seed, random.Random(seed))
        finally:
            stable.kill_all()
            ctx.database.dispose()


def wait_for(
    what: str, is_there: Callable[[], object], seconds: float = 12, tell: Callable[[], object] = lambda: ""
) -> None:
    """Wait for what other processes do; AssertionError says what did not happen."""
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s; {tell()}"
        time.sleep(0.02)
