"""The WSGI application of a web process: the tracking endpoint first, the pages behind it."""

from mailer.app import create_app
from mailer.context import make_context
from mailer.log import configure_logging
from mailer.settings import load_settings
from mailer.supervisor.lifeline import die_with_parent
from mailer.tracking.endpoint import build_endpoint

die_with_parent()
settings = load_settings()
configure_logging(level=settings.log_level)
context = make_context(settings)
app = build_endpoint(context, create_app(context).wsgi_app)
