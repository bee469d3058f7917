"""The background jobs of privacy."""

from mailer.jobs import Job

ERASE = Job("privacy.erase", every_seconds=60)
RETAIN = Job("privacy.retain", every_seconds=600)
