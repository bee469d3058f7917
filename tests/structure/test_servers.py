"""The servers of the tests (tests/support/lifeline.py)."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.installation import wait_until
from tests.support.lifeline import make_folder

ROOT = Path(__file__).parents[2]
RUN = """
import json, os, time
from pathlib import Path
import psycopg
from tests.support.postgres import start_postgres
from tests.support.valkey import run_valkey

def children(pid):
    mine = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return mine + [one for child in mine for one in children(child)]

def test_runs_for_ever():
    server = start_postgres()
    with psycopg.connect(host=str(server.folder), user="postgres", dbname="postgres"), run_valkey() as url:
        socket = Path(url.removeprefix("unix://"))
        said = json.dumps([children(os.getpid()), [str(server.folder), str(socket.parent)]])
        Path(__file__).with_name("said").write_text(said)
        time.sleep(300)
"""


def test_servers_and_folders_of_a_killed_run_are_gone(tmp_path: Path) -> None:
    # given a run of pytest with both servers, and a session in the database
    (tmp_path / "test_run.py").write_text(RUN)
    said = tmp_path / "said"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ) as run:
        try:
            wait_until("both servers", lambda: run.poll() is not None or (said.exists() and said.read_text()))
        finally:
            run.send_signal(signal.SIGKILL)
    pids, folders = json.loads(said.read_text())
    assert len(pids) > 3  # Valkey, PostgreSQL and what it is made of
    # then nothing of it lives on, and the next run takes its folders away
    wait_until("the end of its servers", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 20)
    make_folder("next").rmdir()
    assert not any(map(os.path.exists, folders))
