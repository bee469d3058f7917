"""`mailer run track` answers opens and clicks, and nothing else."""

import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from mailer import tokens
from mailer.context import make_context
from mailer.jobs import SilentBell
from mailer.settings import Settings
from mailer.tracking.spool import list_segments
from tests.support.installation import COMMAND, wait_until


def test_the_endpoint_runs_alone_and_needs_no_database(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, public_url="http://127.0.0.1:1", bounce_domain="bounce.localhost")
    keys = make_context(settings, bell=SilentBell()).keys
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "MAILER_DATA_DIR": str(tmp_path),
        "MAILER_PUBLIC_URL": "http://127.0.0.1:1",
        "MAILER_BOUNCE_DOMAIN": "bounce.localhost",
        "MAILER_TRACKING_DURABLE": "false",
    }
    child = subprocess.Popen([*COMMAND, "run", "track", "--port", str(port)], env=environment, start_new_session=True)
    pixel = f"http://127.0.0.1:{port}/o/{tokens.track_token(keys, tokens.OPEN, 42)}.gif"
    try:
        wait_until("an answer", lambda: answer_of(pixel) == 200, 30)
        assert answer_of(f"http://127.0.0.1:{port}/login") == 404
        assert list_segments(settings.spool_dir)
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(15)


def answer_of(url: str) -> int:
    """Return the status of an answer; 0 where nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
