"""A fact about a message as a value: what SMTP replies, reports, webhooks and tracking all become."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mailer.statuses import EventKind, HitClass


@dataclass(frozen=True)
class DeliveryEvent:
    """One normalized fact.

    `dedupe_key` makes it safe to repeat, at most 100 characters; `link` is the tracked link's id; `reason` and `code`
    say why (a word of docs/reference, an enhanced status code of RFC 3463).
    """

    message_id: int
    kind: EventKind
    at: datetime
    dedupe_key: str
    hit_class: HitClass | None = None
    link: int | None = None
    reason: str = ""
    code: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def proves_acceptance(self) -> bool:
        """Whether an `unknown` message was accepted after all: anything but a machine's or prefetch's fetch."""
        return self.hit_class in (None, HitClass.HUMAN) and self.kind is not EventKind.UNSUBSCRIBE
