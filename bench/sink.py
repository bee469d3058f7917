"""A fast SMTP sink, a process of its own: takes everything, keeps a log, plays faults. For benches and chaos tests.

`python -m bench.sink [--host 127.0.0.1] [--port 0] [--latency MS] [--log FILE] [--faults JSON] [--tls PEM] [--auth]`

It prints one JSON line with its port and pid, and ends when its standard input closes or its parent ends (`--stay`
keeps it). JSON lines on standard input change it, one answer a line: `{"faults": {…}}`, `{"latency_ms": 20}`,
`{"ask": "counters"}`, `{"close": true}` (close all sessions), `{"stop": true}`.
`--latency`: each batch of commands is answered so many milliseconds after it arrived. `--faults`: see sink_faults.py;
`--tls`: a PEM file with key and certificate; STARTTLS is offered. `--self-test` measures the sink with a client of its
own in a second process and prints messages a second.
"""

import argparse
import asyncio
import json
import os
import resource
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import uvloop

from bench.sink_faults import parse_faults
from bench.sink_load import measure
from bench.sink_server import Session, Sink


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS")
    parser.add_argument("--log", default="", metavar="FILE")
    parser.add_argument("--faults", default="{}", metavar="JSON")
    parser.add_argument("--tls", default="", metavar="PEM")
    parser.add_argument("--auth", action="store_true", help="offer AUTH PLAIN; every password is right")
    parser.add_argument("--stay", action="store_true", help="do not end with standard input")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--bytes", type=int, default=12_000, help="size of a body in the self-test")
    parser.add_argument("--connections", type=int, default=40)
    return parser.parse_args()


def make_sink(args: argparse.Namespace) -> Sink:
    """Return what all sessions share."""
    sink = Sink(parse_faults(json.loads(args.faults)), args.latency / 1000, auth=args.auth)
    if args.log:
        sink.log = os.open(args.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    if args.tls:
        sink.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        sink.tls.load_cert_chain(args.tls)
    return sink


async def serve(args: argparse.Namespace) -> None:
    """Serve until told to stop, standard input closes, or the parent is gone."""
    loop = asyncio.get_running_loop()
    sink, stopping = make_sink(args), asyncio.Event()
    server = await loop.create_server(lambda: Session(sink), args.host, args.port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    watcher = loop.create_task(_watch_parent(stopping))
    if not args.stay:
        await loop.connect_read_pipe(lambda: Control(sink, stopping.set), sys.stdin)
    await stopping.wait()
    watcher.cancel()
    server.close()


async def _watch_parent(stopping: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody tells a process that its parent ended
        await asyncio.sleep(0.5)
    stopping.set()


class Control(asyncio.Protocol):
    """Standard input: JSON lines that change the sink; its end is the sink's end."""

    def __init__(self, sink: Sink, stop: Callable[[], None]) -> None:
        self._sink, self._stop, self._buffer = sink, stop, b""

    def data_received(self, data: bytes) -> None:
        """Obey each complete line."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if line.strip():
                try:
                    answer = self._obey(json.loads(line))
                except (ValueError, TypeError, KeyError) as error:
                    answer = {"error": str(error)}
                print(json.dumps(answer), flush=True)

    def connection_lost(self, _exc: Exception | None) -> None:
        """End with who started it."""
        self._stop()

    def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        sink = self._sink
        if "faults" in order:
            sink.faults = parse_faults(order["faults"])
        if "latency_ms" in order:
            sink.latency = float(order["latency_ms"]) / 1000
        if order.get("close"):
            for session in list(sink.sessions):
                session.close()
        if order.get("stop"):
            self._stop()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {**asdict(sink.counters), "cpu_seconds": usage.ru_utime + usage.ru_stime}


def self_test(args: argparse.Namespace) -> None:
    """Measure a sink in a process of its own; the client is here."""
    command = [sys.executable, "-m", "bench.sink", "--latency", str(args.latency), "--log", args.log]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        port = json.loads(child.stdout.readline())["port"]
        seconds = uvloop.run(measure(port, args.messages, args.connections, args.bytes))
        child.stdin.write('{"ask": "counters"}\n')
        child.stdin.flush()
        counters = json.loads(child.stdout.readline())
        child.stdin.close()
    cpu = counters["cpu_seconds"] / args.messages
    figures = {
        "messages_per_second": round(args.messages / seconds),
        "messages_per_second_of_one_core": round(1 / cpu),
        "cpu_us_per_message": round(cpu * 1e6, 1),
        "mails": counters["mails"],
    }
    print(json.dumps({"name": "sink", "figures": figures, "reference": {}, "ratio": None, "machine": {}}))


def main() -> None:
    """Serve, or measure."""
    args = parse_arguments()
    if args.self_test:
        self_test(args)
    else:
        uvloop.run(serve(args))


if __name__ == "__main__":
    main()
