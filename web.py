"""WSGI entry: `app` is the tracking endpoint with the pages behind it; `granian --interface wsgi web:app`."""

from mailer.supervisor.web import app

__all__ = ["app"]
