"""The background jobs of segments."""

from mailer.jobs import Job

LOOK_DUE = Job("segments.look_due", every_seconds=10)
LOOK = Job("segments.look")
RUN_BULK = Job("segments.run_bulk", every_seconds=2)
