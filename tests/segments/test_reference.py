"""docs/reference/segment-rules.md is true: every field, operator and word is there, every example means something."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mailer.context import Context
from mailer.segments import rules
from mailer.segments.explain import describe_rule
from mailer.segments.fields import CLOSED_WORDS, FIELDS, OPERATORS
from mailer.segments.patience import SECONDS
from mailer.segments.periods import DateOp, Unit
from mailer.segments.resolve import MAX_CONDITIONS, MAX_LEVELS, MAX_PATH, MAX_VALUES
from mailer.segments.rules import iter_lines, parse_rule
from mailer.statuses import FollowUpKind, FollowUpOutcome, FollowUpStatus, SegmentOperation, SuppressionReason
from tests.support.make import make_contact, make_workspace

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "segment-rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in part.splitlines() if row.startswith("|")][
        2:
    ]


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_every_field_stands_in_the_row_of_its_kind() -> None:
    by_kind = [(words(cells[0]), cells[1].split(";")[0]) for cells in rows("Fields")]

    for name, kind in FIELDS.items():
        assert any(name in names and kind.value == told for names, told in by_kind), name


def test_every_operator_stands_in_a_row_of_its_kind_and_no_other() -> None:
    told: dict[str, set[str]] = {}
    kind = ""
    for cells in rows("Operators"):
        kind = cells[0] or kind
        told.setdefault(kind, set()).update(words(cells[1]))

    assert told == {kind.value: set(operators) for kind, operators in OPERATORS.items()}


@pytest.mark.parametrize(
    "word",
    [*Unit, *DateOp, *FollowUpOutcome, *FollowUpStatus, *FollowUpKind, *SuppressionReason, *SegmentOperation,
     *(word for listed in CLOSED_WORDS.values() for word in listed)],
)  # fmt: skip
def test_every_word_is_told(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_means_something(text: str) -> None:
    example: Any = json.loads(text)
    written = len(re.findall(r'"field"', text)) - len(re.findall(r'"off": true', text))

    group = parse_rule(example)

    assert len(iter_lines(group)) == written
    assert describe_rule(group).startswith("Contacts wh")


def test_limits_are_those_of_the_code() -> None:
    limits = (
        rules.MAX_DEPTH,
        rules.MAX_LINES,
        rules.MAX_GROUPS,
        rules.MAX_ALL_VALUES,
        MAX_CONDITIONS,
        MAX_VALUES,
        MAX_LEVELS,
        MAX_PATH,
    )
    told = PAGE.split("A rule has at most")[1].split("\n\n")[0]

    for limit in limits:
        assert f"{limit:,}" in told
    assert f"{SECONDS:g} seconds" in told


def test_python_example_runs(ctx: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with ctx.write() as session:
        make_workspace(session)
        make_contact(session, "a@example.com", city="oslo")
    monkeypatch.setattr("mailer.context.make_context", lambda _settings: ctx)
    (code,) = PYTHON

    exec(code, {})

    assert capsys.readouterr().out.splitlines() == [
        "Contacts whose city is Oslo 1", "1 a@example.com", " True city is Oslo", " True is not archived",
    ]  # fmt: skip
