"""Rules are read whole, and every error has its place in the tree."""

import pytest

from mailer.errors import InputError
from mailer.segments.explain import describe_rule
from mailer.segments.recipes import RECIPES
from mailer.segments.rules import named_segments, parse_rule
from mailer.segments.tree import Group, Mode, iter_lines
from mailer.statuses import FieldType

OWN = {"seats": FieldType.NUMBER, "born": FieldType.DATE}


def line(field="city", op="equals", value="Oslo", **more):
    return {"field": field, "op": op, "value": value, **more}


WRONG = [
    ([], ""),
    ({"version": 2, "all": []}, "version"),
    ({"all": [], "any": []}, ""),
    ({"some": []}, ""),
    ({"all": {}}, "all"),
    ({"all": [5]}, "all[0]"),
    ({"all": [line(field="shoe")]}, "all[0].field"),
    ({"all": [line(field=["city"])]}, "all[0].field"),
    ({"all": [line(op="resembles")]}, "all[0].op"),
    ({"all": [line(op=["equals"])]}, "all[0].op"),
    ({"all": [line(colour=1)]}, "all[0]"),
    (
        {"all": [line(), {"any": [line(), {"none": [line(field="seats", op="=", value="many")]}]}]},
        "all[1].any[1].none[0].value",
    ),
    ({"all": [line(value={"a": 1})]}, "all[0].value"),
    ({"all": [line(value="x" * 2000)]}, "all[0].value"),
    ({"all": [line(op="is_one_of", value=["x"] * 2000)]}, "all[0].value"),
    ({"all": [line("seats", "between", [5, 1])]}, "all[0].value"),
    ({"all": [line("seats", ">", True)]}, "all[0].value"),
    ({"all": [line("seats", ">", "1e99")]}, "all[0].value"),
    ({"all": [line("born", "before", "yesterday")]}, "all[0].value"),
    ({"all": [line("born", "previous", {"n": 0, "unit": "month"})]}, "all[0].value"),
    ({"all": [line("born", "previous", {"n": 1, "unit": "fortnight"})]}, "all[0].value"),
    ({"all": [line("permission", "is_one_of", ["maybe"])]}, "all[0].value"),
    ({"all": [line("opened", "did", {"period": {"op": "lately"}})]}, "all[0].value.period.op"),
    ({"all": [line("opened", "did", {"at_least": 0})]}, "all[0].value.at_least"),
    ({"all": [line("opened", "did", {"link": "https://example.com/"})]}, "all[0].value.link"),
    ({"all": [line("opened", "did", {"colour": 1})]}, "all[0].value"),
    ({"all": [line("activity", "has", {"kind": "purchase", "sum": {"op": "~", "value": 1}})]}, "all[0].value.sum"),
    ({"all": [line("activity", "has", {"kind": "nps", "data": {"score": 9}})]}, "all[0].value.data.score"),
]


@pytest.mark.parametrize(("rule", "where"), WRONG, ids=range(len(WRONG)))
def test_wrong_rule_says_where(rule, where):
    with pytest.raises(InputError) as caught:
        parse_rule(rule, OWN)

    assert where in [problem.where for problem in caught.value.problems]


def test_every_error_is_reported():
    with pytest.raises(InputError) as caught:
        parse_rule({"all": [line(field="a"), line(), line(op="b")]}, OWN)

    assert [problem.where for problem in caught.value.problems] == ["all[0].field", "all[2].op"]


def test_deep_and_long_rules_are_refused():
    deep = {"all": [line()]}
    for _ in range(30):
        deep = {"all": [deep]}

    with pytest.raises(InputError, match="deep"):
        parse_rule(deep)
    with pytest.raises(InputError, match="at most 200 lines"):
        parse_rule({"all": [line()] * 300})


@pytest.mark.parametrize("value", [None, "", []])
def test_empty_value_switches_a_line_off(value):
    rule = parse_rule({"version": 1, "any": [line(value=value), {"all": [line(value=value)]}, line()]})

    assert [item.value for item in iter_lines(rule)] == ["Oslo"]
    assert parse_rule({"any": [line(value=value)]}) == Group(Mode.ANY, ())


@pytest.mark.parametrize(
    "item",
    [
        {"field": "born", "op": "previous", "n": 2, "unit": "month"},
        {"field": "born", "op": "previous", "value": {"n": 2, "unit": "month"}},
        {"field": "born", "op": "in", "value": {"op": "previous", "n": 2, "unit": "month"}},
    ],
)
def test_relative_period_may_be_written_three_ways(item):
    [found] = iter_lines(parse_rule({"all": [item]}, OWN))

    assert (found.value.op, found.value.n, found.value.unit) == ("previous", 2, "month")


def test_named_segments_are_found():
    rule = parse_rule({"all": [line("segment", "in", ["A", "B"]), {"none": [line("segment", "in", "A")]}]})

    assert named_segments(rule) == ["A", "B"]


def test_rule_reads_as_a_sentence():
    rule = parse_rule(
        {
            "all": [
                line("title", "contains", "chief"),
                {"any": [line("city", "is_one_of", ["Oslo", "Bergen"]), line("seats", ">=", 1000)]},
                line(
                    "activity",
                    "has_not",
                    {"kind": "seminar", "period": {"op": "this_and_previous", "n": 12, "unit": "month"}},
                ),
                line("opened", "did", {"at_least": 2, "period": {"op": "previous", "n": 1, "unit": "quarter"}}),
                line("topic", "subscribed", "News"),
            ]
        },
        OWN,
    )

    assert describe_rule(rule) == (
        "Contacts whose title contains chief, either whose city is Oslo or Bergen or whose seats is at least 1,000, "
        "who have no seminar activity in this and the previous 12 months, "
        "who opened a mail at least 2 times in the previous quarter and who are subscribed to News"
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_is_a_valid_rule(recipe):
    assert describe_rule(parse_rule(recipe.rule)).startswith("Contacts who")
