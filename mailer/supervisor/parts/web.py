"""Pages and the tracking endpoint, served by granian."""

from granian.constants import Interfaces
from granian.server import Server

from mailer.errors import SetupError
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked

TARGET = "mailer.supervisor.web:app"


def run(settings: Settings, asked: Asked) -> None:
    """Serve until told to end.

    Raises:
        SetupError: nobody has said which address recipients open.
    """
    port = asked.find_port(settings)
    if not settings.public_url:
        raise SetupError("no public URL is set", mend="set MAILER_PUBLIC_URL to the address that recipients open")
    Server(
        TARGET,
        address=asked.host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=8,
        backlog=1024,
        log_access=False,
        workers_kill_timeout=5,
        respawn_failed_workers=True,
    ).serve()
