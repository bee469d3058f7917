"""The reference pages are true: every command, setting, word and standard is there."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import click
import pytest

from mailer import statuses
from mailer.assets import templates_dir
from mailer.bounces.words import Kind
from mailer.cli.main import main
from mailer.delivery.reasons import Reason
from mailer.delivery.why import CauseCode
from mailer.settings import Settings
from mailer.workspace.limits import LIMITS

DOCS = Path(__file__).parents[2] / "docs"


def _read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _commands(child, f"{path} {name}")


COMMANDS = list(_commands(main, "mailer"))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_and_option_is_documented(path: str, command: click.Command) -> None:
    line = next(
        (row for row in _read("reference/cli.md").splitlines() if row.startswith((f"| `{path} ", f"| `{path}`"))),
        "",
    )

    assert line, f"{path} is missing"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in line


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_says_what_it_does(path: str, command: click.Command) -> None:
    assert command.help, path


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`MAILER_{name.upper()}`" in _read("reference/settings.md")


VOCABULARY = (statuses.Verdict, statuses.Blame, statuses.Provider, statuses.ProviderEvent)
WORDS = [
    (enum.__name__, word.value)
    for enum in vars(statuses).values()
    if isinstance(enum, type) and issubclass(enum, StrEnum) and enum is not StrEnum and enum not in VOCABULARY
    for word in enum
]


@pytest.mark.parametrize(("enum", "word"), WORDS)
def test_every_status_is_documented(enum: str, word: str) -> None:
    assert f"`{word}`" in _read("reference/states.md"), enum


@pytest.mark.parametrize("word", [*Reason, *Kind, *(word for enum in VOCABULARY for word in enum)])
def test_every_word_of_bounces_and_providers_is_documented(word: str) -> None:
    assert f"`{word}`" in _read("reference/vocabulary.md")


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_every_limit_is_documented_with_its_default(limit: object) -> None:
    name, default = limit.name, limit.default  # type: ignore[attr-defined]

    assert f"| `{name}` | {default:g} |" in _read("reference/defaults.md")


@pytest.mark.parametrize("code", list(CauseCode))
def test_every_cause_of_waiting_is_documented_and_has_words_on_the_page(code: CauseCode) -> None:
    page = (templates_dir() / "admin" / "reports" / "causes.html").read_text(encoding="utf-8")

    assert f"| `{code}` |" in _read("reference/waiting.md")
    assert f'"{code}": "' in page
    assert f'code == "{code}"' in page or code is CauseCode.NOTHING_DUE


def _standards() -> list[tuple[str, str]]:
    rows = [row.split("|") for row in _read("standards.md").splitlines() if row.startswith(("| RFC", "| GDPR"))]
    return [(row[3].strip().strip("`"), row[4].strip().strip("`")) for row in rows]


@pytest.mark.parametrize(("module", "test"), _standards())
def test_standards_point_to_what_exists(module: str, test: str) -> None:
    root = DOCS.parent

    assert (root / module).is_file()
    assert (root / test).is_file()
