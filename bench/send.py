"""Sending, whole: Celery workers, ledger, gate, SMTP to a fast sink; beside it smtplib with ORM rows.

`python -m bench.send [--database URL|postgresql] [--size N] [--workers W] [--connections C] [--latency MS]
[--dkim none|rsa|ed25519|both] [--smtp HOST:PORT]`. `postgresql` stands for a server of its own with fsync on; C is for
all workers together. The mail has about 8 KB of HTML, a text part and ten tracked links. The last line is as in
docs/reference (Benchmarks); `checks_per_message` is the time of a mail in units of what email-validator takes for an
address in the same run, which makes figures of unlike machines comparable.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select, text

from bench.rig import print_line, time_check
from bench.send_reference import run_reference
from bench.send_story import make_campaign
from mailer.context import Context, make_context
from mailer.delivery.jobs import SEND_DUE
from mailer.delivery.workers import list_workers
from mailer.migrations.runner import migrate
from mailer.schema.delivery import Message, SendBatch
from mailer.settings import Settings
from tests.support.postgres import start_postgres
from tests.support.valkey import run_valkey

REFERENCE_SIZE = 1_000
_LONGEST = 1_800


@dataclass
class Bench:
    """What one run is made of."""

    ctx: Context
    environment: dict[str, str]
    arguments: argparse.Namespace


@contextmanager
def run_sink(latency_ms: int) -> Iterator[tuple[str, int]]:
    """Start the sink; yield HOST:PORT and its process id. It ends with its standard input."""
    command = [sys.executable, "-m", "bench.sink", "--port", "0", "--latency", str(latency_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = json.loads(process.stdout.readline())["port"]
        try:
            yield f"127.0.0.1:{port}", process.pid
        finally:
            process.stdin.close()
            process.wait(10)


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(one for child in children for one in family(int(child)))]


def resident_mb(pid: int) -> int:
    """Return the resident memory of a process; its own high-water mark is that of its start, when it compiles."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


def start_workers(bench: Bench, stack: ExitStack) -> list[int]:
    """Start the send workers as an installation runs them; return their ids once each has answered a ring."""
    command = [sys.executable, "-m", "mailer.cli.main", "run", "send"]
    log = stack.enter_context((bench.ctx.settings.data_dir / "workers.log").open("wb"))
    processes = []
    for _ in range(bench.arguments.workers):
        process = subprocess.Popen(command, env=bench.environment, stdout=log, stderr=log)
        stack.callback(_end, process)
        processes.append(process)
    deadline = time.monotonic() + 60
    while len(_alive(bench, processes)) < len(processes):
        if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
            sys.exit("a worker did not start: " + Path(log.name).read_text(encoding="utf-8")[-2_000:])
        bench.ctx.bell.ring(SEND_DUE)
        time.sleep(0.5)
    return [process.pid for process in processes]


def _alive(bench: Bench, processes: "list[subprocess.Popen[bytes]]") -> set[int]:
    """Return the workers that have taken a ring: a late one would make the figure that of one worker."""
    beating = {int(worker.name.rpartition(":")[2]) for worker in list_workers(bench.ctx.redis)}
    return beating & {process.pid for process in processes}


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_ours(bench: Bench, pids: dict[str, list[int]]) -> dict[str, object]:
    """Send the campaign and return its figures."""
    size = bench.arguments.size
    with ExitStack() as stack:
        workers = start_workers(bench, stack)
        sending_id = make_campaign(bench.ctx, size, dkim=bench.arguments.dkim)
        groups = {"worker": workers, **pids}
        before = {name: sum(map(_family_cpu, members)) for name, members in groups.items()}
        peaks = _ring(bench, sending_id, workers)
        after = {name: sum(map(_family_cpu, members)) for name, members in groups.items()}
    accepted, seconds = _outcome(bench.ctx, sending_id)
    return {
        "messages_per_second": round(accepted / seconds),
        "messages": accepted,
        "seconds": round(seconds, 2),
        "workers": len(workers),
        "connections": bench.arguments.connections,
        "latency_ms": bench.arguments.latency,
        "dkim": bench.arguments.dkim,
        "cpu_us_per_message": {name: round((after[name] - before[name]) / size * 1e6, 1) for name in groups},
        "peak_rss_mb": peaks,
        "database": "sqlite" if bench.ctx.database.is_sqlite else "postgresql",
    }


def _family_cpu(pid: int) -> float:
    return sum(map(cpu_seconds, family(pid)))


