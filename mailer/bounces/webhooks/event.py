"""What a provider's call says, in our words, and how its values are read: each may be missing or of any kind. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from mailer.delivery.reasons import HARD_REASONS, Reason, find_reason, reason_of_status
from mailer.statuses import ProviderEvent

MAX_TEXT = 1_000
_MILLISECONDS_FROM = 100_000_000_000
"""A larger number of seconds would lie in the year 5138."""


@dataclass(frozen=True)
class Reported:
    """One event. `message_id` is the provider's own id of the mail, or our Message-ID where it passes that on.

    `event_id` tells a repeated call; `detail` is what the provider or the server behind it said.
    """

    event: ProviderEvent
    recipient: str | None = None
    message_id: str | None = None
    event_id: str | None = None
    timestamp: datetime | None = None
    detail: str | None = None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return a JSON array, one of one for an object, an empty one for anything else."""
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def text(*values: Any) -> str | None:
    """Return the first that is a word or a number, as text; None where none is."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            continue
        if said := str(value).strip():
            return said[:MAX_TEXT]
    return None


def address(*values: Any) -> str | None:
    """Return the first that holds an address, without the name beside it."""
    for value in values:
        said = text(value[0] if isinstance(value, list) and value else value)
        if said is not None:
            return parseaddr(said)[1] or said
    return None


def moment(*values: Any) -> datetime | None:
    """Return the first that is a time: ISO 8601, or seconds or milliseconds since 1970."""
    for value in values:
        said = text(value)
        if said is not None and (found := _read_moment(said)) is not None:
            return found
    return None


def _read_moment(said: str) -> datetime | None:
    try:
        number = float(said)
    except ValueError:
        return _read_iso(said)
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _read_iso(said: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(said)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        return None


def bounced(said: str | None, status: str | None = None, *, is_permanent: bool) -> ProviderEvent:
    """Return how hard a bounce is: hard only where the provider says so and the server's words do not say otherwise.

    A full mailbox, a policy or a sender's fault kills no address, whatever the provider makes of it.
    """
    if not is_permanent:
        return ProviderEvent.SOFT_BOUNCE
    reason = find_reason(said or "") or reason_of_status(status or "")
    is_dead = reason is Reason.UNKNOWN or reason in HARD_REASONS
    return ProviderEvent.HARD_BOUNCE if is_dead else ProviderEvent.SOFT_BOUNCE
