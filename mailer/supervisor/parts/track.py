"""The tracking endpoint alone, for a host name of its own (MAILER_TRACKING_URL), served by granian."""

from granian.constants import Interfaces
from granian.server import Server

from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked

TARGET = "mailer.supervisor.track:app"
THREADS = {True: 32, False: 2}
"""By whether a hit is on the disk before its answer: threads that wait for the disk share one sync, others are in the
way of each other."""


def run(settings: Settings, asked: Asked) -> None:
    """Serve until told to end."""
    Server(
        TARGET,
        address=asked.host,
        port=asked.find_port(settings),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS[settings.tracking_durable],
        backlog=1024,
        log_access=False,
        workers_kill_timeout=5,
        respawn_failed_workers=True,
    ).serve()
