"""A rule in plain words. Pure: the sentence that people read beside the editor (FEATURES S15)."""

from collections.abc import Mapping

from mailer.segments.periods import DateOp, DateTest, Unit
from mailer.segments.rules import ActivityTest, Behavior, Group, Line, Mode, NumberTest

_OPS = {
    "equals": "is", "not_equals": "is not", "is_exactly": "is exactly", "is_not_exactly": "is not exactly",
    "contains": "contains", "not_contains": "does not contain", "starts_with": "starts with",
    "not_starts_with": "does not start with", "ends_with": "ends with", "not_ends_with": "does not end with",
    "is_empty": "is empty", "is_not_empty": "is not empty", "is_one_of": "is one of", "is_none_of": "is none of",
    "has_all_of": "has all of", "has_not_all_of": "has not all of", "yes": "is yes", "no": "is no",
}  # fmt: skip
_NUMBERS = {
    "=": "is", "<>": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
}  # fmt: skip
_BEHAVIORS = {
    "sent": ("was sent", "was not sent"),
    "opened": ("opened", "did not open"),
    "clicked": ("clicked in", "did not click in"),
    "bounced": ("bounced on", "did not bounce on"),
    "complained": ("complained about", "did not complain about"),
}
_UNITS: Mapping[Unit, str] = {Unit.HALF_YEAR: "half-year"}


def describe_rule(group: Group) -> str:
    """Return a sentence: "Contacts whose city is Oslo and who opened a mail in the previous 3 months"."""
    return "Contacts: " + describe_group(group) if group.items else "All contacts"


def describe_group(group: Group) -> str:
    """Return the words of a group, nested groups in brackets."""
    if not group.items:
        return "anyone"
    words = [describe_line(item) if isinstance(item, Line) else f"({describe_group(item)})" for item in group.items]
    if group.mode is Mode.NONE:
        return "none of: " + "; ".join(words)
    return (" and " if group.mode is Mode.ALL else " or ").join(words)


def describe_line(line: Line) -> str:
    """Return the words of one condition."""
    name = line.field.replace(".", "'s ").replace("_", " ")
    match line.value:
        case Behavior():
            return _behavior(line, line.value)
        case ActivityTest():
            return _activity(line, line.value)
        case DateTest():
            return f"{name} is {describe_period(line.value)}"
        case NumberTest():
            return f"{name} {_number(line.value)}"
        case _:
            return _words(line, name)


def _words(line: Line, name: str) -> str:
    listed = ", ".join(line.value) if isinstance(line.value, tuple) else line.value or ""
    match line.field:
        case "segment":
            return f"is {'' if line.op == 'in' else 'not '}in {listed}"
        case "topic":
            return f"is {line.op.replace('_', ' ')}{' from' if line.op == 'unsubscribed' else ' to'} {listed}"
        case "suppressed":
            because = f" because of {listed}" if listed else ""
            return f"is {'' if line.op == 'yes' else 'not '}suppressed{because}"
        case _:
            pass
    op = _OPS.get(line.op, line.op.replace("_", " "))
    return f"{name} {op} {listed}".rstrip()


def _behavior(line: Line, test: Behavior) -> str:
    words = _BEHAVIORS[line.field][line.op == "did_not"]
    what = f"the campaign {test.campaign}" if test.campaign is not None else "a mail"
    if test.kind:
        what += f" ({test.kind})"
    if test.link:
        what += f", link {test.link},"
    times = f" at least {test.at_least} times" if test.at_least > 1 else ""
    period = f", {describe_period(test.period)}" if test.period else ""
    return f"{words} {what}{times}{period}{', machines counted' if test.with_machines else ''}"


def _activity(line: Line, test: ActivityTest) -> str:
    parts = ["has" if line.op == "has" else "has not", test.kind.replace("_", " ")]
    if test.count:
        parts.append("whose number " + _number(test.count))
    if test.sum:
        parts.append("whose sum " + _number(test.sum) + (f" {test.currency}" if test.currency else ""))
    parts += [f"with {key} that {_number(number)}" for key, number in test.data]
    return " ".join(parts) + (f", {describe_period(test.period)}" if test.period else "")


def _number(test: NumberTest) -> str:
    shown = [f"{number:,}" for number in test.numbers]
    return f"is between {shown[0]} and {shown[1]}" if test.op == "between" else f"{_NUMBERS[test.op]} {shown[0]}"


def describe_period(test: DateTest) -> str:
    """Return the words of a date test, "in the previous 2 months"."""
    if test.days:
        joined = " and ".join(day.isoformat() for day in test.days)
        return f"{test.op} {joined}"
    unit = _UNITS.get(test.unit, test.unit.value) + ("s" if test.n > 1 else "")
    count = f"{test.n} " if test.n > 1 else ""
    match test.op:
        case DateOp.THIS:
            return f"in this {_UNITS.get(test.unit, test.unit.value)}"
        case DateOp.THIS_AND_PREVIOUS:
            return f"in this and the previous {count}{unit}"
        case DateOp.THIS_AND_NEXT:
            return f"in this and the next {count}{unit}"
        case DateOp.PREVIOUS | DateOp.NEXT:
            return f"in the {test.op} {count}{unit}"
        case _:
            return test.op.replace("_", " ")
