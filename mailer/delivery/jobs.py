"""The background jobs of delivery."""

from mailer.jobs import Job, Queue

SEND_DUE = Job("delivery.send_due", Queue.SEND, every_seconds=2)
REAP = Job("delivery.reap", Queue.WORK, every_seconds=3)
CHECK_DOMAINS = Job("delivery.check_domains", Queue.WORK, every_seconds=600)
WATCH_RELAYS = Job("delivery.watch_relays", Queue.WORK, every_seconds=10)
