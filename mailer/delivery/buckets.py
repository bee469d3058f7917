"""Which limits a batch must ask: its sending's, the relay's, the mailbox provider's, the sending domain's. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailer.delivery.relays import PlannedRelay
from mailer.delivery.throttle import Bucket, Budget, Limit


@dataclass(frozen=True)
class SendingLimits:
    """What a sending brings along: a rate of its own, and what is left of its domain's day while that warms up."""

    sending_id: int
    rate_per_second: float | None = None
    warm_up: Budget | None = None

    @property
    def asker(self) -> str:
        """The name under which its batches wait for their turn."""
        return f"sending:{self.sending_id}"


def list_limits(
    relay: PlannedRelay, sending: SendingLimits, provider: str, provider_rates: Mapping[str, float]
) -> tuple[Limit, ...]:
    """Return the limits of a batch, the fewest that say it all; none where nothing limits it: then nobody is asked."""
    found: list[Limit] = []
    if sending.rate_per_second is not None:
        found.append(Bucket(f"sending:{sending.sending_id}", sending.rate_per_second))
    if relay.rate_per_second is not None or relay.adapts:
        found.append(relay_bucket(relay))
    if relay.adapts:
        found.append(provider_bucket(relay, provider, provider_rates))
    if sending.warm_up is not None and relay.adapts:
        found.append(sending.warm_up)
    return tuple(found)


def relay_bucket(relay: PlannedRelay) -> Bucket:
    """Return what counts all mails through a relay."""
    return Bucket(f"relay:{relay.key}", relay.rate_per_second)


def provider_bucket(relay: PlannedRelay, provider: str, provider_rates: Mapping[str, float]) -> Bucket:
    """Return what counts mails through a relay to one mailbox provider, and slows down when told to."""
    return Bucket(f"provider:{relay.key}:{provider}", provider_rates.get(provider) or None)
