"""Rates, releases, limits and outside figures from the command line."""

from pathlib import Path

import pytest

from mailer.context import make_context
from mailer.jobs import SilentBell
from mailer.reputation.service import check_rates
from mailer.settings import Settings
from tests.reputation.scene import make_sent
from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data", {"smtp_url": "smtp://127.0.0.1:9", "bounce_domain": "bounce.example.com"})


def test_a_warned_domain_is_shown_and_let_go_with_a_note(shell: Shell) -> None:
    assert shell.json("reputation", "show")["rates"] == [
        {"scope": "all", "key": "", "transmitted": 0, "hard_bounces": 0.0, "complaints": 0.0, "unsubscribes": 0.0}
    ]
    settings = Settings(data_dir=shell.folder, public_url="http://127.0.0.1:8000")  # type: ignore[call-arg]
    ctx = make_context(settings, bell=SilentBell())
    make_sent(ctx, 300, hard=12)
    check_rates(ctx, is_paced=False)
    ctx.database.dispose()

    found = {one["scope"]: one for one in shell.json("reputation", "show")["breakers"]}
    assert (found["domain"]["key"], found["domain"]["state"]) == ("example.com", "review")
    assert found["domain"]["why"] == "12 hard bounces of 300 transmitted in 1h are 4.00%; the limit is 2.00%"
    released = shell.json("reputation", "resume", "domain", "example.com", "--note", "cleaned")
    assert (released["state"], released["why"]) == ("ok", "cleaned")
    assert "unless it becomes worse than review" in released["ignored"]
    shell.run("reputation", "resume", "domain", "example.com", "--note", "again", code=3)
    lines = shell.lines("reputation", "history", "--scope", "domain", "--key", "example.com")
    assert [(line["before"], line["state"]) for line in lines] == [("review", "ok"), ("ok", "review")]


def test_limits_are_shown_and_changed_others_are_not_touched(shell: Shell) -> None:
    changed = shell.json("reputation", "limits", "canary_watch_minutes=60", "hard_bounce_pause=0.04")

    assert (changed["canary_watch_minutes"], changed["hard_bounce_pause"]) == (60, 0.04)
    assert shell.json("reputation", "limits")["canary_watch_minutes"] == 60
    assert "known:" in shell.run("reputation", "limits", "quiet_from=3", code=1).stderr
    shell.run("reputation", "limits", "canary_share=7", code=2)
    shell.run("reputation", "limits", "canary_share", code=2)


def test_figures_of_google_come_by_hand_and_by_file(shell: Shell, tmp_path: Path) -> None:
    shell.run("reputation", "outside", "add", "example.com", "2026-11-20", "0.12%", "--reputation", "medium")
    file = tmp_path / "postmaster.csv"
    file.write_text("Date,User-reported spam rate,Domain reputation\n20261121,0.0004,HIGH\n20261120,0.001,\n")
    shell.run("reputation", "outside", "import", str(file), "--domain", "example.com")

    lines = shell.lines("reputation", "outside", "list")
    assert [(line["day"], line["spam_rate"], line["reputation"]) for line in lines] == [
        ("2026-11-21", 0.0004, "high"), ("2026-11-20", 0.001, ""),
    ]  # fmt: skip
    file.write_text("day;spam_rate\nnever;0.1\n2026-11-20;200 %\n")
    refused = shell.run("reputation", "outside", "import", str(file), "--domain", "example.com", code=2).stderr
    assert refused.count("error:") == 2
    assert "line 2" in refused
    file.write_text("who;what\n")
    assert "head line" in shell.run("reputation", "outside", "import", str(file), code=2).stderr
    file.write_bytes("day,spam_rate\n2026-11-19,0.2%\n".encode("utf-16"))
    assert shell.run("reputation", "outside", "import", str(file), "--domain", "example.com").stdout.startswith("1 day")
    file.write_bytes(b"day,spam_rate\n\xe9")
    assert "UTF-8" in shell.run("reputation", "outside", "import", str(file), code=2).stderr


def test_nothing_is_released_that_is_not_kept_back(shell: Shell) -> None:
    shell.run("reputation", "release", "7", "--note", "x", code=1)
    shell.run("reputation", "resume", "campaign", "seven", "--note", "x", code=2)
    shell.run("reputation", "history", "--scope", "domain", code=2)
