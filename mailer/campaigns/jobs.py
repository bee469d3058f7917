"""The background jobs of campaigns."""

from mailer.jobs import Job

START_DUE = Job("campaigns.start_due", every_seconds=2)
PREPARE = Job("campaigns.prepare")
