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


def test_list_of_any_encoding_and_delimiter_becomes_a_segment(shell: Shell, tmp_path: Path) -> None:
    people = tmp_path / "list.csv"
    for number, content in enumerate([
        "name;E-mail\nKåre;anna@example.com\n".encode("cp1252"),
        "email\nANNA@example.com\nanna@example.com\n".encode("utf-16"),
        b"email\nanna@exam\0ple.com\n",
    ]):  # fmt: skip
        people.write_bytes(content)
        shell.run("segments", "create", f"List {number}", "--static", str(people))
        assert shell.json("segments", "count", f"List {number}")["count"] == 1


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 8, b"name\nx\n", b'email\n"' + b"a" * 200_000 + b'"\n'])
def test_file_that_is_no_list_of_addresses_is_refused_in_words(shell: Shell, tmp_path: Path, content: bytes) -> None:
    people = tmp_path / "list.csv"
    people.write_bytes(content)
    shell.run("segments", "create", "List", "--static", str(people), code=0 if b"email" in content else 2)
    assert len(shell.lines("segments", "list")) == (1 if b"email" in content else 0)


def test_addresses_of_nobody_are_told_and_the_others_are_in(shell: Shell, tmp_path: Path) -> None:
    people = tmp_path / "list.csv"
    people.write_text("email\nanna@example.com\nnobody@example.com\n", encoding="utf-8")
    told = shell.run("segments", "create", "List", "--static", str(people)).stderr
    assert "1 of 2 addresses are nobody's: nobody@example.com; the others are in" in told
    assert [line["email"] for line in shell.lines("segments", "members", "List")] == ["anna@example.com"]

    people.write_text("email\nnobody@example.com\n", encoding="utf-8")
    shell.run("segments", "create", "Nobody", "--static", str(people), code=2)


def test_arguments_that_no_database_keeps_are_refused_before_anything_is_done(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "rule.json"
    rule.write_text('{"all": []}', encoding="utf-8")
    shell.run("segments", "create", "All", "--rule", str(rule))
    latin = "Kj\udcf8pere"  # what Python makes of a byte that is not UTF-8
    for command in (
        ("create", latin, "--rule", str(rule)), ("count", latin), ("show", latin), ("watch", latin),
        ("set", "All", "--description", latin), ("do", "All", "add_tag", f"tag={latin}"),
    ):  # fmt: skip
        assert "not a text in UTF-8" in shell.run("segments", *command, code=2).stderr
    huge = "9" * 30
    shell.run("segments", "history", "All", "--after", huge, code=2)
    shell.run("segments", "archive", huge, "--undo", code=1)
    for given in ((f"segment_id={huge}", "add_to_segment"), (f"value={huge}", "set_field", "field=owner")):
        shell.run("segments", "do", "All", given[1], given[0], *given[2:], code=2)
    shell.run("segments", "do", "All", "follow_ups", "title=x", "due_on=2026-12-01", f"owner={huge}", code=2)


def test_archived_segment_is_told_with_its_id_and_private_ones_are_not_told(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "rule.json"
    rule.write_text('{"all": []}', encoding="utf-8")
    for name in ("Old", "Kept", "Secret"):
        shell.run("segments", "create", name, "--rule", str(rule))
    shell.run("users", "create", "ada@example.com", "--role", "marketer")
    shell.run("segments", "set", "Secret", "--owner", "ada@example.com", "--visibility", "private")
    shell.run("segments", "archive", "Old")

    assert "its id is 1" in shell.run("segments", "count", "Old", code=1).stderr
    told = shell.run("segments", "count", "Else", code=1).stderr
    assert "Kept" in told
    assert "Old" not in told
    assert "Secret" not in told


def test_commands_that_do_the_work_themselves_need_no_broker(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "rule.json"
    rule.write_text('{"all": []}', encoding="utf-8")
    shell.run("segments", "create", "All", "--rule", str(rule))
    shell.run("users", "create", "ada@example.com", "--role", "admin")
    for command in (
        ("segments", "watch", "All"),
        ("segments", "do", "All", "add_tag", "tag=x"),
        ("followups", "create", "--segment", "All", "--title", "Call"),
    ):
        assert "bell_unheard" not in shell.run(*command).output
    assert len(shell.lines("followups", "list")) == 2
