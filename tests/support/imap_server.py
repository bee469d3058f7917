"""A real IMAP server on loopback, in a process of its own (pymap, mails in memory)."""

import imaplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

USER, PASSWORD = "reports", "a password"


@dataclass(frozen=True)
class ImapServer:
    """Where it listens, and what tests do in its mailbox."""

    port: int

    def connect(self) -> imaplib.IMAP4:
        """Return a session that is logged in, INBOX open."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        client.login(USER, PASSWORD)
        client.select("INBOX")
        return client

    def add(self, *mails: bytes) -> None:
        """Put mails into INBOX."""
        client = self.connect()
        for raw in mails:
            client.append("INBOX", "", "", raw)
        client.logout()

    def create(self, folder: str) -> None:
        """Make a folder."""
        client = self.connect()
        client.create(folder)
        client.logout()

    def count(self, folder: str, criterion: str = "ALL") -> int:
        """Return how many mails of a folder fit."""
        client = self.connect()
        client.select(folder, readonly=True)
        _, found = client.search(None, criterion)
        client.logout()
        return len(found[0].split())


@contextmanager
def run_imap_server() -> Iterator[ImapServer]:
    """Yield a server with an empty mailbox."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-c", "from pymap.main import main; main()"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-tls", "--no-service", "managesieve"]
    user = ["dict", "--demo-data", "--demo-user", USER, "--demo-password", PASSWORD]
    process = subprocess.Popen([*command, *options, *user], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = ImapServer(port)
        _wait(server)
        _empty(server)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _wait(server: ImapServer) -> None:
    until = time.monotonic() + 30
    while True:
        with suppress(OSError, imaplib.IMAP4.error):
            server.connect().logout()
            return
        if time.monotonic() > until:
            raise TimeoutError("the IMAP server did not start")
        time.sleep(0.05)


def _empty(server: ImapServer) -> None:
    client = server.connect()
    client.store("1:*", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()
