"""Every benchmark runs, small, and its last line has the shape that INTERFACES promises; its figures are no test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "size"), [("import", 6_000), ("segments", 2_000), ("freeze", 2_000), ("ingest", 2_000)]
)
def test_benchmark_ends_with_its_figures(name: str, size: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--size", str(size)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip

    line = json.loads(done.stdout.splitlines()[-1])

    assert set(line) == {"name", "figures", "reference", "ratio", "machine"}
    assert line["name"] == name
    assert line["figures"]["database"] == "sqlite"
    assert line["ratio"] > 0
