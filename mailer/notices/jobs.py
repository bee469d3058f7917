"""The background jobs of notices."""

from mailer.jobs import Job

TELL_STAFF = Job("notices.tell_staff", every_seconds=30)
