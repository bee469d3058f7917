"""What a rule means, told once more as naively as possible: loops over dictionaries, no SQL, nothing of the compiler.

`holds` takes the JSON of a rule as people write it, so that reading, compiling and executing are all judged.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.segments.comparing import Row, counted, day_in, filled, is_blank, is_of, number_is, tags_are, text_is


@dataclass
class World:
    """Everything there is: people with all that hangs on them, own fields by key, segments by id."""

    people: list[Row] = field(default_factory=list)
    own_fields: dict[str, str] = field(default_factory=dict)
    segments: dict[int, Row] = field(default_factory=dict)
    campaigns: list[Row] = field(default_factory=list)
    zone: str = "UTC"
    today: date = date(2026, 11, 21)


def members(world: World, rule: Row) -> set[int]:
    """The ids of all who are in."""
    return {person["id"] for person in world.people if not person["archived"] and holds(world, rule, person)}


def holds(world: World, rule: Row, person: Row) -> bool:
    """Whether a rule holds for a person; one that says nothing holds for everybody."""
    body = {key: value for key, value in rule.items() if key != "version"}
    return ask(world, body, person) is not False


def ask(world: World, item: Row, person: Row) -> bool | None:
    """True, false, or None for what says nothing."""
    if item.get("off"):
        return None
    for mode in ("all", "any", "none"):
        if mode in item:
            answers = [answer for inner in item[mode] if (answer := ask(world, inner, person)) is not None]
            if not answers:
                return None
            return {"all": all(answers), "any": any(answers), "none": not any(answers)}[mode]
    value = item.get("value")
    if "n" in item or "unit" in item:
        value = {key: item[key] for key in ("n", "unit") if key in item}
    return line(world, item["field"], item["op"], value, person)


def in_segment(world: World, segment: Row, person: Row) -> bool:
    """Whether a person is in a stored segment; archived people may be asked about, too."""
    if segment["kind"] == "static":
        return person["id"] in segment["members"]
    if segment["kind"] == "dynamic":
        return holds(world, segment["rule"], person)
    found = [in_segment(world, world.segments[number], person) for number in segment["inputs"]]
    if segment["operation"] == "union":
        return any(found)
    if segment["operation"] == "intersection":
        return all(found)
    first, second = found
    return {
        "only_first": first and not second,
        "only_second": second and not first,
        "exactly_one": first + second == 1,
    }[segment["operation"]]


def at_in(world: World, at: datetime | None, period: Row | None) -> bool:
    """Whether an instant lies on the days of a period, where the workspace is; no period is always."""
    if not period:
        return True
    return at is not None and day_in(at.astimezone(ZoneInfo(world.zone)).date(), period, world.today)


# ------------------------------------------------------------------ lines


def line(world: World, name: str, op: str, value: Any, person: Row) -> bool | None:
    """One line of a rule."""
    own = world.own_fields.get(name.removeprefix("own."))
    if own is not None:
        return own_line(world, own, person["data"].get(name.removeprefix("own.")), op, value)
    if name in ("sent", "opened", "clicked", "bounced", "complained", "unsubscribed"):
        return behavior(world, name, op, filled(value), person)
    if name in _ROOMS:
        return _ROOMS[name](world, op, value, person)
    if needs_value(op) and is_blank(value):
        return None
    if name.endswith("_at"):
        return date_line(world, op, value, moment(name, person))
    if name == "tags":
        return tags_are(op, person["tags"], value if isinstance(value, list) else [value])
    if name in ("do_not_mail", "company.do_not_mail"):
        company = person["company"] or {}
        marked = person["do_not_mail"] if name == "do_not_mail" else company.get("do_not_mail", False)
        return marked == (op == "yes")
    if name in _WORDS:
        have = _WORDS[name](world, person)
        if op in ("is_empty", "is_not_empty"):
            return (have == _NOTHING[name]) == (op == "is_empty")
        wanted = value if isinstance(value, list) else [value]
        return (have in wanted) == (op in ("equals", "is_one_of"))
    return text_is(op, [text_of(name, person)], value)


def needs_value(op: str) -> bool:
    return op not in ("is_empty", "is_not_empty", "yes", "no", "today", "before_today", "after_today")


def text_of(name: str, person: Row) -> str | None:
    address, company, consent = person["address"] or {}, person["company"] or {}, person["consent"] or {}
    if name.startswith("email"):
        if not address.get("email"):
            return None
        return str(address[{"email": "email", "email.domain": "domain", "email.provider": "provider"}[name]])
    if name == "company":
        return company.get("name")
    if name == "company.owner":
        return company.get("owner")
    if name.startswith("company."):
        return company.get(name.removeprefix("company."))
    return consent.get("source") if name == "consent_source" else person[name]


def permission(world: World, person: Row) -> str:
    consent = person["consent"]
    return consent["permission"] if consent and in_force(world, consent) else "none"


def in_force(world: World, consent: Row) -> bool:
    expires = consent["expires_at"]
    return expires is None or expires.astimezone(ZoneInfo(world.zone)).date() >= world.today


def address_status(_world: World, person: Row) -> str:
    address = person["address"]
    if not address or not address["email"]:
        return "no_address"
    if not address["is_valid"]:
        return "invalid_address"
    return {"hard": "hard_bounce", "asleep": "asleep", "ok": "ok"}[address["bounce_state"]]


_WORDS: dict[str, Callable[[World, Row], str]] = {
    "permission": permission,
    "basis": lambda _world, person: (person["consent"] or {}).get("basis") or "",
    "email.status": address_status,
}
_NOTHING = {"permission": "none", "basis": "", "email.status": "no_address"}


def own_line(world: World, kind: str, have: Any, op: str, value: Any) -> bool | None:
    if needs_value(op) and is_blank(value):
        return None
    if kind in ("text", "choice"):
        return text_is(op, [have], value)
    if kind == "number":
        return number_is(op, have, value)
    if kind == "yes_no":
        return (str(have).lower() in ("true", "1")) == (op == "yes")
    if kind == "tags":
        return tags_are(op, have or [], value if isinstance(value, list) else [value])
    return date_line(world, op, value, date.fromisoformat(have) if have else None)


def moment(name: str, person: Row) -> datetime | None:
    if name == "company.created_at":
        return (person["company"] or {}).get("created_at")
    if name == "last_sent_at":
        return max((one["accepted_at"] for one in person["messages"] if one["accepted_at"]), default=None)
    if name in ("last_opened_at", "last_clicked_at"):
        kind, classes = ("open", ("human", "proxy")) if name == "last_opened_at" else ("click", ("human",))
        return max((e["at"] for e in person["events"] if e["kind"] == kind and e["class"] in classes), default=None)
    at: datetime = person[name]
    return at


def date_line(world: World, op: str, value: Any, have: date | datetime | None) -> bool | None:
    if op in ("is_empty", "is_not_empty"):
        return (have is None) == (op == "is_empty")
    if have is None:
        return False
    day = have.astimezone(ZoneInfo(world.zone)).date() if isinstance(have, datetime) else have
    return day_in(day, value if op == "in" else {"op": op, "value": value}, world.today)


def behavior(world: World, name: str, op: str, parts: Row, person: Row) -> bool:
    found = 0
    if name == "sent":
        for message in person["messages"]:
            right = message["accepted_at"] and at_in(world, message["accepted_at"], parts.get("period"))
            found += bool(right) and ("campaign" not in parts or is_of([message["campaign"]], parts["campaign"]))
        return counted(found, parts) == (op == "did")
    kinds = {
        "opened": ["open"], "clicked": ["click"], "complained": ["complaint"], "unsubscribed": ["unsubscribe"],
        "bounced": [f"{kind}_bounce" for kind in ([parts["kind"]] if "kind" in parts else ["hard", "soft"])],
    }[name]  # fmt: skip
    classes = {"human", "proxy", "machine", None}
    if name in ("opened", "clicked") and not parts.get("machine"):
        classes = {"human", "proxy"} if (name, op) == ("opened", "did_not") else {"human"}
    for event in person["events"]:
        if (
            event["kind"] not in kinds
            or event["class"] not in classes
            or not at_in(world, event["at"], parts.get("period"))
        ):
            continue
        if "campaign" in parts and not is_of([event["campaign"]], parts["campaign"]):
            continue
        if "link" in parts and parts["link"] not in (event["link_id"], event["url"]):
            continue
        found += 1
    return counted(found, parts) == (op == "did")


def activity(world: World, op: str, value: Any, person: Row) -> bool | None:
    parts = filled(value if isinstance(value, dict) else {"kind": value})
    if "kind" not in parts:
        return None
    found = [
        one
        for one in person["activities"]
        if one["kind"] == parts["kind"] and at_in(world, one["at"], parts.get("period"))
    ]
    if "currency" in parts:
        found = [one for one in found if one["currency"] == parts["currency"].upper()]
    if "amount" in parts:
        test = parts["amount"]
        found = [one for one in found if number_is(test["op"], major(one["amount"]), test["value"])]
    for key, test in parts.get("data", {}).items():
        found = [one for one in found if own_value(one["data"].get(key), test)]
    answer = counted(len(found), parts)
    test = parts.get("sum")
    if test:
        total = number_is(test["op"], sum(one["amount"] or 0 for one in found) / 100, test["value"])
        answer = total and ("count" not in parts or answer)
    return answer == (op == "has")


def major(amount: int | None) -> float | None:
    return None if amount is None else amount / 100


def own_value(have: Any, test: Row) -> bool:
    op, value = test["op"], test.get("value")
    if op in ("=", "<>", "<", "<=", ">", ">=", "between"):
        return is_blank(value) or number_is(op, have, value)
    text = None if have is None or isinstance(have, list | dict) else str(have)
    return text_is(op, [text.lower() if isinstance(have, bool) and text else text], value)


def follow_up(world: World, op: str, value: Any, person: Row) -> bool:
    parts = filled(value)
    found = 0
    done = "outcome" in parts or as_list(parts.get("status")) == ["done"]
    for task in person["tasks"]:
        right = all(task[name] in as_list(parts[name]) for name in ("outcome", "status", "kind") if name in parts)
        right = right and at_in(world, task["done_at"] if done else task["created_at"], parts.get("period"))
        if "campaign" in parts:
            right = right and task["campaign"] is not None and is_of([task["campaign"]], parts["campaign"])
        found += right
    return counted(found, parts) == (op == "has")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def topic(world: World, op: str, value: Any, person: Row) -> bool | None:
    parts = filled(value if isinstance(value, dict) else {"topic": value})
    if "topic" not in parts:
        return None
    names = [name.casefold() for name in as_list(parts["topic"]) if name]
    found = any(
        one["topic"].casefold() in names
        and one["status"] == op.removeprefix("not_")
        and at_in(world, one["updated_at"], parts.get("period"))
        for one in person["topics"]
    )
    return found != op.startswith("not_")


def suppressed(world: World, op: str, value: Any, person: Row) -> bool:
    parts = filled(value if isinstance(value, dict) else {"reason": value})
    found = any(
        not one["lifted"]
        and ("reason" not in parts or one["reason"] in as_list(parts["reason"]))
        and parts.get("scope") in (None, one["scope"])
        and at_in(world, one["created_at"], parts.get("period"))
        for one in person["suppressions"]
    )
    return found == (op == "yes")


def consent(world: World, op: str, value: Any, person: Row) -> bool:
    parts, row = filled(value), person["consent"]
    if row is None or (row["permission"] == "none" and row["expires_at"] is None):
        return op == "never"
    if row["permission"] == "none" and in_force(world, row):
        return False
    state = "withdrawn" if row["permission"] == "withdrawn" else "given" if in_force(world, row) else "expired"
    return state == op and at_in(
        world, row["expires_at"] if op == "expired" else row["updated_at"], parts.get("period")
    )


def segment(world: World, op: str, value: Any, person: Row) -> bool | None:
    if is_blank(value):
        return None
    names = [name for name in as_list(value) if name]
    wanted = [row for number, row in world.segments.items() if number in names or row["name"] in names]
    return any(in_segment(world, row, person) for row in wanted) == (op == "in")


_ROOMS: dict[str, Callable[[World, str, Any, Row], bool | None]] = {
    "activity": activity,
    "follow_up": follow_up,
    "topic": topic,
    "suppressed": suppressed,
    "consent": consent,
    "segment": segment,
}
