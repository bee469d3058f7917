"""The doorbell: a broker that is away costs a log line, never a wait."""

import socket
import time
from pathlib import Path

import pytest

from mailer.jobs import CeleryBell, Job
from mailer.settings import Settings


@pytest.mark.parametrize("is_socket", [True, False])
def test_command_does_not_stand_still_where_no_broker_is(tmp_path: Path, is_socket: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # closed at once, so nobody listens there
        port = taken.getsockname()[1]
    url = f"unix://{tmp_path}/nobody.sock" if is_socket else f"redis://127.0.0.1:{port}/0"
    bell = CeleryBell(
        Settings(
            data_dir=tmp_path, public_url="http://127.0.0.1:1", bounce_domain="bounce.localhost", redis_url=url,
        )
    )  # fmt: skip
    began = time.monotonic()

    for _ in range(3):
        bell.ring(Job("test.nothing"))

    assert time.monotonic() - began < 5  # one ring that tries again takes six
