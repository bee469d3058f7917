"""`mailer privacy`: the same rights on the command line, with its exit codes."""

import sqlite3
import zipfile
from pathlib import Path

import pytest

from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands on a new data folder with two people who gave consent."""
    shell = Shell(tmp_path / "data", {})
    people = tmp_path / "people.csv"
    people.write_text("email,first_name\nanna@example.com,Anna\nbo@example.com,Bo\n", encoding="utf-8")
    shell.run("contacts", "import", str(people), "--basis", "consent", "--source", "fair", "--no-topics")
    return shell


def test_a_person_is_exported_asked_about_and_erased(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "anna.zip"
    asked = shell.json("privacy", "requests", "add", "anna@example.com", "--kind", "access", "--received", "2026-01-05")
    assert asked["due_on"] == "2026-02-05"
    shell.json("privacy", "export", "anna@example.com", "--to", str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    assert "index.html" in zipfile.ZipFile(target).namelist()
    assert shell.lines("privacy", "requests", "list", "--open") == []

    preview = shell.json("privacy", "erase", "anna@example.com")
    assert (preview["erased"], preview["contacts"]) == (False, ["Anna"])
    shell.run("privacy", "erase", "anna@example.com", "--confirm", "bo@example.com", code=3)
    done = shell.json("privacy", "erase", "anna@example.com", "--confirm", "anna@example.com")

    assert (done["finished"], done["rows"]["contact"]) == (True, 1)
    assert b"anna@example.com" not in b"".join(path.read_bytes() for path in shell.folder.glob("*.sqlite*"))
    shell.run("consent", "verify")
    shell.run("contacts", "show", "anna@example.com", code=1)


def test_who_was_erased_is_erased_again_after_a_backup_came_back(shell: Shell, tmp_path: Path) -> None:
    database = next(shell.folder.glob("mailer.sqlite"))
    with sqlite3.connect(database) as live, sqlite3.connect(tmp_path / "backup") as copy:
        live.backup(copy)
    shell.run("privacy", "erase", "anna@example.com", "--confirm", "anna@example.com")
    kept = tmp_path / "kept.csv"
    kept.write_text(shell.run("suppressions", "export").stdout, encoding="utf-8")
    with sqlite3.connect(tmp_path / "backup") as copy, sqlite3.connect(database) as live:
        copy.backup(live)
    shell.run("contacts", "show", "anna@example.com")

    done = shell.json("privacy", "erase-again", str(kept))

    assert done == {"hashes": 1, "erased": 1, "waiting": 0}
    shell.run("contacts", "show", "anna@example.com", code=1)
    shell.run("contacts", "show", "bo@example.com")


def test_retention_is_shown_and_run(shell: Shell) -> None:
    lines = shell.lines("privacy", "retention")

    assert [line["due"] for line in lines] == [0] * 7
    assert [line["gone"] for line in shell.lines("privacy", "retention", "--run")] == [0] * 7


def test_wrong_questions_are_refused_with_how_to_mend(shell: Shell, tmp_path: Path) -> None:
    shell.run("privacy", "incident", code=2)
    shell.run("privacy", "incident", "--campaign", "7", code=1)
    shell.run("privacy", "export", "nonsense", "--to", str(tmp_path / "x.zip"), code=2)
    shell.run("privacy", "export", "anna@example.com", "--to", str(tmp_path), code=2)
    shell.run("privacy", "requests", "add", "anna@example.com", "--kind", "access", "--received", "soon", code=2)
    shell.run("privacy", "requests", "close", "99", code=1)
    assert len(shell.lines("privacy", "incident", "--import", "1")) == 2
