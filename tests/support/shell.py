"""Commands typed into this process: as a person types them, without the second that a new interpreter takes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from mailer.cli.main import main


@dataclass
class Shell:
    """A data folder and the settings of its commands."""

    folder: Path
    settings: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> Result:
        """Run one command; its exit code must be `code`, and nobody ever sees a traceback."""
        environment = {"MAILER_DATA_DIR": str(self.folder)}
        environment |= {f"MAILER_{name.upper()}": value for name, value in self.settings.items()}
        done = CliRunner(env=environment).invoke(main, list(arguments))
        assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
        assert "Traceback" not in done.output
        return done

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return the document it prints."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def lines(self, *arguments: str) -> list[Any]:
        """Run a command with --json and return the documents it prints, one a line."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]
