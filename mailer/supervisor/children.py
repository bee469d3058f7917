"""One child process: start, watch, start again after a pause, end."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

LOG_LIMIT = 10_000_000
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS = 60.0
_SETTLED_SECONDS = 3.0


class Child:
    """`mailer run NAME` in a session of its own, so that the terminal's signals reach the supervisor alone."""

    def __init__(self, name: str, environment: Mapping[str, str], log_dir: Path, host: str) -> None:
        self.name = name
        self.failures = 0
        self._environment = dict(environment)
        self._log = log_dir / f"{name}.log"
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._again_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process id, None where it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def is_settled(self) -> bool:
        """Whether it runs, and has done so for some seconds where it had failed before."""
        return self.pid is not None and (not self.failures or time.monotonic() - self._started_at > _SETTLED_SECONDS)

    @property
    def log_path(self) -> Path:
        """Where its words go."""
        return self._log

    def start(self) -> None:
        """Start it; its words go to a log file that is begun anew at 10 MB."""
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mailer.cli.main", "run", self.name, "--host", self._host],
                env=self._environment | {"MAILER_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started_at = time.monotonic()

    def watch(self) -> int | None:
        """Start it again where it has ended and its pause is over; return the exit code of an end seen just now."""
        if self._process is None:
            if self._again_at and time.monotonic() >= self._again_at:
                self.start()
            return None
        code = self._process.poll()
        if code is None:
            return None
        steady = time.monotonic() - self._started_at > _STEADY_SECONDS
        self.failures = 1 if steady else self.failures + 1
        self._again_at = time.monotonic() + _PAUSES[min(self.failures, len(_PAUSES)) - 1]
        self._process = None
        return code

    def last_words(self) -> str:
        """Return the last line that it wrote, less what to do about it."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "nothing")

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._process and self._process.poll() is None:
            self._process.kill()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within `seconds`."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
