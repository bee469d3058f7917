"""Hostile rules: whatever is given, the answer is a tree or an InputError, and no value of it stands in the SQL.

`MAILER_FUZZ_CASES` makes it long (`make fuzz-segments`).
"""

import copy
import os
import random
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite

from mailer.clock import utc_now
from mailer.context import Context
from mailer.errors import InputError, MailerError
from mailer.schema.base import Base
from mailer.schema.contacts import Contact
from mailer.schema.segments import Segment, SegmentMember
from mailer.segments import queries, rules
from mailer.segments.compile.conditions import Condition, RuleContext
from mailer.segments.compile.groups import compile_group
from mailer.segments.explain import describe_rule
from mailer.segments.rules import parse_json, parse_rule
from mailer.segments.tree import Group
from mailer.statuses import FieldType, SegmentKind, SegmentOperation
from tests.segments import worlds
from tests.segments.draws import PAIRS, Draw
from tests.support.make import make_contact, make_workspace

CASES = int(os.environ.get("MAILER_FUZZ_CASES", "400"))
TODAY = date(2026, 11, 21)
OWN = {key: FieldType(kind) for key, kind in worlds.OWN.items()}
HOSTILE = "zq9x'; DROP TABLE contact; --"
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**400, 10**5000, 1e308, float("nan"), float("inf"), "", " ", "\0", "\ud800", "x" * 5000,
    "1e999999999", "9" * 5000, "2026-02-30", "0001-01-01", "9999-12-31", [], [[]], [None], ["", ""], [1, "a", None],
    {}, {"op": "between"}, ..., (), {"op": "previous", "n": 10**9, "unit": "year"}, {"all": []}, {1: 2}, {None: None},
    {"op": [], "value": {}}, {"kind": "x", "data": {'a"b': {"op": "=", "value": 1}}}, {"data": {"a": []}}, b"bytes",
)  # fmt: skip

WORDS = ("all", "any", "none", "field", "off", "n", "unit", "op", "value", "x", 5)


def make_draw(seed: int) -> Draw:
    rng = random.Random(seed)
    world = worlds.draw_world(rng, 5)
    return Draw(rng, world)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a rule with a key into it."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


def break_rule(rng: random.Random, rule: Any) -> Any:
    """Replace, remove, double or nest some part."""
    rule = copy.deepcopy(rule)
    for _ in range(rng.randint(1, 4)):
        found = list(places(rule))
        if not found:
            break
        node, key = rng.choice(found)
        match rng.randrange(6):
            case 0 | 1:
                node[key] = copy.deepcopy(rng.choice(JUNK))
            case 2:
                del node[key]
            case 3 if isinstance(node, dict):
                node[rng.choice(("all", "any", "none", "field", "off", "n", "unit", "op", "value", "x", 5))] = (
                    copy.deepcopy(rng.choice(JUNK))
                )
            case 4:
                node[key] = {rng.choice(("all", "any", "none")): [node[key]] * rng.randint(0, 3)}
            case _:
                node[key] = [copy.deepcopy(node[key])] * rng.randint(0, 3)
    return rule


def compiled(group: Group, *, is_sqlite: bool) -> str:
    """The SQL text of a rule."""

    def membership(_name: int | str, is_negated: bool) -> Condition:
        found = exists(
            select(SegmentMember.contact_id).where(SegmentMember.contact_id == Contact.id).correlate(Contact)
        )
        return ~found if is_negated else found

    context = RuleContext(
        today=TODAY,
        zone="Europe/Oslo",
        is_sqlite=is_sqlite,
        makes_sets=is_sqlite,
        newest_hit=None,
        membership=membership,
    )
    dialect: Any = sqlite.dialect() if is_sqlite else postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(select(Contact.id).where(compile_group(group, context)).compile(dialect=dialect))


