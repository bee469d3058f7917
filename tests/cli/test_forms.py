"""`mailer forms`: from a file to an open form, and what is said when something is wrong."""

from pathlib import Path

import pytest

from tests.support.shell import Shell

FORM = """
name = "Seminar in Oslo"
sender = "Fjord"
topics = ["Invitations"]
wording = "Yes, write to me about seminars."
closes_after = 40
[[fields]]
field = "first_name"
required = true
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands on a new data folder."""
    return Shell(tmp_path / "data", {})


def test_a_form_is_created_opened_shown_and_closed(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "form.toml"
    path.write_text(FORM, encoding="utf-8")
    shell.run("topics", "create", "Invitations")
    sender = {"--from-name": "Fjord", "--from-email": "news@example.com", "--postal-address": "Havnegata 1, Oslo"}
    shell.run("senders", "create", "Fjord", *(word for pair in sender.items() for word in pair))

    made = shell.json("forms", "create", str(path))
    opened = shell.json("forms", "open", str(made["id"]))
    shown = shell.json("forms", "show", str(made["id"]))
    closed = shell.json("forms", "close", str(made["id"]))

    assert (made["state"], opened["state"], closed["state"]) == ("draft", "open", "closed")
    assert opened["url"] == made["url"]
    assert (shown["open"], shown["topics"], shown["closes_after"], shown["wording_version"]) == (
        True, ["Invitations"], 40, 1,
    )  # fmt: skip
    assert (shown["submitted"], shown["why_refused"]) == (0, {})
    assert '"name": "Seminar in Oslo"' in shell.run("forms", "list", "--json").output


def test_what_is_wrong_is_told_by_key_and_nothing_is_made(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "form.toml"
    path.write_text('name = "News"\ntopics = ["Nothing"]\nsender = "Nobody"\n', encoding="utf-8")

    said = shell.run("forms", "create", str(path), code=2).output

    assert "sender: no sender profile is called 'Nobody'" in said
    assert "topics: no topic is called 'Nothing'" in said
    assert shell.run("forms", "list", "--json").output.strip() == ""


def test_a_draft_that_lacks_something_cannot_be_opened(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "form.toml"
    path.write_text('name = "News"\n', encoding="utf-8")
    made = shell.json("forms", "create", str(path))

    said = shell.run("forms", "open", str(made["id"]), code=2).output

    assert "wording" in said
    assert shell.run("forms", "show", "999", code=1).output
