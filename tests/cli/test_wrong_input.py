"""Wrong input ends in words that say where and how to mend it, the right exit code, and nothing valid lost."""

import json
import resource
import subprocess
from pathlib import Path

import pytest
from click.testing import Result

from tests.support.installation import COMMAND, installed
from tests.support.shell import Shell

GOOD = "email,first_name\nanna@example.com,Anna\nbjorn@example.com,Bjørn\n"
IMPORT = ("--basis", "consent", "--source", "test", "--no-topics")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands on a new data folder; nothing runs."""
    return Shell(tmp_path / "data", {})


def _count(shell: Shell, tmp_path: Path) -> int:
    rule = tmp_path / "all.json"
    rule.write_text('{"version": 1, "all": []}', encoding="utf-8")
    return int(shell.json("segments", "count", str(rule))["count"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("people.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"),
        ("people.csv", bytes(range(256)) * 8),
        ("people.csv", b""),
        ("people.xlsx", b"PK\x03\x04 not a workbook"),
        ("people.csv", b"name,city\nAnna,Oslo\n"),
    ],
    ids=["pdf", "binary", "empty", "broken workbook", "no address column"],
)
def test_file_that_is_no_table_of_contacts_is_named_and_nothing_changes(
    shell: Shell, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    refused = shell.run("contacts", "import", str(path), *IMPORT, code=2)

    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in refused.stderr
    assert _count(shell, tmp_path) == 0


def test_import_needs_basis_source_and_a_word_about_topics(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(GOOD, encoding="utf-8")

    assert "--basis" in shell.run("contacts", "import", str(path), code=2).stderr
    both = ("--topic", "News", "--no-topics")
    refused = shell.run("contacts", "import", str(path), "--basis", "consent", "--source", "x", *both, code=2)
    assert "topics" in refused.stderr


def test_bad_rows_are_refused_with_reasons_and_good_ones_kept(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(GOOD + "nonsense,Nobody\n", encoding="utf-8")

    result = shell.json("contacts", "import", str(path), *IMPORT)

    assert (result["rows"], result["new"], result["refused"]) == (3, 2, 1)
    assert "nonsense" in Path(result["refused_file"]).read_text(encoding="utf-8-sig")
    again = shell.json("contacts", "import", str(path), *IMPORT)
    assert (again["new"], again["unchanged"]) == (0, 2)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name = ", "TOML"),
        ("subject = 'x'\nunknown = 1\n", "unknown"),
        ("name='n'\nsubject='s'\nsender='Nobody'\ntopic='None'\ndesign='plain'\ninclude=['Nowhere']", "Nowhere"),
        ("name='n'\nsubject='s'\nsender='x'\ntopic='t'\ndesign='plain'\ninclude=['x']\nsend_at='soon'", "soon"),
        ("name='n'\nsubject='s'\nsender='x'\ninclude=['x']\nmjml='missing.mjml'", "topic"),
    ],
)
def test_campaign_file_with_mistakes_names_them(shell: Shell, tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "campaign.toml"
    path.write_text(text, encoding="utf-8")

    assert word in shell.run("campaigns", "create", str(path), code=2).stderr


def test_broken_template_blocks_the_launch_with_line_and_place(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "broken.mjml").write_text("<mjml><mj-body><mj-text>{{ contact.first_name", encoding="utf-8")
    (tmp_path / "all.json").write_text('{"version": 1, "all": []}', encoding="utf-8")
    campaign = "name='n'\nsubject='s'\nsender='Fjord'\ntopic='News'\nmjml='broken.mjml'\ninclude=['All']"
    (tmp_path / "c.toml").write_text(campaign, encoding="utf-8")
    shell.run("topics", "create", "News")
    shell.run(
        "senders", "create", "Fjord", "--from-name", "F", "--from-email", "f@example.com", "--postal-address", "Oslo"
    )
    shell.run("segments", "create", "All", "--rule", str(tmp_path / "all.json"))
    number = shell.json("campaigns", "create", str(tmp_path / "c.toml"))["id"]

    refused = shell.run("campaigns", "launch", str(number), code=2)

    assert "line 1" in refused.stderr
    assert shell.json("campaigns", "status", str(number))["status"] == "draft"


def test_database_that_is_not_there_is_named_with_the_variable(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"database_url": f"postgresql+psycopg://nobody:hidden@/none?host={tmp_path}"})

    refused = shell.run("topics", "list", code=1)

    assert "MAILER_DATABASE_URL" in refused.stderr
    assert "hidden" not in refused.stderr


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"database_url": "mysql://x", "public_url": "http://example.com", "timezone": "Mars"})

    refused = shell.run("topics", "list", code=2)

    for name in ("MAILER_DATABASE_URL", "MAILER_PUBLIC_URL", "MAILER_TIMEZONE"):
        assert name in refused.stderr


def test_full_disk_is_told_and_what_was_there_stays(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(GOOD, encoding="utf-8")
    shell.run("contacts", "import", str(path), *IMPORT)
    rows = "".join(f"p{number}@example.com,First{number}\n" for number in range(30_000))
    path.write_text("email,first_name\n" + rows, encoding="utf-8")
    size = max(file.stat().st_size for file in (tmp_path / "data").rglob("*.sqlite*"))

    with installed(shell.folder) as installation:
        full = subprocess.run(
            [*COMMAND, "contacts", "import", str(path), *IMPORT],
            env=installation.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size + 400_000, size + 400_000)),
        )

    assert full.returncode == 1
    assert full.stderr.startswith("error: ")
    assert "Traceback" not in full.stderr
    assert _count(shell, tmp_path) >= 2
    finished = shell.json("contacts", "import", str(path), *IMPORT)
    assert finished["rows"] == 30_000
    assert _count(shell, tmp_path) == 30_002


def test_unknown_names_say_what_there_is(shell: Shell) -> None:
    refused = shell.run("segments", "count", "Nowhere", code=1)

    assert "mend: segments: A-customers" in refused.stderr or "segments:" in refused.stderr


def test_second_segment_of_a_name_is_warned_of_and_found_by_its_id(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "all.json"
    rule.write_text('{"version": 1, "all": []}', encoding="utf-8")
    shell.run("segments", "create", "All", "--rule", str(rule))

    made = shell.run("segments", "create", "All", "--rule", str(rule), "--json")

    assert "warning: another segment is called 'All'" in made.stderr
    assert "use the id" in shell.run("segments", "count", "All", code=3).stderr
    assert shell.json("segments", "count", str(json.loads(made.stdout)["id"]))["count"] == 0


def test_pausing_a_draft_is_refused_because_of_its_state(shell: Shell, tmp_path: Path) -> None:
    assert "no campaign 7" in shell.run("campaigns", "pause", "7", code=1).stderr


def test_stop_all_and_its_release_with_a_note(shell: Shell) -> None:
    assert shell.json("stop-all", "--note", "wrong list") == {"stopped": True, "changed": True}
    assert "note" in shell.run("stop-all", "--release", code=2).stderr
    assert shell.json("stop-all", "--release", "--note", "list mended") == {"stopped": False, "changed": True}


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"version": 1, "all": [{"field": "email", "op": "contains", "value": "\\ud83d"}]}'],
    ids=["too deep", "half a character"],
)
def test_rule_that_no_database_can_hold_is_refused(shell: Shell, tmp_path: Path, text: str) -> None:
    path = tmp_path / "rule.json"
    path.write_text(text, encoding="utf-8")

    assert shell.run("segments", "count", str(path), code=2).stderr.startswith("error: ")


def test_number_that_no_database_can_hold_is_wrong_usage(shell: Shell) -> None:
    for command in (("campaigns", "status"), ("catcher", "show"), ("messages", "list", "--campaign")):
        shell.run(*command, "9" * 20, code=2)


def test_log_lines_never_stand_in_what_a_command_prints(tmp_path: Path) -> None:
    """No broker runs here, so that the doorbell of the launch is not heard."""
    ready = Shell(
        tmp_path / "data",
        {
            "smtp_url": "smtp://127.0.0.1:2525",
            "public_url": "http://127.0.0.1:8000",
            "bounce_domain": "bounce.example.com",
        },
    )
    assert json.loads(_launch(ready, tmp_path).stdout)["status"] == "preparing"


def _launch(shell: Shell, folder: Path) -> Result:
    people, rule, campaign = folder / "people.csv", folder / "rule.json", folder / "campaign.toml"
    people.write_text(GOOD, encoding="utf-8")
    rule.write_text('{"version": 1, "all": []}', encoding="utf-8")
    campaign.write_text(
        'name = "News"\nsubject = "News"\nsender = "Fjord"\ntopic = "News"\ndesign = "plain"\ninclude = ["All"]\n',
        encoding="utf-8",
    )
    sender = ("--from-name", "Fjord", "--from-email", "news@example.com", "--postal-address", "Havnegata 1")
    shell.run("topics", "create", "News")
    shell.run("senders", "create", "Fjord", *sender)
    shell.run("contacts", "import", str(people), "--basis", "consent", "--source", "test", "--topic", "News")
    shell.run("segments", "create", "All", "--rule", str(rule))
    return shell.run("campaigns", "launch", str(shell.json("campaigns", "create", str(campaign))["id"]), "--json")


def test_limits_of_the_relay_are_set_one_by_one(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data", {"smtp_url": "smtp://127.0.0.1:2525", "bounce_domain": "bounce.example.com"})
    shell.run("transports", "set", "--connections", "7")
    assert shell.json("transports", "set", "--rate", "50")["rate_per_second"] == 50

    assert shell.json("transports", "list")["connections"] == 7
    assert "--rate" not in shell.run("transports", "set", "--rate", "0", code=2).stdout
    assert shell.json("transports", "list")["rate_per_second"] == 50
    assert shell.json("transports", "set", "--rate", "none")["rate_per_second"] is None


def test_suppressions_in_and_out_again(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "stop.csv"
    path.write_text("name,email\nAnna,anna@example.com\nNobody,nonsense\n", encoding="utf-8")

    result = shell.json("suppressions", "import", str(path))

    assert result["new"] == 1
    assert result["refused"][0]["email"] == "nonsense"
    assert "anna@example.com" not in shell.run("suppressions", "list").stdout
    assert len(shell.lines("suppressions", "list")) == 1
    assert len(shell.run("suppressions", "export").stdout.splitlines()) == 2
    assert shell.json("suppressions", "remove", "anna@example.com")["lifted"] == 1


def test_user_gets_a_one_time_password_and_one_address_is_one_user(shell: Shell) -> None:
    made = shell.json("users", "create", "kari@example.com", "--role", "marketer")

    assert len(made["password"]) >= 12
    shell.run("users", "create", "kari@example.com", "--role", "marketer", code=3)
    assert "emperor" in shell.run("users", "create", "a@example.com", "--role", "emperor", code=2).stderr
