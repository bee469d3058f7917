"""A long campaign through the real processes: how fast, and does memory stay flat.

`python -m bench.soak [--size N]`. Everything runs on this machine: `mailer up`, its workers, its catcher.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.test_kill import prepare_campaign
from tests.support.installation import Installation, installed

ROLES = ("web", "send", "work", "ingest", "catcher", "listen", "beat")


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def follow(installation: Installation, campaign_id: int, size: int) -> dict[str, object]:
    """Send the campaign and return figures: rate, peak memory by process, growth of the sender's second half."""
    peaks = dict.fromkeys(ROLES, 0.0)
    sender: list[float] = []
    installation.run("campaigns", "launch", str(campaign_id))
    started = time.monotonic()
    while True:
        for name, pid in installation.children().items():
            if name in peaks:
                peaks[name] = max(peaks[name], rss_mb(pid))
                if name == "send":
                    sender.append(rss_mb(pid))
        status = installation.json("campaigns", "status", str(campaign_id))
        if status["status"] == "finished":
            break
        if time.monotonic() - started > 3600:
            sys.exit("not finished within an hour")
    seconds = time.monotonic() - started
    half = sender[len(sender) // 2 :] or [0.0]
    return {
        "messages": size,
        "messages_per_second": round(status["states"]["accepted"] / seconds, 1),
        "unknown": status["states"]["unknown"],
        "peak_rss_mb": {name: round(value, 1) for name, value in peaks.items()},
        "sender_growth_mb_in_second_half": round(half[-1] - half[0], 1),
    }


def main() -> None:
    """Set up an installation of its own, send, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20_000)
    size = parser.parse_args().size
    with tempfile.TemporaryDirectory(prefix="mailer-soak-") as name, installed(Path(name)) as installation:
        installation.start()
        campaign_id = prepare_campaign(installation, Path(name), count=size, rate=100_000)
        figures = follow(installation, campaign_id, size)
    machine = {"python": platform.python_version(), "system": platform.system()}
    print(json.dumps({"name": "soak", "figures": figures, "reference": {}, "ratio": None, "machine": machine}))


if __name__ == "__main__":
    main()
