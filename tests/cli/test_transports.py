"""Relays, their pace and what waits, from the command line."""

from pathlib import Path

import pytest

from tests.support.shell import Shell
from tests.support.sink import Sink


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data", {"smtp_url": "smtp://127.0.0.1:9", "bounce_domain": "bounce.example.com"})


def test_relay_from_adding_to_removing(shell: Shell, sink: Sink) -> None:
    url = f"smtp://127.0.0.1:{sink.port}"
    added = shell.json("transports", "add", "main", url, "--rate", "14", "--connections", "5", "--weight", "3")
    assert (added["state"], added["rate_per_second"], added["connections"], added["weight"]) == ("works", 14, 5, 3)

    tried = shell.json("transports", "test", "main")
    assert (tried["ok"], tried["error"]) == (True, "")
    assert tried["said"][0] == {"phase": "greeting", "lines": ["220 sink.example.com ESMTP"]}
    assert shell.json("transports", "set", "main", "--rate", "none")["rate_per_second"] is None
    assert [line["state"] for line in shell.lines("transports", "list")] == ["works", "unused"]
    assert shell.json("transports", "disable", "main")["state"] == "off"
    assert shell.json("transports", "enable", "main")["state"] == "works"
    assert shell.json("transports", "remove", "main") == {"name": "main", "removed": True}
    assert [line["name"] for line in shell.lines("transports", "list")] == ["settings"]
    assert sink.bodies == 0


def test_password_stands_in_no_answer(shell: Shell) -> None:
    shown = shell.run("transports", "add", "main", "smtp://anna:geheim@127.0.0.1:9", "--json").stdout
    failed = shell.run("transports", "test", "main", "--json", code=1)

    assert "geheim" not in shown + failed.stdout + failed.stderr + shell.run("transports", "list").stdout


def test_wrong_relays_are_refused_with_every_problem(shell: Shell) -> None:
    refused = shell.run("transports", "add", "settings", "ftp://example.com", "--rate", "0", code=2).stderr

    assert refused.count("error:") == 3
    assert shell.run("transports", "test", "nobody", code=1).stderr.startswith("error: no transport is called")


def test_failed_try_of_the_settings_relay_shows_in_the_list(shell: Shell) -> None:
    shell.run("transports", "test", "settings", code=1)

    (line,) = shell.lines("transports", "list")
    assert line["state"] == "failing"
    assert "127.0.0.1:9" in line["last_error"]


def test_messages_need_a_campaign_or_a_state(shell: Shell) -> None:
    assert "--state" in shell.run("messages", "list", code=2).stderr
    assert shell.lines("messages", "list", "--state", "unknown") == []
    resent = shell.run("messages", "resend", "7", "--json", code=3).stdout
    assert '"no such message"' in resent


def test_new_domain_warms_up_unless_told_otherwise(shell: Shell) -> None:
    shell.json("domains", "add", "example.com")
    shell.json("domains", "add", "example.org", "--no-warm-up")

    assert shell.json("domains", "warm-up", "example.com")["limit"] == 500
    assert shell.json("domains", "warm-up", "example.com", "--end") == {
        "domain": "example.com",
        "limit": None,
        "left": None,
    }
    assert shell.json("domains", "warm-up", "example.org", "--end")["limit"] is None
