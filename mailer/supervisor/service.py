"""Start everything, watch it, stop it cleanly: Ctrl-C once or twice, a closed terminal, and nothing is left behind."""

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

import redis
from redis.exceptions import RedisError

from mailer.context import Context, make_context
from mailer.errors import ConflictError, SetupError
from mailer.jobs import SilentBell
from mailer.migrations.runner import migrate
from mailer.segments.service import ensure_recipes
from mailer.settings import Settings, load_settings
from mailer.supervisor.children import Child
from mailer.supervisor.ports import choose_ports, choosing
from mailer.supervisor.processes import ORDER
from mailer.workspace.service import ensure_workspace

READY_SECONDS = 60.0
STARTS = 3
STOP_SECONDS = 20.0
_STOP_ORDER = ("beat", "web", "catcher", "send", "listen", "ingest", "work", "valkey")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Plan:
    """What `mailer up` was asked for."""

    settings: Settings
    host: str = "127.0.0.1"
    port: int | None = None


class Supervisor:
    """Holds the lock on the data folder and its children. `say` prints a line for the person who watches."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._children: dict[str, Child] = {}
        self._signals = 0
        self.settings = plan.settings

    @contextmanager
    def running(self) -> Iterator["Supervisor"]:
        """Start everything and yield once all of it answers; stop everything at the end.

        Raises:
            ConflictError: another `mailer up` runs on the same data.
            SetupError: a process did not come up; says which and where its words are.
        """
        data_dir = self._plan.settings.data_dir
        _make_private(data_dir)
        with _locked(self._plan.settings.up_file) as file, self._catching_signals():
            try:
                with choosing():
                    self._start(file)
                yield self
            finally:
                self.stop()
                file.truncate(0)

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked it to end."""
        return self._signals > 0

    @property
    def address(self) -> str:
        """Where the pages are."""
        return self.settings.public_url

    def child(self, name: str) -> Child:
        """Return a child by its name."""
        return self._children[name]

    def watch(self, seconds: float | None = None) -> None:
        """Keep the children going until somebody asks for the end, or for `seconds`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.is_stopping and (deadline is None or time.monotonic() < deadline):
            self._look()
            time.sleep(0.1)

    def _look(self) -> None:
        for child in self._children.values():
            code = child.watch()
            if code is not None:
                self._say(f"{child.name} ended with {code}; starting it again (see {child.log_path})")

    def _start(self, file: IO[str]) -> None:
        plan = self._plan
        ports = choose_ports(plan.settings.data_dir, plan.host, web_port=plan.port)
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "ports": ports}, file)
        file.flush()
        environment = _environment(plan.settings)
        self._children = {
            name: Child(name, environment, plan.settings.data_dir / "log", plan.host if name == "web" else "127.0.0.1")
            for name in ORDER
            if name != "valkey" or plan.settings.redis_url == f"unix://{plan.settings.valkey_socket}"
        }
        self.settings = _reload(plan.settings)
        if "valkey" in self._children:
            plan.settings.valkey_socket.unlink(missing_ok=True)
            self._children["valkey"].start()
        self._wait("the broker", self._is_broker_up)
        prepare_database(self.settings)
        for name, child in self._children.items():
            if name != "valkey":
                child.start()
        for name, port in ports.items():
            host = plan.host if name == "web" else "127.0.0.1"
            self._wait(name, partial(self._is_ours, name, host, port))

    def _is_ours(self, name: str, host: str, port: int) -> bool:
        """Whether our own child answers there; somebody else's server on its port makes it fail again and again."""
        child = self._children[name]
        if child.failures >= STARTS:
            raise SetupError(f"{name} does not start: {child.last_words()}", mend=f"read {child.log_path}")
        return child.is_settled and _answers(host, port)

    def _is_broker_up(self) -> bool:
        try:
            with redis.Redis.from_url(self.settings.redis_url, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False

    def _wait(self, what: str, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_there():
            if self.is_stopping:
                raise KeyboardInterrupt
            self._look()
            if time.monotonic() > deadline:
                folder = self._plan.settings.data_dir / "log"
                raise SetupError(f"{what} did not come up in {READY_SECONDS:.0f} s", mend=f"read the logs in {folder}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the children to end, the front doors first and the broker last; kill what does not."""
        deadline = time.monotonic() + STOP_SECONDS
        for name in _STOP_ORDER[:-1]:
            if name in self._children:
                self._children[name].terminate()
        for name in _STOP_ORDER:
            if name in self._children:
                self._end(self._children[name], deadline)

    def _end(self, child: Child, deadline: float) -> None:
        child.terminate()
        while not child.wait(0.1):
            if time.monotonic() > deadline or self._signals > 1:
                child.kill()
                child.wait(5)
                return

    @contextmanager
    def _catching_signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP ask for the end; a second one ends the children at once."""
        caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._signals += 1


def prepare_database(settings: Settings) -> None:
    """Bring the database to the newest schema and give a new workspace its settings row and ready segments.

    Raises:
        SetupError: no connection.
    """
    ctx: Context = make_context(settings, bell=SilentBell())
    try:
        ctx.database.check()
        migrate(ctx.database)
        ensure_workspace(ctx)
        ensure_recipes(ctx)
    finally:
        ctx.database.dispose()


def _reload(settings: Settings) -> Settings:
    """Read the settings again now that the lock says that `mailer up` runs: its addresses are filled in."""
    return load_settings(**{name: getattr(settings, name) for name in settings.model_fields_set})


def _environment(settings: Settings) -> dict[str, str]:
    """What the children are told: the settings that somebody gave, and nothing else of ours."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    ours = {f"MAILER_{name.upper()}": _as_text(value) for name, value in given.items()}
    ours |= {"MAILER_DATA_DIR": str(settings.data_dir)}
    return {name: value for name, value in _outside().items() if name in _PASSED_ON} | ours


def _outside() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251 - handed on to the children, never read


def _as_text(value: object) -> str:
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal() if reveal else value)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"the data folder {folder} cannot be written: {error.strerror}", mend="set MAILER_DATA_DIR"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Hold the data folder; ConflictError says who holds it."""
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(_who(path), mend="use that one, or another MAILER_DATA_DIR") from error
        yield file


def _who(path: Path) -> str:
    try:
        said = json.loads(path.read_text(encoding="ascii"))
        return f"`mailer up` runs on this data already, as process {said['pid']}, at port {said['ports']['web']}"
    except (OSError, ValueError, KeyError):
        return "`mailer up` runs on this data already"


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
