"""The catcher: a mail server that keeps what it gets for looking at."""

from mailer.catcher.service import run_catcher
from mailer.delivery.relays import Relay, parse_relay
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked
from mailer.supervisor.ports import read_ports


def run(settings: Settings, asked: Asked) -> None:
    """Catch until told to end; reports go where it is told, else to the listener that last ran on this data folder."""

    def listener() -> Relay | None:
        if asked.report_to:
            return parse_relay(f"smtp://{asked.report_to}")
        kept = settings.embedded_ports.get("listen") or read_ports(settings.data_dir).get("listen")
        return Relay("127.0.0.1", kept) if kept else None

    listener()  # a wrong address is told at once
    run_catcher(settings, asked.host, asked.find_port(settings), listener=listener)
