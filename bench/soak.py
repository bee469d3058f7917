"""A giant sending among small ones through the real processes: how fast, how fair, and does memory stay flat.

`python -m bench.soak [--size N] [--small COUNT]`. Everything runs on this machine: `mailer up`, its workers, its
catcher. A small sending of a hundred starts every second or so while the giant runs; it should end within a minute.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from mailer.context import Context
from tests.chaos.scene import Scene, count_states, is_finished, make_crowd, open_context
from tests.support.installation import Installation, installed

ROLES = ("web", "send", "work", "ingest", "catcher", "listen", "beat")
SMALL_SIZE = 100
LONGEST_SECONDS = 7_200


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


@dataclass
class Soak:
    """What is watched while it runs."""

    installation: Installation
    ctx: Context
    peaks: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ROLES, 0.0))
    sender: list[float] = field(default_factory=list)
    started: dict[int, tuple[Scene, float]] = field(default_factory=dict)
    small_seconds: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Note memory, and small sendings that have ended."""
        for name, pid in self.installation.children().items():
            if name in self.peaks:
                self.peaks[name] = max(self.peaks[name], rss_mb(pid))
                if name == "send":
                    self.sender.append(rss_mb(pid))
        for sending_id, (scene, began) in list(self.started.items()):
            if not count_states(self.ctx, scene)["queued"]:
                self.small_seconds.append(time.monotonic() - began)
                del self.started[sending_id]

    def start_small(self) -> None:
        """Start a sending of a hundred."""
        scene = make_crowd(self.ctx, SMALL_SIZE, batch=SMALL_SIZE)
        self.started[scene.sending_id] = scene, time.monotonic()


def follow(soak: Soak, size: int, small: int) -> dict[str, object]:
    """Send the giant and the small ones; return the figures."""
    giant = make_crowd(soak.ctx, size, batch=200)
    began = time.monotonic()
    left = small
    while left or soak.started or not is_finished(soak.ctx, giant):
        if left:
            soak.start_small()
            left -= 1
        soak.look()
        if time.monotonic() - began > LONGEST_SECONDS:
            sys.exit("not finished in time")
        time.sleep(1)
    seconds = time.monotonic() - began
    states = count_states(soak.ctx, giant)
    half = soak.sender[len(soak.sender) // 2 :] or [0.0]
    return {
        "messages": size + small * SMALL_SIZE,
        "messages_per_second": round((size + small * SMALL_SIZE) / seconds, 1),
        "states_of_giant": dict(states),
        "small_seconds_median": round(statistics.median(soak.small_seconds), 1) if soak.small_seconds else None,
        "small_seconds_worst": round(max(soak.small_seconds), 1) if soak.small_seconds else None,
        "peak_rss_mb": {name: round(value, 1) for name, value in soak.peaks.items()},
        "sender_growth_mb_in_second_half": round(half[-1] - half[0], 1),
    }


def main() -> None:
    """Set up an installation of its own, send, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailer-soak-") as name, installed(Path(name)) as installation:
        installation.start()
        ctx = open_context({"data_dir": name})
        figures = follow(Soak(installation, ctx), arguments.size, arguments.small)
        ctx.database.dispose()
    machine = {"python": platform.python_version(), "system": platform.system()}
    print(json.dumps({"name": "soak", "figures": figures, "reference": {}, "ratio": None, "machine": machine}))


if __name__ == "__main__":
    main()
