"""The errors of the product, drawn once.

MailerError
├── InputError             what was given is wrong; says where and how to mend it (400, exit 2)
├── NotFoundError          no such thing (404, exit 1)
├── ConflictError          the state does not allow it (409, exit 3)
├── NotAllowedError        the person has no right to do it (403, exit 3)
├── UntrustedRequestError  a signature or token does not verify (400 or 404)
├── TooCostlyError         it would take longer than it may (503, exit 1)
├── SetupError             the installation is incomplete (exit 1)
└── TransportError         mail could not be handed over
    ├── TemporaryTransportError
    ├── PermanentTransportError
    └── UnknownOutcomeError
"""

from collections.abc import Sequence
from dataclasses import dataclass


class MailerError(Exception):
    """Base of every error that a person may read; `mend` says what to do about it."""

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input: `where` it stands, `what` is wrong, how to `mend` it."""

    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f" ({self.mend})" if self.mend else "")


class InputError(MailerError):
    """What was given is wrong; `problems` lists everything found, not just the first."""

    def __init__(self, problems: str | Sequence[Problem], *, where: str = "", mend: str = "") -> None:
        found = [Problem(where, problems, mend)] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(str(problem) for problem in found))
        self.problems = found


class NotFoundError(MailerError):
    """No such thing."""


class ConflictError(MailerError):
    """The state of the thing does not allow what was asked."""


class NotAllowedError(MailerError):
    """The person has no right to do this."""


class UntrustedRequestError(MailerError):
    """A token or signature does not verify."""


class TooCostlyError(MailerError):
    """What was asked would take longer than it may."""


class SetupError(MailerError):
    """The installation is incomplete or contradicts itself."""


class TransportError(MailerError):
    """A mail could not be handed to the next server."""


class TemporaryTransportError(TransportError):
    """A 4yz reply or no connection: another try may succeed (RFC 5321, section 4.2.1)."""


class PermanentTransportError(TransportError):
    """A 5yz reply: the same try will fail again (RFC 5321, section 4.2.1)."""


class UnknownOutcomeError(TransportError):
    """The final dot was written and no reply came (RFC 1047)."""
