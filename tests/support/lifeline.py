"""Servers of the tests end with the process that started them, however that ends (docs/decisions/0004).

Folders are named after their process; those of processes that are gone are removed when the next one is made.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PREFIX = "mailer-tests-"


def start_server(
    command: Sequence[str],
    *,
    at_death: signal.Signals = signal.SIGKILL,
    environment: Mapping[str, str] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a silent server in a session of its own; the kernel sends it `at_death` when the calling thread has gone.

    `identity`: `user`, `group` and `extra_groups` of Popen. Taking another user clears what was asked of the kernel,
    so it is asked afterwards, just before the program begins.
    """
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
        preexec_fn=dying_with_us(at_death),  # noqa: PLW1509 - one system call, looked up before the fork
        **(identity or {}),
    )  # fmt: skip


def dying_with_us(number: signal.Signals) -> Callable[[], None] | None:
    """Return what a child does before its program begins, so that it gets a signal when the calling thread has gone."""
    parent = os.getpid()
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os.kill(os.getpid(), number)

    return ask


def make_folder(name: str) -> Path:
    """Make a temporary folder for a server; those of processes that are gone are removed first."""
    base = Path(tempfile.gettempdir())
    for folder in base.glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{name}-"))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
