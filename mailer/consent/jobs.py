"""The background jobs of consent."""

from mailer.jobs import Job

SEAL = Job("consent.seal", every_seconds=60)
EXPIRE = Job("consent.expire", every_seconds=600)
