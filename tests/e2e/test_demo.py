"""Both stories through the real processes, small, on both engines."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.installation import COMMAND, Installation

pytestmark = pytest.mark.e2e


def _demo(installation: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "demo", "--exit", "--contacts", "800", *arguments],
        env={name: value for name, value in installation.environment.items() if "_URL" not in name},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_demo_comes_out_as_scripted(installation: Installation) -> None:
    given = installation.environment
    arguments = []
    if "MAILER_DATABASE_URL" in given:
        arguments = ["--database", given["MAILER_DATABASE_URL"], "--redis", given["MAILER_REDIS_URL"]]

    done = _demo(installation, *arguments)

    last = json.loads(done.stdout.splitlines()[-1])
    assert last["error"] is None, done.stderr
    assert last["ok"] is True
    assert done.returncode == 0
    assert last["audience"] == last["sent"] + last["failed"] + last["unknown"] + sum(last["skipped"].values())
    assert not installation.family()


def test_demo_refuses_a_database_that_is_not_empty(embedded: Installation, tmp_path: Path) -> None:
    embedded.run("topics", "create", "News")

    refused = _demo(embedded, "--database", f"sqlite:///{tmp_path / 'mailer.sqlite'}")

    assert refused.returncode == 3
    assert "not empty" in refused.stderr
