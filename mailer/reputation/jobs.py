"""The background jobs of reputation."""

from mailer.jobs import Job

CHECK_RATES = Job("reputation.check_rates", every_seconds=3)
