"""The program `mailer`: a command's module is loaded when the command is asked for.

Loading all of them takes over a second, and each process of `mailer up` would hold what the others need.
"""

import logging
from importlib import import_module

import click

from mailer.log import write_lines

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
MODULES = {
    "activities": "contacts",
    "bounces": "bounces",
    "campaigns": "campaigns",
    "catcher": "catcher",
    "consent": "consent",
    "contacts": "contacts",
    "demo": "demo",
    "doctor": "doctor",
    "domains": "domains",
    "followups": "followups",
    "forms": "forms",
    "link-webhooks": "tracking",
    "mailboxes": "bounces",
    "messages": "messages",
    "privacy": "privacy",
    "reputation": "reputation",
    "run": "run",
    "segments": "segment_history",
    "senders": "consent",
    "stop-all": "consent",
    "suppressions": "consent",
    "topics": "consent",
    "tracking": "tracking",
    "transports": "transports",
    "up": "up",
    "users": "users",
    "version": "version",
    "webhooks": "bounces",
}
"""Where each command is: the module in this folder; there its name is the command's, with an underscore for a dash."""


class Commands(click.Group):
    """The commands of MODULES."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every name."""
        del ctx
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None where the name is not known."""
        del ctx
        if cmd_name not in MODULES:
            return None
        module = import_module(f"mailer.cli.{MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(cls=Commands, context_settings=_CONTEXT)
def main() -> None:
    """Email marketing where each recipient is a ledger row: exactly once or known.

    \b
    First steps:
      mailer demo                 watch both stories play, then look around
      mailer up                   start everything on this machine
      mailer doctor               what is wrong with this installation, and how to mend it

    Exit codes: 0 done, 1 failed, 2 usage, 3 refused because of the state.
    """
    write_lines(logging.WARNING, as_json=False)


if __name__ == "__main__":
    main(prog_name="mailer")
