"""Segments on the command line: rules from files, answers on a day, why somebody is in."""

import json
from pathlib import Path

import pytest

from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands on a new data folder with two people."""
    shell = Shell(tmp_path / "data", {})
    people = tmp_path / "people.csv"
    people.write_text("email,first_name,city\nanna@example.com,Anna,Oslo\nbo@example.com,Bo,Bergen\n", encoding="utf-8")
    shell.run("contacts", "import", str(people), "--basis", "consent", "--source", "test", "--no-topics")
    return shell


def test_segment_is_created_counted_listed_and_explained(shell: Shell, tmp_path: Path) -> None:
    rule, rest = tmp_path / "oslo.json", tmp_path / "rest.json"
    lines = [{"field": "city", "op": "equals", "value": "Oslo"}, {"field": "created_at", "op": "before_today"}]
    rule.write_text("\ufeff" + json.dumps({"version": 1, "any": lines}), encoding="utf-8")
    rest.write_text('{"all": [{"field": "segment", "op": "not_in", "value": "Oslo"}]}', encoding="utf-8")

    shell.run("segments", "create", "Oslo", "--rule", str(rule))

    assert shell.json("segments", "count", "Oslo")["count"] == 1
    assert shell.json("segments", "count", "Oslo", "--today", "2099-01-01")["count"] == 2
    assert shell.json("segments", "members", str(rest))["email"] == "bo@example.com"
    told = shell.json("segments", "explain", str(rest), "--contact", "anna@example.com")
    assert told["sentence"] == "Contacts who are not in Oslo"
    assert told["contacts"] == [
        {"id": 1, "member": False, "lines": [
            {"text": "is not in Oslo", "holds": False, "depth": 0},
            {"text": "any of these", "holds": True, "depth": 1},
            {"text": "city is Oslo", "holds": True, "depth": 2},
            {"text": "was added before today", "holds": False, "depth": 2},
            {"text": "is not archived", "holds": True, "depth": 0},
        ]},
    ]  # fmt: skip
    shown = shell.run("segments", "explain", "Oslo", "--contact", "bo@example.com").stdout.splitlines()
    assert shown == [
        "Contacts whose city is Oslo or who were added before today",
        "contact 2: not in",
        "  no   any of these",
        "  no     city is Oslo",
        "  no     was added before today",
        "  yes  is not archived",
    ]


def test_wrong_rule_is_told_by_line_and_column_or_by_its_place_in_the_tree(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "rule.json"
    rule.write_text('{"all": [\n  {"field": city}\n]}', encoding="utf-8")
    assert "line 2, column 13" in shell.run("segments", "count", str(rule), code=2).stderr
    rule.write_text('{"all": [{"any": [{"field": "shoe"}]}, {"field": "city", "op": "is"}]}', encoding="utf-8")
    refused = shell.run("segments", "create", "X", "--rule", str(rule), code=2).stderr
    assert "all[0].any[0].field" in refused
    assert "all[1].op" in refused


def test_what_a_rule_names_in_vain_is_a_warning(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "rule.json"
    line = {"field": "opened", "op": "did_not", "value": {"campaign": "Automn"}}
    rule.write_text(json.dumps({"all": [line, {"field": "topic", "op": "not_subscribed", "value": "Newz"}]}))

    counted = shell.run("segments", "count", str(rule), "--json")

    assert json.loads(counted.stdout)["count"] == 2
    assert counted.stderr.splitlines() == [
        "warning: all[0].value.campaign: there is no campaign 'Automn' (nothing meets it)",
        "warning: all[1].value: there is no topic 'Newz' (nothing meets it)",
    ]
    assert "there is no topic" in shell.run("segments", "create", "X", "--rule", str(rule)).stderr
