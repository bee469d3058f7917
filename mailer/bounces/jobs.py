"""The background jobs of bounces."""

from mailer.jobs import Job

PROCESS_REPORTS = Job("bounces.process_reports", every_seconds=3)
