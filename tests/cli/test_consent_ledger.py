"""`mailer consent`: seal, verify, and what it says when something does not agree."""

import sqlite3
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


def test_a_sealed_ledger_verifies_with_the_head_that_was_kept(shell: Shell) -> None:
    sealed = shell.json("consent", "seal")

    found = shell.json("consent", "verify", "--head", sealed["head"])

    assert sealed["blocks"] == 1
    assert found == {
        "blocks": 1, "lines": 2, "unsealed": 0, "head": sealed["head"], "ok": True, "problems": [],
    }  # fmt: skip


def test_what_does_not_agree_is_named_and_ends_with_one(shell: Shell) -> None:
    shell.run("consent", "seal")
    with sqlite3.connect(next(shell.folder.glob("*.sqlite*"))) as database:
        database.execute("DROP TRIGGER tr_consent_event_update")
        database.execute("UPDATE consent_event SET source = 'a form' WHERE id = 1")
        database.execute("UPDATE consent SET permission = 'withdrawn' WHERE contact_id = 2")
    database.close()

    said = shell.run("consent", "verify", code=1).output

    assert "block 1, lines 1 to 2" in said
    assert "contact 2, permission: the ledger says consent, the table withdrawn" in said


def test_a_head_that_is_no_digest_is_refused(shell: Shell) -> None:
    said = shell.run("consent", "verify", "--head", "xyz", code=2).output

    assert "64 hexadecimal digits" in said
