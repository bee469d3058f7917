"""Segments from the command line: watched, described, frozen, and something done to all members."""

from pathlib import Path

import pytest

from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data", {"smtp_url": "smtp://127.0.0.1:9", "bounce_domain": "bounce.example.com"})


def test_segment_is_watched_changed_frozen_and_archived(shell: Shell, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,city\nanna@example.com,Oslo\nbo@example.com,Oslo\ncy@example.com,Rome\n")
    shell.run("contacts", "import", str(people), "--basis", "customer", "--source", "CRM", "--no-topics")
    shell.run("users", "create", "kari@example.com", "--role", "sales")
    rule = tmp_path / "oslo.json"
    rule.write_text('{"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}')
    shell.run("segments", "create", "Oslo", "--rule", str(rule))

    assert shell.json("segments", "watch", "Oslo") == {"segment": "Oslo", "watched": True, "members": 2}
    done = shell.json("segments", "do", "Oslo", "set_field", "field=city", "value=Rome")
    assert (done["status"], done["total"], done["changed"]) == ("finished", 2, 2)
    told = shell.lines("segments", "history", "Oslo", "--look")
    assert [(line["kind"], line["cause"]) for line in told] == [("left", "data"), ("left", "data")]
    assert shell.lines("segments", "history", "Oslo", "--kind", "entered") == []
    assert shell.lines("segments", "history", "Oslo", "--after", str(told[0]["id"])) == told[1:]
    assert shell.lines("segments", "history", "Oslo", "--sizes")[-1]["members"] == 0
    assert shell.json("segments", "unwatch", "Oslo")["watched"] is False
    assert "nobody watches" in shell.run("segments", "history", "Oslo", "--look", code=3).stderr

    shell.run("segments", "set", "Oslo", "--owner", "kari@example.com", "--visibility", "private")
    shown = shell.json("segments", "show", "Oslo")
    assert (shown["owner"], shown["visibility"], shown["used_in"]) == ("kari@example.com", "private", [])
    assert "no group" in shell.run("segments", "set", "Oslo", "--visibility", "group", code=2).stderr
    shell.run("segments", "copy", "Oslo", "Oslo of today")
    assert "warning" in shell.run("segments", "set", "Oslo", "--name", "Oslo of today").stderr
    shell.run("segments", "set", str(shown["id"]), "--name", "Oslo")

    assert shell.json("segments", "freeze", "Oslo")["kind"] == "static"
    assert "static already" in shell.run("segments", "freeze", "Oslo", code=3).stderr
    number = shell.json("segments", "archive", "Oslo")["id"]
    assert "Oslo" not in [line["name"] for line in shell.lines("segments", "list")]
    assert shell.json("segments", "archive", str(number), "--undo")["archived_at"] is None


def test_tasks_once_for_each_company(shell: Shell, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,company\nanna@example.com,Nord\nbo@example.com,Nord\ncy@example.com,\n")
    shell.run("contacts", "import", str(people), "--basis", "customer", "--source", "CRM", "--no-topics")
    shell.run("users", "create", "kari@example.com", "--role", "sales")
    shell.run("segments", "create", "Board", "--static", str(people))
    command = ("followups", "create", "--segment", "Board", "--title", "Call", "--per-company", "--once", "spring")

    assert shell.json(*command)["created"] == 2
    assert shell.json(*command)["created"] == 0
    assert len(shell.lines("followups", "list")) == 2
    wrong = shell.run("segments", "do", "Board", "add_tag", "fair", code=2).stderr
    assert "KEY=VALUE" in wrong
