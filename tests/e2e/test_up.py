"""`mailer up`: one a data folder, clean ends, nothing left behind."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from random import sample
from time import sleep
from urllib.request import urlopen

import pytest

from mailer.supervisor.ports import is_free
from tests.support.installation import COMMAND, Installation, installed, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that is up, for what leaves it as it was."""
    with installed(tmp_path_factory.mktemp("up")) as ready:
        ready.start()
        yield ready


def test_up_serves_ends_cleanly_at_ctrl_c_and_comes_back_at_its_port(embedded: Installation) -> None:
    # away from the ports that others choose by themselves: a test beside this one must not take it in between
    embedded.start(
        "--port", str(next(port for port in sample(range(20_000, 30_000), 50) if is_free("127.0.0.1", port)))
    )
    first = embedded.address
    assert {"catcher", "listen", "web", "ingest", "send", "work", "beat"} <= set(embedded.children())
    with urlopen(f"{first}/readyz") as answer:
        assert answer.status == 200
    assert embedded.process is not None

    embedded.process.send_signal(signal.SIGINT)
    embedded.process.communicate(timeout=30)
    assert embedded.process.returncode == 0
    wait_until("the end of every process", lambda: not embedded.family(), 10)
    embedded.said = ""
    embedded.start()
    assert embedded.address == first  # links that were mailed live on

    embedded.process.send_signal(signal.SIGINT)
    sleep(0.5)  # two signals that nobody has taken yet are one (signal(7))
    embedded.process.send_signal(signal.SIGINT)  # a second one ends it at once
    embedded.process.wait(15)
    wait_until("the end of every process", lambda: not embedded.family(), 10)


def test_closed_terminal_ends_everything(embedded: Installation) -> None:
    embedded.start()
    assert embedded.process is not None

    embedded.process.send_signal(signal.SIGHUP)

    embedded.process.wait(30)
    wait_until("the end of every process", lambda: not embedded.family(), 10)


def test_killed_supervisor_takes_its_children_with_it(embedded: Installation) -> None:
    embedded.start()
    assert embedded.process is not None

    embedded.process.kill()
    embedded.process.wait(10)

    wait_until("the end of every process", lambda: not embedded.family(), 30)


def test_second_up_on_the_same_data_is_refused(running: Installation) -> None:
    refused = running.run("up", code=3)

    assert "runs on this data already" in refused.stderr
    assert running.address.rpartition(":")[2] in refused.stderr


def test_taken_port_is_an_error_that_names_it(embedded: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = embedded.run("up", "--port", port, code=2)

    assert port in refused.stderr
    assert "mend" in refused.stderr


def test_crashed_child_is_started_again(running: Installation) -> None:
    before = running.children()["catcher"]

    os.kill(before, signal.SIGKILL)

    wait_until("a new catcher", lambda: running.children().get("catcher") not in (None, before), 20)
    port = json.loads((running.folder / "up.json").read_text())["ports"]["catcher"]
    wait_until("its port", lambda: not is_free("127.0.0.1", port), 20)


def test_doctor_finds_a_running_installation_well_but_for_people(running: Installation) -> None:
    done = subprocess.run(
        [*COMMAND, "doctor"], env=running.environment, capture_output=True, text=True, timeout=60, check=False
    )

    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert bad == ["BAD  sender profiles: 0"]
    assert done.returncode == 1
