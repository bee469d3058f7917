"""The words of one line of a rule, as a statement ("city is Oslo") and as a clause ("whose city is Oslo"). Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mailer.segments.fields import Kind
from mailer.segments.periods import DateOp, DateTest, Unit
from mailer.segments.tree import (
    ActivityTest,
    Behavior,
    ConsentTest,
    FollowUpTest,
    Line,
    NumberTest,
    SuppressionTest,
    TextTest,
    TopicTest,
)

_OPS = {
    "equals": "is", "not_equals": "is not", "is_exactly": "is exactly", "is_not_exactly": "is not exactly",
    "contains": "contains", "not_contains": "does not contain", "starts_with": "starts with",
    "not_starts_with": "does not start with", "ends_with": "ends with", "not_ends_with": "does not end with",
    "is_empty": "is empty", "is_not_empty": "is not empty",
}  # fmt: skip
_NUMBERS = {
    "=": "is", "<>": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
}  # fmt: skip
_COUNTS = {
    "=": "exactly", "<>": "not exactly", "<": "fewer than", "<=": "at most", ">": "more than", ">=": "at least",
}  # fmt: skip
_SUMS = {**_COUNTS, "<>": "other than", "<": "less than"}
_FIELDS = {
    "email": "address", "email.domain": "mail domain", "email.provider": "mailbox provider",
    "email.status": "address status", "basis": "legal basis", "consent_source": "source of permission",
}  # fmt: skip
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PLAIN = re.compile(r"[\w@.+/&:%#-]+(?: [\w@.+/&:%#-]+)*")


@dataclass(frozen=True)
class Names:
    """What ids and keys of a rule are called: segments, campaigns and tracked links by id, own fields by key."""

    segments: Mapping[int, str] = field(default_factory=dict)
    campaigns: Mapping[int, str] = field(default_factory=dict)
    links: Mapping[int, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Phrase:
    """A line in words: a statement about one contact, and a clause about contacts."""

    statement: str
    clause: str


def _whose(name: str, rest: str) -> Phrase:
    return Phrase(f"{name} {rest}", f"whose {name} {rest}")


def _who(one: str, many: str, rest: str = "") -> Phrase:
    tail = f" {rest}" if rest else ""
    return Phrase(one + tail, f"who {many}{tail}")


def _is(rest: str) -> Phrase:
    return _who("is", "are", rest)


def _has(rest: str) -> Phrase:
    return _who("has", "have", rest)


def phrase_line(line: Line, names: Names) -> Phrase:
    """Return the words of a line that is switched on."""
    return _PHRASES[line.kind](line, names)


# ------------------------------------------------------------------ values in words


def listed(values: Sequence[int | str], names: Mapping[int, str] | None = None, last: str = "or") -> str:
    """Return values as English lists them, "a, b or c"; ids by their names."""
    words = [_value(value, names or {}) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def _value(value: int | str, names: Mapping[int, str]) -> str:
    text = names.get(value, f"number {value}") if isinstance(value, int) else value
    is_plain = _PLAIN.fullmatch(text) and not {"and", "or", "nor"} & set(text.split())
    return text if is_plain else f"“{text}”"


def _number(number: Decimal) -> str:
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def describe_number(test: NumberTest, words: Mapping[str, str] = _NUMBERS) -> str:
    """Return "is at least 1,000"; `words` are those of the operators."""
    first, last = _number(test.numbers[0]), _number(test.numbers[-1])
    if test.op == "between":
        return f"{'is ' if words is _NUMBERS else ''}between {first} and {last}"
    return f"{words[test.op]} {first}"


def _times(count: NumberTest | None) -> str:
    return f" {describe_number(count, _COUNTS)} times" if count else ""


def describe_period(test: DateTest) -> str:
    """Return the words of a date test, "in the previous 2 months"."""
    if test.days:
        days = [f"{day.day} {_MONTHS[day.month - 1]} {day.year}" for day in test.days]
        return f"{test.op} {' and '.join(days)}"
    unit = "half-year" if test.unit is Unit.HALF_YEAR else test.unit.value
    counted = f"{test.n} {unit}s" if test.n > 1 else unit
    match test.op:
        case DateOp.THIS:
            return "today" if test.unit is Unit.DAY else f"in this {unit}"
        case DateOp.THIS_AND_PREVIOUS:
            return f"in this and the previous {counted}"
        case DateOp.THIS_AND_NEXT:
            return f"in this and the next {counted}"
        case DateOp.PREVIOUS | DateOp.NEXT:
            return f"in the {test.op} {counted}"
        case _:
            return test.op.replace("_", " ")


def _when(test: DateTest | None, before: str = "") -> str:
    return f"{before} {describe_period(test)}" if test else ""


# ------------------------------------------------------------------ fields


def _name(line: Line, names: Names) -> str:
    if line.own_key is not None:
        return names.fields.get(line.own_key, line.own_key.replace("_", " "))
    if line.field in _FIELDS:
        return _FIELDS[line.field]
    return line.field.replace("company.", "company's ").replace("_", " ")


def _texts(line: Line, names: Names) -> Phrase:
    return _whose(_name(line, names), _text_test(line.op, line.value))


def _text_test(op: str, value: Any) -> str:
    values = (value,) if isinstance(value, str) else value or ()
    if op == "is_none_of":
        return f"is neither {listed(values, last='nor')}" if len(values) > 1 else f"is not {listed(values)}"
    return f"{_OPS.get(op, 'is')} {listed(values)}".rstrip()


def _numbers(line: Line, names: Names) -> Phrase:
    return _whose(_name(line, names), _OPS[line.op] if line.value is None else describe_number(line.value))


_MOMENTS: Mapping[str, tuple[str, str, str, str]] = {
    "created_at": ("was added", "were added", "has no date", "have no date"),
    "updated_at": ("was changed", "were changed", "has no date of change", "have no date of change"),
    "last_sent_at": ("was last mailed", "were last mailed", "was never mailed", "were never mailed"),
    "last_opened_at": ("last opened a mail", "last opened a mail", "never opened a mail", "never opened a mail"),
    "last_clicked_at": ("last clicked", "last clicked", "never clicked", "never clicked"),
}
_EVER: Mapping[str, tuple[str, str]] = {
    "last_sent_at": ("was mailed at some time", "were mailed at some time"),
    "last_opened_at": ("opened a mail at some time", "opened a mail at some time"),
    "last_clicked_at": ("clicked at some time", "clicked at some time"),
}


def _dates(line: Line, names: Names) -> Phrase:
    test = line.value if isinstance(line.value, DateTest) else None
    if test is None and line.op not in ("is_empty", "is_not_empty"):
        test = DateTest(DateOp(line.op))
    if line.own_key is None and line.field in _MOMENTS:
        one, many, none, none_many = _MOMENTS[line.field]
        if test is not None:
            return _who(one, many, describe_period(test))
        if line.op == "is_empty":
            return _who(none, none_many)
        one, many = _EVER.get(line.field, ("has a date", "have a date"))
        return _who(one, many)
    if line.own_key is None:
        return _whose(
            "company", "was added" + _when(test) if test else "is known" if "not" in line.op else "is unknown"
        )
    return _whose(_name(line, names), f"is {describe_period(test)}" if test else _OPS[line.op])


def _yes_no(line: Line, names: Names) -> Phrase:
    marked = f"{'is' if line.op == 'yes' else 'is not'} marked “do not mail”"
    if line.own_key is not None:
        return _whose(_name(line, names), f"is {line.op}")
    if line.field == "company.do_not_mail":
        return _whose("company", marked)
    return _is(marked.removeprefix("is "))


def _tags(line: Line, names: Names) -> Phrase:
    what = "tags" if line.own_key is None else _name(line, names)
    values: tuple[str, ...] = line.value or ()
    words = {
        "is_one_of": f"any of the {what} {listed(values)}" if len(values) > 1 else f"{listed(values)} among the {what}",
        "is_none_of": f"none of the {what} {listed(values)}"
        if len(values) > 1
        else f"no {listed(values)} among the {what}",
        "has_all_of": f"all of the {what} {listed(values, last='and')}",
        "has_not_all_of": f"not all of the {what} {listed(values, last='and')}",
        "is_empty": f"no {what}",
        "is_not_empty": f"some {what}",
    }
    return _has(words[line.op])


# ------------------------------------------------------------------ what people did


def _mail(campaigns: Sequence[int | str], names: Names) -> str:
    if not campaigns:
        return "a mail"
    return f"a mail of the campaign{'s' if len(campaigns) > 1 else ''} {listed(campaigns, names.campaigns)}"


def _behavior(line: Line, names: Names) -> Phrase:
    test: Behavior = line.value
    mail, did = _mail(test.campaigns, names), line.op == "did"
    rest = _times(test.count) + _when(test.period) + (", machines counted" if test.with_machines else "")
    if line.field == "sent":
        return _is_past(did, "sent " + mail + rest)
    if line.field == "bounced":
        bounce = f"{test.kind} bounce" if test.kind else "bounce"
        where = f" of {mail}" if test.campaigns else ""
        verb = "had" if did else "did not have"
        return _who(verb, verb, f"a {bounce}{where}{rest}")
    past, plain, what = {
        "opened": ("opened", "open", mail),
        "clicked": ("clicked", "click", _link(test.link, mail, names)),
        "complained": ("complained", "complain", f"about {mail}"),
        "unsubscribed": ("unsubscribed", "unsubscribe", f"through {mail}"),
    }[line.field]
    verb = past if did else f"did not {plain}"
    return _who(verb, verb, what + rest)


def _is_past(did: bool, rest: str) -> Phrase:  # noqa: FBT001 - the line's own yes or no
    return _who("was", "were", rest) if did else _who("was not", "were not", rest)


def _link(link: int | str | None, mail: str, names: Names) -> str:
    return f"in {mail}" if link is None else f"the link {_value(link, names.links)} in {mail}"


def _activity(line: Line, _names: Names) -> Phrase:
    test: ActivityTest = line.value
    kind = test.kind.replace("_", " ")
    parts = [f"with {key} that {_own_test(one)}" for key, one in test.data]
    if test.amount:
        parts.append(f"of which each amount {describe_number(test.amount)}")
    if test.currency:
        parts.append(f"in {test.currency}")
    rest = "".join(f" {part}" for part in parts) + _when(test.period)
    if not test.sum:
        return _amount_of(line.op == "has", f"{kind} activity", f"{kind} activities", rest, test.count)
    times = f", {describe_number(test.count, _COUNTS)} of them," if test.count else ""
    verb = "add up to" if line.op == "has" else "do not add up to"
    return _whose(f"{kind} activities", rest.removeprefix(" ") + f"{times} {verb} {describe_number(test.sum, _SUMS)}")


def _own_test(test: NumberTest | TextTest) -> str:
    return describe_number(test) if isinstance(test, NumberTest) else _text_test(test.op, test.value)


def _amount_of(has: bool, one: str, many: str, rest: str, count: NumberTest | None) -> Phrase:  # noqa: FBT001 - as above
    if count:
        counted = f"{describe_number(count, _COUNTS)} {many}{rest}"
        return _has(counted) if has else _who("does not have", "do not have", counted)
    article = "an" if one[:1].lower() in "aeiou" else "a"
    return _has(f"{article if has else 'no'} {one}{rest}")


def _follow_up(line: Line, names: Names) -> Phrase:
    test: FollowUpTest = line.value
    state = f"{listed(test.statuses)} " if test.statuses else ""
    what = f"{' or '.join(kind.replace('_', '-') for kind in test.kinds)} " if test.kinds else "follow-up "
    rest = f" with the outcome {listed([word.replace('_', ' ') for word in test.outcomes])}" if test.outcomes else ""
    if test.campaigns:
        rest += f" from {_mail(test.campaigns, names)}"
    rest += _when(test.period, " done" if test.outcomes or test.statuses == ("done",) else " created")
    return _amount_of(line.op == "has", f"{state}{what}task", f"{state}{what}tasks", rest, test.count)


# ------------------------------------------------------------------ consent, status, membership


def _topics(line: Line, _names: Names) -> Phrase:
    test: TopicTest = line.value
    words = {"subscribed": "subscribed to", "unsubscribed": "unsubscribed from", "pending": "asked to confirm"}
    state = words[line.op.removeprefix("not_")]
    return _is(("not " if line.op.startswith("not_") else "") + f"{state} {listed(test.topics)}" + _since(test.period))


def _since(period: DateTest | None) -> str:
    return f", which began {describe_period(period)}" if period else ""


def _suppressed(line: Line, _names: Names) -> Phrase:
    test: SuppressionTest = line.value
    because = f" because of {listed([word.replace('_', ' ') for word in test.reasons])}" if test.reasons else ""
    scope = {"all": " for all mail", "topic": " for a topic"}.get(test.scope or "", "")
    return _is(("" if line.op == "yes" else "not ") + f"suppressed{scope}{because}{_since(test.period)}")


def _consent(line: Line, _names: Names) -> Phrase:
    test: ConsentTest = line.value
    purpose, when = test.purpose.replace("e_marketing", "e-marketing"), _when(test.period)
    since = _since(test.period)
    return {
        "given": _has(f"a permission for {purpose}{since}"),
        "withdrawn": _who("withdrew", "withdrew", f"the permission for {purpose}{when}"),
        "expired": _who("had", "had", f"a permission for {purpose} that expired{when}"),
        "never": _who("never had", "never had", f"a permission for {purpose}"),
    }[line.op]


def _membership(line: Line, names: Names) -> Phrase:
    values, known = line.value, names.segments
    if line.op == "in":
        return _is(f"in {listed(values, known)}")
    return _is(f"in neither {listed(values, known, 'nor')}" if len(values) > 1 else f"not in {listed(values, known)}")


_PHRASES: Mapping[Kind, Callable[[Line, Names], Phrase]] = {
    Kind.TEXT: _texts,
    Kind.CHOICE: _texts,
    Kind.NUMBER: _numbers,
    Kind.DATE: _dates,
    Kind.YES_NO: _yes_no,
    Kind.TAGS: _tags,
    Kind.BEHAVIOR: _behavior,
    Kind.ACTIVITY: _activity,
    Kind.FOLLOW_UP: _follow_up,
    Kind.TOPIC: _topics,
    Kind.SUPPRESSED: _suppressed,
    Kind.CONSENT: _consent,
    Kind.SEGMENT: _membership,
}
