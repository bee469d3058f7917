"""The background jobs of forms."""

from mailer.jobs import Job

HANDLE = Job("forms.handle_sign_ups", every_seconds=2)
"""By tick alone: a ring for each submission would let a flood of posts flood the workers."""
TIDY = Job("forms.tidy", every_seconds=600)
