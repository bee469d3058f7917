"""Random rules, every operator of every field among them, and random segments that name each other."""

import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from mailer.segments.fields import FIELDS, OPERATORS, Kind, Value
from mailer.statuses import SegmentOperation
from tests.segments import worlds
from tests.segments.comparing import Row
from tests.segments.oracle import World

UNITS = ("day", "week", "month", "quarter", "half_year", "year")
NUMBER_OPS = ("=", "<>", "<", "<=", ">", ">=")
CLOSED = {
    "permission": ("consent", "customer", "business", "none", "withdrawn"),
    "basis": ("consent", "customer", "contract", "legal_duty"),
    "email.status": ("ok", "no_address", "invalid_address", "hard_bounce", "asleep"),
}
OWN_KINDS = {key: Kind(kind) for key, kind in worlds.OWN.items()} | {"own.nick": Kind.TEXT}
PAIRS = [(name, op) for name, kind in (FIELDS | OWN_KINDS).items() for op in OPERATORS[kind]]
"""Every operator of every field, own fields among them."""


class Draw:
    """Draws rules; each operator of each field comes once before any comes twice."""

    def __init__(self, rng: random.Random, world: World) -> None:
        self.rng, self.world = rng, world
        self.deck: list[tuple[str, str]] = []

    def rule(self, names: list[int | str] | None = None) -> Row:
        """A rule; its lines may name the segments `names`."""
        return {"version": 1, self.rng.choice(("all", "any", "none")): self.items(0, names or [])}

    def items(self, depth: int, names: list[int | str]) -> list[Row]:
        return [self.item(depth, names) for _ in range(self.rng.choice((1, 2, 2, 3)))]

    def item(self, depth: int, names: list[int | str]) -> Row:
        rng = self.rng
        if depth < 5 and rng.random() < 0.3:
            group: Row = {
                rng.choice(("all", "any", "none")): self.items(depth + 1, names) if rng.random() < 0.95 else []
            }
            return group | ({"off": True} if rng.random() < 0.04 else {})
        line = self.membership(names) if rng.random() < 0.1 else self.line(names)
        return line | ({"off": True} if rng.random() < 0.04 else {})

    def line(self, names: list[int | str]) -> Row:
        if not self.deck:
            self.deck = list(PAIRS)
            self.rng.shuffle(self.deck)
        name, op = self.deck.pop()
        if FIELDS.get(name) is Kind.SEGMENT:
            return self.membership(names, op)
        kind = FIELDS.get(name) or OWN_KINDS[name]
        value = self.value(OPERATORS[kind][op], name, op)
        if self.rng.random() < 0.03:
            value = self.rng.choice((None, "", []))
        if isinstance(value, dict) and set(value) <= {"n", "unit"} and value and self.rng.random() < 0.5:
            return {"field": name, "op": op, **value}
        return {"field": name, "op": op, "value": value}

    def membership(self, names: list[int | str], op: str = "") -> Row:
        op = op or self.rng.choice(("in", "not_in"))
        return {"field": "segment", "op": op, "value": self.some(names) if names else []}

    # -------------------------------------------------------------- values

    def value(self, shape: Value, name: str, op: str) -> Any:
        rng = self.rng
        makers: dict[Value, Callable[[], Any]] = {
            Value.NOTHING: lambda: None,
            Value.TEXT: lambda: self.text(name),
            Value.TEXTS: lambda: rng.choice(([self.text(name) for _ in range(rng.choice((1, 2, 3)))], self.text(name))),
            Value.NUMBER: self.number,
            Value.NUMBERS: self.numbers,
            Value.DAY: self.day,
            Value.DAYS: self.days,
            Value.PERIOD: lambda: {"n": rng.choice((1, 1, 2, 7, 30)), "unit": rng.choice(UNITS)},
            Value.ANY_PERIOD: self.period,
            Value.BEHAVIOR: lambda: self.behavior(name),
            Value.ACTIVITY: self.activity,
            Value.TOPICS: self.topics,
            Value.SUPPRESSED: self.suppressed,
            Value.CONSENT: lambda: {} if op == "never" else self.optional(period=self.period),
            Value.FOLLOW_UP: self.follow_up,
        }
        return makers[shape]()

    def some(self, values: Any, most: int = 2) -> list[Any]:
        return self.rng.sample(list(values), min(len(values), self.rng.randint(1, most)))

    def text(self, name: str) -> str:
        rng = self.rng
        if name in CLOSED:
            return rng.choice(CLOSED[name])
        person = rng.choice(self.world.people)
        pools: dict[str, Any] = {
            "tags": worlds.TAGS, "likes": worlds.TAGS,
            "owner": ("ola@example.com", "Kari@example.com", "x@example.com"),
            "company.owner": ("ola@example.com", "KARI@example.com"),
            "email": (f"p{person['id']}@example.com", "EXAMPLE"),
            "email.domain": ("example.com", "MAIL"), "email.provider": ("Google", "other"), "city": worlds.CITIES[:5],
            "nick": worlds.NAMES, "own.nick": worlds.NAMES, "size": ("LARGE", "small", "øl"),
            "country": ("norway", "Sver"),
            "company": ("Fjord", "ås 3", "Berg 2"), "consent_source": ("fair", "Form Å"), "external_id": ("x1", "X12"),
        }  # fmt: skip
        text: str = rng.choice(pools.get(name, (*worlds.NAMES, *worlds.WORDS, "nb", "+47", "B")))
        text = text or "Oslo"
        if rng.random() < 0.3:
            text = text[: rng.randint(1, len(text))].strip() or text
        return rng.choice((text, text.upper(), text.lower()))

    def number(self) -> Any:
        return self.rng.choice((0, 1, 2, 2.5, 10, -3, "1000", 9))

    def numbers(self) -> list[Any]:
        return sorted(self.rng.sample((-5, 0, 1, 2.5, 10, 500), 2))

    def test(self, numbers: tuple[Any, ...] = (0, 1, 2, 3)) -> Row:
        rng = self.rng
        if rng.random() < 0.15:
            return {"op": "between", "value": sorted(rng.sample(numbers, 2))}
        return {"op": rng.choice(NUMBER_OPS), "value": rng.choice(numbers) if rng.random() < 0.95 else ""}

    def day(self) -> str:
        return (worlds.TODAY + timedelta(days=int(self.rng.gauss(-60, 150)))).isoformat()

    def days(self) -> list[str]:
        return sorted((self.day(), self.day()))

    def period(self) -> Row:
        rng = self.rng
        op = rng.choice(("before", "on", "after", "between", "today", "before_today", "after_today", *(_RELATIVE * 2)))
        if op in _RELATIVE:
            parts = {"n": rng.choice((1, 2, 3, 12)), "unit": rng.choice(UNITS)}
            return {"op": op, **parts} if rng.random() < 0.8 else {"op": op, "value": parts}
        if op == "between":
            return {"op": op, "value": self.days()}
        return {"op": op, "value": self.day()} if op in ("before", "on", "after") else {"op": op}

    def optional(self, **makers: Callable[[], Any]) -> Row:
        return {key: make() for key, make in makers.items() if self.rng.random() < 0.45}

    def campaign(self) -> Any:
        one = self.rng.choice(self.world.campaigns)
        return self.rng.choice((one["id"], one["name"], [one["id"], "Winter"], "Nowhere"))

    def how_often(self) -> Row:
        return self.rng.choice(({}, {}, {"at_least": self.rng.randint(1, 3)}, {"count": self.test()}))

    def behavior(self, name: str) -> Row:
        makers: dict[str, Callable[[], Any]] = {"campaign": self.campaign, "period": self.period}
        if name == "bounced":
            makers["kind"] = lambda: self.rng.choice(("hard", "soft"))
        if name == "clicked":
            makers["link"] = lambda: self.rng.choice((*worlds.URLS, 1001, 1004))
        if name in ("opened", "clicked"):
            makers["machine"] = lambda: self.rng.random() < 0.5
        return self.optional(**makers) | self.how_often()

    def activity(self) -> Any:
        rng = self.rng
        kind = rng.choice(worlds.KINDS)
        parts = self.optional(
            period=self.period,
            count=self.test,
            sum=lambda: self.test((0, 1, 50, 150, 249.99, 300)),
            amount=lambda: self.test((0, 1, 50, 99.99, 250)),
            currency=lambda: rng.choice(("NOK", "eur")),
            data=self.own_values,
        )
        return rng.choice((kind, {"kind": kind}, {"kind": kind, **parts}, {"kind": kind, **parts}))

    def own_values(self) -> Row:
        rng = self.rng
        text_op = rng.choice(tuple(OPERATORS[Kind.TEXT]))
        value: Any = rng.choice(("boat", "båt", "NE", "5", "true", "9"))
        text = {"op": text_op, "value": [value, "x"] if text_op in ("is_one_of", "is_none_of") else value}
        return rng.choice(
            ({"score": self.test((0, 7, 9, 10))}, {"product": text}, {"score": text, "product": self.test()})
        )

    def topics(self) -> Any:
        names = [self.rng.choice((name, name.upper())) for name in self.some(worlds.TOPICS)]
        return self.rng.choice((names, names[0], {"topic": names, "period": self.period()}, {"topic": names}))

    def suppressed(self) -> Any:
        reasons = self.some(("hard_bounce", "complaint", "manual", "unsubscribe"))
        parts = self.optional(
            reason=lambda: reasons, scope=lambda: self.rng.choice(("all", "topic")), period=self.period
        )
        return self.rng.choice((reasons, None, {}, parts))

    def follow_up(self) -> Row:
        parts = self.optional(
            outcome=lambda: self.some(("reached", "not_interested", "meeting", "sale")),
            status=lambda: self.rng.choice(("done", ["open"], ["open", "done"], "cancelled")),
            kind=lambda: self.some(("to_do", "call", "meeting")),
            campaign=self.campaign,
            period=self.period,
        )
        return parts | self.how_often()


_RELATIVE = ("this", "previous", "next", "this_and_previous", "this_and_next")


_KINDS = ("static", "dynamic", "combined", "combined")


def draw_segments(draw: Draw, world: World) -> None:
    """Give a world static, dynamic and combined segments; each may be made of those before it."""
    rng, operations = draw.rng, itertools.cycle(SegmentOperation)
    for number in range(101, 116):
        names = [one for row in world.segments.values() for one in (row["id"], row["name"])]
        row: Row = {"id": number, "name": f"Segment {number}", "kind": rng.choice(_KINDS)}
        if row["kind"] == "combined" and len(world.segments) > 1:
            row["operation"] = next(operations).value
            most = 4 if row["operation"] in ("union", "intersection") else 2
            wanted = min(rng.randint(2, most), len(world.segments))
            row["inputs"] = rng.sample(sorted(world.segments), wanted)
        elif row["kind"] == "dynamic":
            row["rule"] = draw.rule(names)
        else:
            row["kind"] = "static"
            row["members"] = {one["id"] for one in rng.sample(world.people, len(world.people) // 3)}
        world.segments[number] = row
