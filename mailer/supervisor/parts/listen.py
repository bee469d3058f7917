"""The listener for bounces, complaints and unsubscribe mails."""

from mailer.bounces.listener import run_listener
from mailer.context import make_context
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked


def run(settings: Settings, asked: Asked) -> None:
    """Listen until told to end."""
    run_listener(make_context(settings), asked.host, asked.find_port(settings), is_lmtp=asked.is_lmtp)
