"""Celery's entry: `celery -A worker worker -Q send -P solo`."""

from mailer.celery_app import create_celery
from mailer.settings import load_settings

celery = create_celery(load_settings())
