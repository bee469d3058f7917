"""The tracking endpoint alone, for a host name of its own (MAILER_TRACKING_URL)."""

from mailer.bounces.smtpd import run_until_signal
from mailer.context import make_context
from mailer.settings import Settings
from mailer.supervisor.parts.asked import Asked
from mailer.tracking.endpoint import build_endpoint
from mailer.tracking.http_server import serve


def run(settings: Settings, asked: Asked) -> None:
    """Serve until told to end."""
    endpoint, port = build_endpoint(make_context(settings)), asked.find_port(settings)
    run_until_signal(lambda stop: serve(endpoint, asked.host, port, stop))