@pytest.mark.parametrize("seed", range(4))
def test_broken_rule_is_refused_or_means_something(seed: int) -> None:
    draw = make_draw(seed)
    refused = 0
    for _ in range(CASES // 4):
        broken = break_rule(draw.rng, draw.rule([1, "A"]))
        try:
            group = parse_rule(broken, OWN)
        except InputError:
            refused += 1
            continue
        describe_rule(group)
        compiled(group, is_sqlite=bool(draw.rng.randrange(2)))
    assert CASES / 20 < refused < CASES / 4


def problem_places(rule: Any) -> list[str]:
    """Where a rule is wrong; nothing where it means something."""
    try:
        describe_rule(parse_rule(rule, OWN))
    except InputError as error:
        return [problem.where for problem in error.problems if problem.what and len(str(problem)) < 2000]
    return ["fine"]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_anywhere_in_a_line_is_refused_or_switched_off(junk: Any) -> None:
    for name, op in PAIRS:
        for line in ({"field": name, "op": op, "value": junk}, {"field": name, "op": op, "n": junk, "unit": junk}):
            found = problem_places({"all": [line]})
            assert found
            assert found == ["fine"] or all(place.startswith("all[0]") for place in found)
    for rule in (junk, {"all": junk}, {"all": [junk]}, {"version": junk, "all": []}, {"all": [{"any": junk}]}):
        assert problem_places(rule)


TOKENS = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|%\([^)]*\)s|:\w+|[^\W\d]\w*|\d+(?:\.\d+)?")
SQL_WORDS = frozenset(
    re.findall(
        r"\w+",
        "SELECT FROM WHERE AND OR NOT EXISTS IS NULL IN LIKE ILIKE ESCAPE COLLATE NOCASE CASE WHEN THEN ELSE END AS "
        "BETWEEN JOIN ON GROUP BY HAVING CAST FLOAT VARCHAR TEXT INTEGER BIGINT true false lower coalesce count sum "
        "fold json_type jsonb_typeof json_each jsonb_array_elements_text JSON_EXTRACT JSON_QUOTE class POSTCOMPILE "
        "TIMESTAMP WITH TIME ZONE JSONB DATE BOOLEAN BYTEA UUID",
    )
)
LITERALS = frozenset({"'/'", "'%'", "'%%'", "'true'", "'false'", "1", "0"})
NAMES = frozenset(
    {table.name for table in Base.metadata.tables.values()}
    | {column.name for table in Base.metadata.tables.values() for column in table.columns}
)


