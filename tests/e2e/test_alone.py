"""Parts that run alone, without `mailer up`: they find each other by the data folder."""

import smtplib
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from mailer.supervisor.ports import read_ports
from tests.support.installation import COMMAND, installed, wait_until

pytestmark = pytest.mark.e2e


def test_catcher_alone_reports_to_the_listener_of_its_folder(tmp_path: Path) -> None:
    with installed(tmp_path, bounce_domain="bounce.example.com") as installation:
        installation.run("topics", "create", "News")
        installation.run("catcher", "rule", "*", "bounce")
        parts = [
            subprocess.Popen(
                [*COMMAND, "run", name],
                env=installation.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in ("catcher", "listen")
        ]
        try:
            wait_until("both ports", lambda: {"catcher", "listen"} <= read_ports(tmp_path).keys())
            port = read_ports(tmp_path)["catcher"]
            wait_until("the catcher", lambda: _answers(port))
            with smtplib.SMTP("127.0.0.1", port) as client:
                client.sendmail("b+x@bounce.example.com", "anna@example.com", "Subject: Hello\r\n\r\nHello\r\n")

            wait_until("the report", lambda: _reports(tmp_path) == 1)
        finally:
            for part in parts:
                part.terminate()
                part.wait(20)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _reports(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "mailer.sqlite")) as connection:
        return int(connection.execute("SELECT count(*) FROM bounce_report").fetchone()[0])
