"""Ready rules that a new workspace begins with (FEATURES S18). Pure: data."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """A dynamic segment to begin with."""

    name: str
    description: str
    rule: dict[str, Any]


def _revenue(op: str, value: Any) -> dict[str, Any]:
    period = {"op": "previous", "n": 12, "unit": "month"}
    value = {"kind": "purchase", "period": period, "sum": {"op": op, "value": value}}
    return {"version": 1, "all": [{"field": "activity", "op": "has", "value": value}]}


def _in_last(unit: str, count: int) -> dict[str, Any]:
    return {"op": "this_and_previous", "n": count, "unit": unit}


RECIPES = (
    Recipe("A-customers", "Purchases above 500,000 in the previous 12 months", _revenue(">", 500_000)),
    Recipe(
        "B-customers",
        "Purchases of 200,001 to 500,000 in the previous 12 months",
        _revenue("between", [200_001, 500_000]),
    ),
    Recipe("C-customers", "Purchases of 1 to 200,000 in the previous 12 months", _revenue("between", [1, 200_000.99])),
    Recipe(
        "Quiet for six months",
        "Bought nothing in this and the previous six months",
        {
            "version": 1,
            "all": [
                {"field": "activity", "op": "has_not", "value": {"kind": "purchase", "period": _in_last("month", 6)}}
            ],
        },
    ),
    Recipe(
        "New this month",
        "Contacts created since the first of this month",
        {"version": 1, "all": [{"field": "created_at", "op": "this", "value": {"unit": "month"}}]},
    ),
    Recipe(
        "Engaged",
        "A human click in 90 days or a human open in 30",
        {
            "version": 1,
            "any": [
                {"field": "clicked", "op": "did", "value": {"period": _in_last("day", 90)}},
                {"field": "opened", "op": "did", "value": {"period": _in_last("day", 30)}},
            ],
        },
    ),
    Recipe(
        "Asleep",
        "At least five mails accepted in 180 days, no click and no open",
        {
            "version": 1,
            "all": [
                {"field": "sent", "op": "did", "value": {"at_least": 5, "period": _in_last("day", 180)}},
                {"field": "clicked", "op": "did_not", "value": {"period": _in_last("day", 180)}},
                {"field": "opened", "op": "did_not", "value": {"period": _in_last("day", 180)}},
            ],
        },
    ),
    Recipe(
        "Promoters",
        "Answered 9 or 10 to the question whether they would recommend us",
        {
            "version": 1,
            "all": [
                {
                    "field": "activity",
                    "op": "has",
                    "value": {"kind": "nps", "data": {"score": {"op": ">=", "value": 9}}},
                }
            ],
        },
    ),
)
