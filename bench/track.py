"""The tracking endpoint under load: opens and redirects, each kept before it is answered.

`python -m bench.track [--database URL] [--seconds S] [--spool DIR]`. The load comes from a process of its
own over keep-alive connections; the reference is a Flask route with an INSERT in the same server and database. The last
line is as in docs/reference (Benchmarks).
"""

import argparse
import json
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from mailer import tokens
from mailer.clock import utc_now
from mailer.context import make_context
from mailer.database import Database
from mailer.jobs import SilentBell
from mailer.migrations.runner import migrate
from mailer.settings import Settings
from mailer.tracking.ingest import ingest_once
from mailer.tracking.records import GET, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter
from tests.support.make import make_reader, make_sending, make_topic

CONNECTIONS = 32
INGEST_HITS = 10_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


class Client:
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, port: int, request: bytes, status: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request, self._status = request, b"HTTP/1.1 " + status
        self._buffer, self._size = b"", 0
        self.errors = 0

    def ask(self) -> None:
        """Send the request."""
        self.begun = time.perf_counter()
        self.socket.send(self._request)

    def is_answered(self) -> bool:
        """Read what came; whether the answer is whole."""
        data = self.socket.recv(65_536)
        if not data:
            raise SystemExit("the server hung up")
        data = self._buffer + data
        if len(data) != self._size and len(data) < _size_of(data):
            self._buffer = data
            return False
        self._buffer, self._size = b"", len(data)
        self.errors += not data.startswith(self._status)
        return True


