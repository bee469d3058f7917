"""What the sink does wrong, on purpose: rules by phase, recipient and probability, drawn from a seed.

A rule is a JSON object: `{"at": PHASE, "do": ACTION}` and, if wanted, `text` (the reply), `match` (a glob on the
recipient; at `mail` on the sender), `probability` (1.0), `times` (how often at most), `seconds` (for `delay` and, a
byte, for `slow`). Rules are tried in order; the first that applies is played.
"""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

PHASES = ("greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot", "quit")


class Action(StrEnum):
    """What a rule plays instead of the usual answer."""

    REPLY = "reply"  # `text`; a 421 closes after it
    CLOSE = "close"  # FIN instead of an answer
    RST = "rst"  # RST instead of an answer
    STALL = "stall"  # never another byte on this connection
    GARBAGE = "garbage"  # bytes that are no reply
    HUGE = "huge"  # a reply line of 2 MB
    SPLIT = "split"  # the usual answer, or `text`, a byte at a time
    SLOW = "slow"  # the same with `seconds` between the bytes
    DELAY = "delay"  # the usual answer, or `text`, after `seconds`
    EARLY = "early"  # the usual answer, or `text`, before the command has come
    DROP = "drop"  # at the dot: the mail is taken and logged, then the connection closes without an answer


@dataclass
class Rule:
    """One fault; `left` counts down where `times` was given."""

    at: str
    do: Action
    text: str = ""
    match: str = ""
    probability: float = 1.0
    seconds: float = 0.0
    left: int = -1


@dataclass
class Faults:
    """All rules and the chance that plays them. `extensions` replaces what EHLO offers."""

    rules: list[Rule] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    extensions: list[str] | None = None

    def find(self, phase: str, address: str = "", *, early: bool = False) -> Rule | None:
        """Return the rule that is played now, counting it as used; None for the usual answer."""
        for rule in self.rules:
            if rule.at != phase or rule.left == 0 or (rule.do is Action.EARLY) is not early:
                continue
            if rule.match and not fnmatchcase(address, rule.match):
                continue
            if rule.probability < 1.0 and self.chance.random() >= rule.probability:
                continue
            rule.left -= rule.left > 0
            return rule
        return None


def parse_faults(data: dict[str, Any]) -> Faults:
    """Return the faults that `{"seed": n, "extensions": […], "rules": […]}` names.

    Raises:
        ValueError: a key, phase or action is not known.
    """
    if unknown := data.keys() - {"seed", "extensions", "rules"}:
        raise ValueError(f"unknown keys in faults: {sorted(unknown)}")
    rules = [_parse_rule(dict(rule)) for rule in data.get("rules", [])]
    return Faults(rules, random.Random(int(data.get("seed", 0))), data.get("extensions"))


def _parse_rule(data: dict[str, Any]) -> Rule:
    times = int(data.pop("times", -1))
    if unknown := data.keys() - {"at", "do", "text", "match", "probability", "seconds"}:
        raise ValueError(f"unknown keys in a rule: {sorted(unknown)}")
    rule = Rule(**{**data, "do": Action(data["do"]), "left": times})
    if rule.at not in PHASES:
        raise ValueError(f"unknown phase {rule.at}; known: {', '.join(PHASES)}")
    if rule.do is Action.REPLY and not rule.text:
        raise ValueError("a reply needs its text")
    return rule
