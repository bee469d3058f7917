"""WSGI entry: `app` is the tracking endpoint with the pages behind it; `granian --interface wsgi web:app`."""

from mailer.app import create_app
from mailer.context import make_context
from mailer.settings import load_settings
from mailer.tracking.endpoint import build_endpoint

context = make_context(load_settings())
app = build_endpoint(context, create_app(context).wsgi_app)