def _size_of(data: bytes) -> int:
    """Return how long the answer is that begins with `data`; more than that while its head is not whole."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return len(data) + 1
    place = data.lower().find(b"content-length:", 0, head)
    return head + 4 + (int(data[place + 15 : data.index(b"\r\n", place)]) if place >= 0 else 0)


def load(port: int, path: str, status: str, seconds: float) -> dict[str, float]:
    """Ask for `path` on many connections for `seconds`; the first half second does not count."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {AGENT}\r\n\r\n".encode()
    clients = {}
    with select.epoll() as ready:
        for _ in range(CONNECTIONS):
            client = Client(port, request, status.encode())
            clients[client.socket.fileno()] = client
            ready.register(client.socket, select.EPOLLIN)
            client.ask()
        _turn(ready, clients, 0.5)
        begun, used = time.perf_counter(), time.process_time()
        taken = sorted(_turn(ready, clients, seconds))
        took, used = time.perf_counter() - begun, time.process_time() - used
    if errors := sum(client.errors for client in clients.values()):
        raise SystemExit(f"{errors} wrong answers from {path}")
    return {
        "requests_per_second": round(len(taken) / took),
        "p50_ms": round(taken[len(taken) // 2] * 1000, 2),
        "p99_ms": round(taken[int(len(taken) * 0.99)] * 1000, 2),
        "loader_us": round(used / len(taken) * 1e6, 1),
    }


def _turn(ready: select.epoll, clients: dict[int, Client], seconds: float) -> list[float]:
    """Read answers and ask again for `seconds`; return how long each answer took."""
    times, now = list[float](), time.perf_counter
    until = now() + seconds
    while now() < until:
        for number, _ in ready.poll(1):
            client = clients[number]
            if client.is_answered():
                times.append(now() - client.begun)
                client.ask()
    return times


@contextmanager
def server(mode: str, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Start a server in a session of its own, "ours" or "plain"; yield its port and process id; end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen(command_of(mode, port), env=environment, start_new_session=True)
    try:
        _wait_for(port)
        yield port, child.pid
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def command_of(mode: str, port: int) -> list[str]:
    """Return the command of a server: what an operator runs, or the plain way."""
    ours = ["mailer.cli.main", "run", "track", "--port"]
    return [sys.executable, "-m", *(ours if mode == "ours" else ["bench.track_servers"]), str(port)]


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def measure(
    mode: str, paths: dict[str, tuple[str, str]], environment: dict[str, str], seconds: float
) -> dict[str, Any]:
    """Return figures of one server for each path, and its peak memory."""
    figures: dict[str, Any] = {}
    with server(mode, environment) as (port, pid):
        for name, (path, status) in paths.items():
            call = f"load({port}, {path!r}, {status!r}, {seconds})"
            code = f"import json; from bench.track import load; print(json.dumps({call}))"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            figures[name] = json.loads(done.stdout)
        figures["peak_rss_mb"] = _peak_rss(pid)
    return figures


def _peak_rss(group: int) -> float:
    """Return the highest resident size of any process of a session, in MB."""
    peak = 0.0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getsid(int(folder.name)) == group:
                status = (folder / "status").read_text()
                peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) / 1024)
        except (OSError, IndexError):
            continue
    return round(peak, 1)


def fdatasyncs_per_second(folder: Path, seconds: float = 1.0) -> int:
    """Return how many small appends the disk of `folder` makes durable in a second, one after another."""
    path = folder / "sync.probe"
    done, until = 0, time.perf_counter() + seconds
    with path.open("wb") as file:
        while time.perf_counter() < until:
            file.write(b"x" * 128)
            file.flush()
            os.fdatasync(file.fileno())
            done += 1
    path.unlink()
    return round(done / seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="of the reference; default: SQLite beside the spool")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--spool", default="", help="folder whose disk is measured")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-track-", dir=options.spool or None))
    try:
        _run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> None:
    url = options.database or f"sqlite:///{folder / 'mailer.sqlite'}"
    settings = Settings(data_dir=folder, database_url=url, public_url="http://127.0.0.1:1", bounce_domain="b.localhost")
    database = Database(url)
    migrate(database)
    ctx = make_context(settings, bell=SilentBell())
    with ctx.write() as session:
        message_ids = _messages(session, ctx)
    message_id = message_ids[0]
    pixel = f"/o/{tokens.track_token(ctx.keys, tokens.OPEN, message_id)}.gif"
    link = f"/c/{tokens.track_token(ctx.keys, tokens.CLICK, message_id, 0)}"
    paths = {"open": (pixel, "200"), "redirect": (link, "302")}
    environment = os.environ | {  # noqa: TID251 - the child's environment
        "MAILER_DATA_DIR": str(folder), "MAILER_DATABASE_URL": url, "MAILER_PUBLIC_URL": "http://127.0.0.1:1",
        "MAILER_BOUNCE_DOMAIN": "b.localhost",
    }  # fmt: skip
    figures: dict[str, Any] = {}
    for mode in ("durable", "buffered"):
        chosen = environment | {"MAILER_TRACKING_DURABLE": str(mode == "durable")}
        figures[mode] = measure("ours", paths, chosen, options.seconds)
        print(mode, json.dumps(figures[mode]))
    figures["fdatasyncs_per_second"] = fdatasyncs_per_second(folder)
    figures["ingest"] = _ingest(ctx, message_ids)
    reference = measure("plain", paths, environment, options.seconds)
    print("plain", json.dumps(reference))
    ours, theirs = figures["durable"]["open"], reference["open"]
    figures |= ours
    print(
        json.dumps(
            {
                "name": "track",
                "figures": figures,
                "reference": reference,
                "ratio": round(ours["requests_per_second"] / theirs["requests_per_second"], 2),
                "machine": {
                    "cpus": os.cpu_count(),
                    "python": platform.python_version(),
                    "database": database.engine.name,
                },
            }
        )
    )


def _messages(session: Any, ctx: Any) -> list[int]:
    """Make a sending of 500 messages, accepted long ago; return their ids."""
    topic = make_topic(session)
    contacts = [make_reader(session, topic, key=ctx.keys.suppression) for _ in range(500)]
    sending = make_sending(session, ctx, contacts, topic)
    session.execute(text("UPDATE message SET state = 'accepted', accepted_at = '2026-01-01 00:00:00+00'"))
    rows = session.scalars(text("SELECT id FROM message WHERE sending_id = :id ORDER BY id"), {"id": sending.id})
    return list(rows)


def _ingest(ctx: Any, message_ids: list[int]) -> dict[str, float]:
    """Take opens and clicks of many messages from the spool into the database; return hits a second."""
    shutil.rmtree(ctx.settings.spool_dir, ignore_errors=True)
    writer = SpoolWriter(ctx.settings.spool_dir, durable=False)
    now = utc_now().timestamp()
    for number in range(INGEST_HITS):
        kind = tokens.OPEN if number % 3 else tokens.CLICK
        hit = RawHit(now + number / 100, kind, GET, message_ids[number % len(message_ids)], 0, 0, "192.0.2.1", AGENT)
        writer.append(pack_hit(hit))
    writer.close()
    begun = time.perf_counter()
    hits = ingest_once(ctx)
    return {"hits_per_second": round(hits / (time.perf_counter() - begun)), "hits": hits}


if __name__ == "__main__":
    main()
