"""The WSGI application of a process that tracks and does nothing else: no pages, no Flask, no session."""

from mailer.context import make_context
from mailer.log import configure_logging
from mailer.settings import load_settings
from mailer.supervisor.lifeline import die_with_parent
from mailer.tracking.endpoint import build_endpoint

die_with_parent()
settings = load_settings()
configure_logging(level=settings.log_level)
app = build_endpoint(make_context(settings))
