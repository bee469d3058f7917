"""Whether the first share of a campaign goes out alone and is watched, how large it is, and who is in it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CANARY_ORDINALS = 10
"""Batches of a canary have ordinals below this: at most 2,000 mails, 200 a batch, were they all of one provider."""
SAMPLE = 2_000
IMPORT_IS_NEW_DAYS, DOMAIN_IS_NEW_DAYS = 14, 30
NEW_IMPORT_SHARE = 0.01


class CanaryReason(StrEnum):
    """Why a campaign has a canary."""

    NOT_MAILED_LATELY = "not_mailed_lately"
    NEW_IMPORT = "new_import"
    NEW_DOMAIN = "new_domain"


@dataclass(frozen=True)
class Rules:
    """Values of the workspace (workspace/limits.py)."""

    above: int = 2_000
    share: float = 0.05
    least: int = 500
    most: int = 2_000
    stale_share: float = 0.2
    watch_seconds: float = 1_800.0


@dataclass(frozen=True)
class Facts:
    """What is known of an audience, of which `sample` people were looked at.

    `stale`: so many of these were not mailed for long; `imported`: so many came by a new import and were never mailed.
    """

    sendable: int
    sample: int
    stale: int
    imported: int
    is_new_domain: bool


@dataclass(frozen=True)
class CanaryPlan:
    """`size` of `whole` mails go first; each reason with the share of the audience that it is about, if any."""

    size: int
    whole: int
    reasons: Mapping[CanaryReason, float | None]
    watch_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return what the sending keeps."""
        reasons = {reason.value: share for reason, share in self.reasons.items()}
        return {"size": self.size, "of": self.whole, "reasons": reasons, "watch_seconds": self.watch_seconds}


def decide_canary(facts: Facts, rules: Rules) -> CanaryPlan | None:
    """Return the plan of a canary; None where the campaign may go out at once."""
    if facts.sendable <= rules.above or rules.watch_seconds <= 0:
        return None
    stale, imported = (count / facts.sample if facts.sample else 0.0 for count in (facts.stale, facts.imported))
    reasons: dict[CanaryReason, float | None] = {}
    if stale >= rules.stale_share:
        reasons[CanaryReason.NOT_MAILED_LATELY] = round(stale, 3)
    if imported >= NEW_IMPORT_SHARE:
        reasons[CanaryReason.NEW_IMPORT] = round(imported, 3)
    if facts.is_new_domain:
        reasons[CanaryReason.NEW_DOMAIN] = None
    size = min(rules.most, max(rules.least, round(rules.share * facts.sendable)))
    if not reasons or size >= facts.sendable:
        return None
    return CanaryPlan(size, facts.sendable, reasons, rules.watch_seconds)


def share_out(size: int, by_provider: Mapping[str, int]) -> dict[str, int]:
    """Return how many of each mailbox provider go first: in proportion, exactly `size` in all, nobody's left out.

    What is left after rounding down goes to those who lost most by it.
    """
    whole = sum(by_provider.values())
    if size >= whole:
        return dict(by_provider)
    exact = {name: size * count / whole for name, count in by_provider.items()}
    given = {name: int(share) for name, share in exact.items()}
    by_loss = sorted(exact, key=lambda name: (given[name] - exact[name], name))
    for name in by_loss[: size - sum(given.values())]:
        given[name] += 1
    return given
