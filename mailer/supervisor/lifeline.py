"""Children end when their parent is gone, even after kill -9: the kernel tells them (prctl(2), PR_SET_PDEATHSIG).

Where there is no prctl, a thread looks who the parent is, twice a second.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5


def die_with_parent(parent: int | None = None) -> None:
    """Make this process end by SIGTERM when its parent has gone. `parent`: who that was when it started us."""
    expected = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(expected,), daemon=True).start()
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(expected: int) -> None:
    while os.getppid() == expected:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
