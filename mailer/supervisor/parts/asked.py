"""What a process was asked for on its command line."""

from dataclasses import dataclass

from mailer.log import get_logger
from mailer.settings import Settings
from mailer.supervisor.ports import choose_port

log = get_logger("supervisor")


@dataclass(frozen=True)
class Asked:
    """`name` of the process; `port`: None for the one that is kept; `report_to`: where the catcher's reports go.

    `is_lmtp`: the listener speaks LMTP, behind a mail server on the same host.
    """

    name: str
    host: str = "127.0.0.1"
    port: int | None = None
    report_to: str | None = None
    is_lmtp: bool = False

    def find_port(self, settings: Settings) -> int:
        """Return the port `mailer up` chose for its child; alone, one that is kept, and said where nobody named it."""
        if self.port is None and self.name in settings.embedded_ports:
            return settings.embedded_ports[self.name]
        port = choose_port(settings.data_dir, self.name, self.host, asked=self.port)
        if self.port is None:
            log.info("listening", process=self.name, host=self.host, port=port)
        return port
