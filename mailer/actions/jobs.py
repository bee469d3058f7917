"""The background jobs of actions."""

from mailer.jobs import Job

RUN_DUE = Job("actions.run_due", every_seconds=1)
CALL_WEBHOOKS = Job("actions.call_webhooks", every_seconds=2)
