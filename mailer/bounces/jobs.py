"""The background jobs of bounces."""

from mailer.jobs import Job

PROCESS_REPORTS = Job("bounces.process_reports", every_seconds=3)
PROCESS_CALLS = Job("bounces.process_calls", every_seconds=5)
POLL_MAILBOXES = Job("bounces.poll_mailboxes", every_seconds=30)
WATCH_PROVIDERS = Job("bounces.watch_providers", every_seconds=60)
WAKE_ADDRESSES = Job("bounces.wake_addresses", every_seconds=3600)
