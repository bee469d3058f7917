"""The background jobs of tracking."""

from mailer.jobs import Job

RECOMPUTE = Job("tracking.recompute", every_seconds=60)