@pytest.mark.parametrize("is_sqlite", [True, False])
def test_sql_text_holds_only_words_of_ours(is_sqlite: bool) -> None:
    draw = make_draw(11)
    plain_text, plain_number = draw.text, draw.number
    draw.text = lambda name: plain_text(name) if "." in name or name in ("permission", "basis") else HOSTILE  # type: ignore[method-assign]
    draw.number = lambda: plain_number() and 987_654_321  # type: ignore[method-assign]
    for _ in range(CASES // 4):
        sql = compiled(parse_rule(draw.rule([1, HOSTILE]), OWN), is_sqlite=is_sqlite)
        assert "zq9x" not in sql
        assert "987654321" not in sql
        for token in TOKENS.findall(sql.replace("__[POSTCOMPILE_", "[")):
            is_bound = token.startswith((":", "%("))
            is_alias = re.fullmatch(r"[a-z_]+_\d+", token)
            word = token.strip('"')
            known = word in SQL_WORDS or token in LITERALS or word in NAMES or word in {"own_tag", "value"}
            assert known or is_bound or is_alias, (token, sql)


# ------------------------------------------------------------------ limits

LINE = {"field": "city", "op": "equals", "value": "Oslo"}


def nested(depth: int, mode: str = "all") -> dict[str, Any]:
    rule: dict[str, Any] = {mode: [LINE]}
    for _ in range(depth - 1):
        rule = {mode: [rule, LINE]}
    return rule


@pytest.mark.parametrize(
    ("rule", "where", "words"),
    [
        (nested(21), "all[0]" + ".all[0]" * 19 + ".all", "nested more than 20 deep"),
        (nested(900), "all[0]" + ".all[0]" * 19 + ".all", "nested more than 20 deep"),
        ({"all": [LINE] * 5000}, "all[200]", "at most 200 lines"),
        ({"all": [{"any": []}] * 5000}, "all[200]", "at most 200 groups"),
        ({"all": [5] * 5000}, "all[0]", "a line is an object"),
        ({"all": [LINE | {"op": "is_one_of", "value": ["x"] * 1001}]}, "all[0].value", "at most 1000"),
        ({"all": [LINE | {"op": "is_one_of", "value": [f"x{n}" for n in range(1000)]}] * 11}, "all[10].value", "10000"),
        ({"all": [{"field": "tags", "op": "has_all_of", "value": ["x"] * 101}]}, "all[0].value", "at most 100"),
        ({"all": [{"field": "segment", "op": "in", "value": ["x"] * 51}]}, "all[0].value", "at most 50"),
        ({"all": [LINE, {"any": [{"field": "shoe", "op": "x"}]}]}, "all[1].any[0].field", "there is no field 'shoe'"),
        ({"all": [LINE, {"any": [LINE | {"op": "is"}]}]}, "all[1].any[0].op", "city has no operator 'is'"),
    ],
)  # fmt: skip
def test_limit_is_told_with_its_place(rule: Any, where: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_rule(rule)

    assert where in [problem.where for problem in caught.value.problems]
    assert words in caught.value.message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"all": [' + "9" * 5000 + "]}", "{", "", '{"all": [}', "nul"])
def test_wrong_json_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        parse_json(text)


def test_wrong_json_says_line_and_column() -> None:
    with pytest.raises(InputError) as caught:
        parse_json('{"all": [\n  {"field": city}]}', "b.json")

    assert caught.value.problems[0].where == "b.json, line 2, column 13"


@pytest.fixture
def add(ctx: Context) -> Any:
    """Store segments without asking whether they are sensible."""
    with ctx.write() as session:
        make_workspace(session)
        make_contact(session, city="Oslo")

        def add(name: str, rule: Any) -> Segment:
            now = utc_now()
            segment = Segment(name=name, kind=SegmentKind.DYNAMIC, rule=rule, created_at=now, updated_at=now)
            session.add(segment)
            session.flush()
            return segment

        yield session, add


def test_segments_that_double_each_other_are_refused_before_they_run(add: Any) -> None:
    session, store = add
    store("S0", {"all": [LINE]})
    refused = None
    for number in range(1, 18):
        last = f"S{number - 1}"
        line = {"field": "segment", "op": "in", "value": last}
        segment = store(f"S{number}", {"any": [line, {"none": [line]}]})
        try:
            queries.count_members(session, segment, TODAY)
        except InputError as error:
            refused = error
            break
    assert refused is not None
    assert "more than 2000 lines" in refused.message


@pytest.mark.parametrize("mode", ["all", "none"])
def test_deep_rules_in_deep_segments_run_or_are_refused_clearly(add: Any, mode: str) -> None:
    session, store = add
    last, refused = "", None
    for number in range(25):
        inner: dict[str, Any] = {"field": "segment", "op": "not_in", "value": last} if last else LINE
        for depth in range(18):
            inner = {("any", mode)[depth % 2]: [LINE | {"value": "x"}, inner]}
        last = f"D{number}"
        segment = store(last, inner)
        try:
            queries.count_members(session, segment, TODAY)
        except InputError as error:
            refused = error
            break
    assert number >= 2
    assert refused is not None
    assert "nested more than 60 deep" in refused.message


def test_long_chains_of_set_operations_run_or_are_refused_clearly(add: Any) -> None:
    session, store = add
    operands = [store("A", {"all": [LINE]}), store("B", nested(20, "none"))]
    refused = None
    for number in range(25):
        operation = list(SegmentOperation)[number % len(SegmentOperation)]
        now = utc_now()
        combined = Segment(name=f"C{number}", kind="combined", operation=operation, created_at=now, updated_at=now)
        session.add(combined)
        session.flush()
        for ordinal, operand in enumerate((operands[0], operands[-1])):
            session.execute(
                queries.SegmentInput.__table__.insert().values(
                    segment_id=combined.id, ordinal=ordinal, input_id=operand.id
                )
            )
        operands.append(combined)
        try:
            assert queries.count_members(session, combined, TODAY) in (0, 1)
        except InputError as error:
            refused = error
            break
    assert number > 15
    assert refused is not None
    assert "more than 20 deep" in refused.message


def test_largest_rule_runs(add: Any) -> None:
    session, _ = add
    values = [f"city {number} å" for number in range(900)]
    lines = [LINE | {"op": "is_one_of", "value": values}] * 10 + [LINE | {"op": "contains", "value": "sl"}] * 180
    tags = {"field": "tags", "op": "has_not_all_of", "value": [f"tag {number}" for number in range(10)]}

    rule = queries.read_rule(session, {"any": [*lines, *[tags] * 10]})

    assert queries.count_members(session, rule, TODAY) == 1
    reasons = queries.list_reasons(session, rule, 1, TODAY)
    assert len(reasons) == 202
    assert isinstance(rules.MAX_LINES, int)


def test_only_errors_of_ours_leave_the_reading_of_names(add: Any) -> None:
    session, _ = add
    for value in ("Nowhere", 999_999, "9" * 400, "١٢", [1, "Nowhere"]):
        rule = queries.read_rule(session, {"all": [{"field": "segment", "op": "in", "value": value}]})
        with pytest.raises(MailerError):
            queries.count_members(session, rule, TODAY)