def _ring(bench: Bench, sending_id: int, workers: list[int]) -> list[int]:
    """Ring once for each worker, again as beat would, until no batch is left; return the peak memory of each in MB."""
    peaks = [0] * len(workers)
    open_batches = select(func.count()).where(SendBatch.sending_id == sending_id, SendBatch.state != "done")
    deadline = time.monotonic() + _LONGEST
    next_ring = 0.0
    while time.monotonic() < deadline:
        if time.monotonic() >= next_ring:
            for _ in range(bench.arguments.workers):
                bench.ctx.bell.ring(SEND_DUE)
            next_ring = time.monotonic() + 10
        time.sleep(0.25)
        peaks = [max(pair) for pair in zip(peaks, map(resident_mb, workers), strict=True)]
        with bench.ctx.read() as session:
            if not session.scalar(open_batches):
                return peaks
    sys.exit("not done within half an hour")


def _outcome(ctx: Context, sending_id: int) -> tuple[int, float]:
    """Return how many were accepted, and the seconds from the first gate to the last acceptance."""
    with ctx.read() as session:
        states = dict(
            session.execute(
                select(Message.state, func.count()).where(Message.sending_id == sending_id).group_by(Message.state)
            ).all()  # type: ignore[arg-type]
        )
        if set(states) != {"accepted"}:
            print(f"not all were accepted: {states}", file=sys.stderr)
        first, last = session.execute(
            select(func.min(Message.gate_at), func.max(Message.accepted_at)).where(Message.sending_id == sending_id)
        ).one()
    return int(states.get("accepted", 0)), (last - first).total_seconds()


def open_bench(arguments: argparse.Namespace, folder: Path, stack: ExitStack, smtp: str) -> tuple[Bench, list[int]]:
    """Return a migrated installation of its own and the ids of its database server, where it started one."""
    url, server_pids = arguments.database or f"sqlite:///{folder / 'bench.sqlite'}", []
    if url == "postgresql":
        server = start_postgres(durable=True)
        stack.callback(server.stop)
        url, server_pids = server.url(server.create()), [server.process.pid]
    environment = {
        "MAILER_DATA_DIR": str(folder),
        "MAILER_DATABASE_URL": url,
        "MAILER_REDIS_URL": stack.enter_context(run_valkey()),
        "MAILER_SMTP_URL": f"smtp://{smtp}",
        "MAILER_PUBLIC_URL": "http://127.0.0.1:1",
        "MAILER_BOUNCE_DOMAIN": "bounce.localhost",
    }
    settings = Settings(**{key.removeprefix("MAILER_").lower(): value for key, value in environment.items()})  # type: ignore[arg-type]
    ctx = make_context(settings)
    stack.callback(ctx.database.dispose)
    migrate(ctx.database)
    limits = {"rate_per_second": 1_000_000, "relay_connections": arguments.connections}
    with ctx.write() as session:
        session.execute(
            text(
                "INSERT INTO workspace (id, name, timezone, clock_offset_seconds, limits, stop_note, created_at,"
                " updated_at) VALUES (1, 'Bench', 'UTC', 0, :limits, '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
            ),
            {"limits": json.dumps(limits)},
        )
    inherited = dict(os.environ)  # noqa: TID251 - for the children
    return Bench(ctx, inherited | environment, arguments), server_pids


def parse_arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", default="")
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--latency", type=int, default=0)
    parser.add_argument("--dkim", choices=("none", "rsa", "ed25519", "both"), default="none")
    parser.add_argument("--smtp", default="")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its last line."""
    arguments = parse_arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailer-bench-")))
        sink, sink_pids = arguments.smtp, []
        if not sink:
            sink, sink_pid = stack.enter_context(run_sink(arguments.latency))
            sink_pids = [sink_pid]
        bench, server_pids = open_bench(arguments, folder, stack, sink)
        reference_size = 50 if arguments.latency else REFERENCE_SIZE  # one connection, five waits a mail
        reference = run_reference(bench.ctx, sink, reference_size)
        emails = [f"person.{number}@example{number % 50}.com" for number in range(2_000)]
        check_us = time_check(emails)
        pids = {name: group for name, group in (("sink", sink_pids), ("database", server_pids)) if group}
        figures = run_ours(bench, pids)
        check_us = min(check_us, time_check(emails))
    rate = figures["messages_per_second"]
    assert isinstance(rate, int)
    figures["checks_per_message"] = round(1e6 / rate / check_us, 2)
    plain = {
        "messages_per_second": round(reference), "messages": reference_size, "email_validator_us": round(check_us, 1),
    }  # fmt: skip
    print_line("send", figures, plain, rate / reference)


if __name__ == "__main__":
    main()
