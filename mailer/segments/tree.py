"""What a rule is once it is read: groups of lines, and the tests that stand behind their operators. Pure: data.

`rules.py` makes trees, `compile/` turns them into SQL, `explain.py` into words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mailer.segments.fields import Kind
from mailer.segments.periods import DateTest
from mailer.statuses import Purpose


class Mode(StrEnum):
    """How the lines of a group are put together."""

    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True)
class NumberTest:
    """A number operator with one number, or two for `between`."""

    op: str
    numbers: tuple[Decimal, ...]

    @property
    def holds_for_zero(self) -> bool:
        """Whether 0 passes: "at most two" holds for who did nothing."""
        first, last = self.numbers[0], self.numbers[-1]
        answers = {
            "=": first == 0, "<>": first != 0, "<": first > 0, "<=": first >= 0, ">": first < 0, ">=": first <= 0,
        }  # fmt: skip
        return first <= 0 <= last if self.op == "between" else answers[self.op]


@dataclass(frozen=True)
class TextTest:
    """A text operator with its text, its texts, or None for "is empty"."""

    op: str
    value: str | tuple[str, ...] | None


@dataclass(frozen=True)
class Behavior:
    """What a contact did with mails: any mail or those of campaigns (ids or names), a link (tracked id or address)."""

    campaigns: tuple[int | str, ...] = ()
    link: int | str | None = None
    period: DateTest | None = None
    count: NumberTest | None = None
    with_machines: bool = False
    kind: str | None = None


@dataclass(frozen=True)
class ActivityTest:
    """What a contact did elsewhere: a kind of activity, in a period; how many, how much, with which own values."""

    kind: str
    period: DateTest | None = None
    count: NumberTest | None = None
    sum: NumberTest | None = None
    amount: NumberTest | None = None
    data: tuple[tuple[str, NumberTest | TextTest], ...] = ()
    currency: str | None = None


@dataclass(frozen=True)
class FollowUpTest:
    """Which tasks there are about a contact; with outcomes or `done` the period is when it was done, else created."""

    outcomes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    campaigns: tuple[int | str, ...] = ()
    period: DateTest | None = None
    count: NumberTest | None = None


@dataclass(frozen=True)
class TopicTest:
    """A state of the subscription to any of these topics, which began in a period."""

    topics: tuple[str, ...]
    period: DateTest | None = None


@dataclass(frozen=True)
class SuppressionTest:
    """Why an address is suppressed (no reason: whatever it is), for all mail or a topic, since when."""

    reasons: tuple[str, ...] = ()
    scope: str | None = None
    period: DateTest | None = None


@dataclass(frozen=True)
class ConsentTest:
    """What the permission is for, and when it became what it is."""

    purpose: str = Purpose.E_MARKETING.value
    period: DateTest | None = None


@dataclass(frozen=True)
class Line:
    """One condition; `value` has the shape its operator asks for, `place` is where it stands, `all[0].any[2]`.

    `own_key` is the key of an own field, None for a field of ours.
    """

    field: str
    kind: Kind
    op: str
    value: Any
    place: str
    own_key: str | None = None


@dataclass(frozen=True)
class Group:
    """Conditions put together; an empty group says nothing."""

    mode: Mode
    items: tuple["Line | Group", ...]
    place: str = ""


def iter_lines(group: Group) -> Sequence[Line]:
    """Return every line of a tree in order."""
    found: list[Line] = []
    for item in group.items:
        found += [item] if isinstance(item, Line) else iter_lines(item)
    return found


def depth_of(item: Line | Group) -> int:
    """Return how many groups lie within each other; 0 for a line."""
    return 0 if isinstance(item, Line) else 1 + max((depth_of(inner) for inner in item.items), default=0)
