"""Values of several parts behind an operator: behavior, activities, tasks, topics, suppressions, consent. Pure.

Parts that are not filled in are as if they were not there (FEATURES S4); a line whose main part is blank says nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mailer.errors import InputError, Problem
from mailer.segments.tree import (
    ActivityTest,
    Behavior,
    ConsentTest,
    FollowUpTest,
    NumberTest,
    SuppressionTest,
    TextTest,
    TopicTest,
)
from mailer.segments.values import (
    is_blank,
    read_name,
    read_names,
    read_number,
    read_number_test,
    read_object,
    read_period,
    read_test,
    read_text,
    read_texts,
    read_words,
)
from mailer.statuses import FollowUpKind, FollowUpOutcome, FollowUpStatus, Purpose, SuppressionReason

MAX_CAMPAIGNS = 100
MAX_OWN_VALUES = 20
_MAX_TIMES = 10_000
_BEHAVIOR_KEYS = frozenset({"campaign", "link", "period", "at_least", "count", "machine", "kind"})
_ACTIVITY_KEYS = frozenset({"kind", "period", "count", "sum", "amount", "data", "currency"})
_FOLLOW_UP_KEYS = frozenset({"outcome", "status", "kind", "campaign", "period", "at_least", "count"})
_TOPIC_KEYS = frozenset({"topic", "period"})
_SUPPRESSION_KEYS = frozenset({"reason", "scope", "period"})
_CONSENT_KEYS = frozenset({"purpose", "period"})
T = TypeVar("T")


def read_behavior(field: str, value: object) -> Behavior:
    """Return what a contact did with mails; nothing filled in: any mail, ever."""
    data = read_object({} if is_blank(value) else value, _BEHAVIOR_KEYS)
    kind = data.get("kind")
    if kind is not None and (field != "bounced" or kind not in ("hard", "soft")):
        raise InputError("only bounced has a kind: hard or soft", where=".kind")
    if "link" in data and field != "clicked":
        raise InputError("only clicked has a link", where=".link")
    return Behavior(
        campaigns=_campaigns(data),
        link=_part(data, "link", read_name),
        period=_part(data, "period", read_period),
        count=_count(data),
        with_machines=_switch(data, "machine"),
        kind=kind,
    )


def read_activity(value: object) -> ActivityTest | None:
    """Return what a contact did elsewhere; a text alone is the kind. None where the kind is blank."""
    data = read_object(value if isinstance(value, Mapping) else {"kind": value}, _ACTIVITY_KEYS)
    if "kind" not in data:
        return None
    currency = _part(data, "currency", read_text)
    return ActivityTest(
        kind=_inside(".kind", read_text, data["kind"]),
        period=_part(data, "period", read_period),
        count=_part(data, "count", read_number_test),
        sum=_part(data, "sum", read_number_test),
        amount=_part(data, "amount", read_number_test),
        data=_own_values(data.get("data", {})),
        currency=currency.upper() if currency else None,
    )


def _own_values(value: object) -> tuple[tuple[str, NumberTest | TextTest], ...]:
    if not isinstance(value, Mapping) or len(value) > MAX_OWN_VALUES:
        raise InputError(f"data holds tests by key, {MAX_OWN_VALUES} at most", where=".data")
    found = []
    for key, test in value.items():
        name = _inside(".data", _own_key, key)
        one = None if is_blank(test) else _inside(f".data.{name}", _any_test, test)
        if one is not None:
            found.append((name, one))
    return tuple(found)


def _own_key(value: object) -> str:
    key = read_text(value)
    if not key or '"' in key or "\\" in key:  # it stands inside a JSON path
        raise InputError("a key has no quotation marks")
    return key


def _any_test(value: object) -> NumberTest | TextTest | None:
    return read_test(value, may_be_text=True)


def read_follow_up(value: object) -> FollowUpTest:
    """Return which tasks are meant; nothing filled in: any task, ever."""
    data = read_object({} if is_blank(value) else value, _FOLLOW_UP_KEYS)
    return FollowUpTest(
        outcomes=_words(data, "outcome", tuple(FollowUpOutcome)),
        statuses=_words(data, "status", tuple(FollowUpStatus)),
        kinds=_words(data, "kind", tuple(FollowUpKind)),
        campaigns=_campaigns(data),
        period=_part(data, "period", read_period),
        count=_count(data),
    )


def read_topics(value: object) -> TopicTest | None:
    """Return topics, by name, and since when; None where no topic is named."""
    data = read_object(value if isinstance(value, Mapping) else {"topic": value}, _TOPIC_KEYS)
    if "topic" not in data:
        return None
    return TopicTest(_inside(".topic", read_texts, data["topic"]), _part(data, "period", read_period))


def read_suppression(value: object) -> SuppressionTest:
    """Return why and since when; nothing filled in: whatever the reason."""
    parts = {} if value is True else value if isinstance(value, Mapping) else {"reason": value}
    data = read_object(parts, _SUPPRESSION_KEYS)
    scope = data.get("scope")
    if scope is not None and scope not in ("all", "topic"):
        raise InputError("a suppression is for all mail or for a topic", where=".scope", mend="all or topic")
    place = ".reason" if isinstance(value, Mapping) else ""
    reasons = _inside(place, _reasons, data["reason"]) if "reason" in data else ()
    return SuppressionTest(reasons, scope, _part(data, "period", read_period))


def _reasons(value: object) -> tuple[str, ...]:
    return read_words(value, tuple(SuppressionReason), "suppressed")


def read_consent(op: str, value: object) -> ConsentTest:
    """Return what for and since when; nothing filled in: e-marketing, whenever."""
    data = read_object({} if is_blank(value) else value, _CONSENT_KEYS)
    if op == "never" and "period" in data:
        raise InputError("what never was has no period", where=".period")
    purposes = _words(data, "purpose", tuple(Purpose))
    return ConsentTest(purposes[0] if purposes else Purpose.E_MARKETING.value, _part(data, "period", read_period))


# ------------------------------------------------------------------ parts


def _count(data: Mapping[str, Any]) -> NumberTest | None:
    """Return the test of "how often": `count`, or `at_least`, the short form; none is "at least once"."""
    if "at_least" not in data:
        return _part(data, "count", read_number_test)
    if "count" in data:
        raise InputError("at_least is a count already", where=".count", mend="leave one of them out")
    times = data["at_least"]
    if type(times) is not int or not 1 <= times <= _MAX_TIMES:
        raise InputError("at_least is a number from 1", where=".at_least")
    return NumberTest(">=", (read_number(times),)) if times > 1 else None


def _campaigns(data: Mapping[str, Any]) -> tuple[int | str, ...]:
    return _inside(".campaign", _read_campaigns, data["campaign"]) if "campaign" in data else ()


def _read_campaigns(value: object) -> tuple[int | str, ...]:
    try:
        return read_names(value, MAX_CAMPAIGNS)
    except InputError as error:
        raise InputError("a campaign is named by its id or name", mend=error.message) from error


def _words(data: Mapping[str, Any], name: str, words: tuple[str, ...]) -> tuple[str, ...]:
    if name not in data:
        return ()
    return _inside(f".{name}", lambda value: read_words(value, words, name), data[name])


def _switch(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise InputError(f"{name} is true or false", where=f".{name}")
    return value


def _part(data: Mapping[str, Any], name: str, read: Callable[[object], T]) -> T | None:
    return _inside(f".{name}", read, data[name]) if name in data else None


def _inside(where: str, read: Callable[[object], T], value: object) -> T:
    try:
        return read(value)
    except InputError as error:
        raise InputError([Problem(where + one.where, one.what, one.mend) for one in error.problems]) from error
