"""`mailer doctor`."""

import sys

import click

from mailer.cli.output import FAILED, json_option, print_lines, telling_errors
from mailer.doctor.service import examine
from mailer.settings import load_settings


@click.command()
@json_option
@telling_errors
def doctor(*, as_json: bool) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 where something is.

    \b
    Examples:
      mailer doctor
      mailer doctor --json
    """
    findings = examine(load_settings())
    if as_json:
        print_lines(({"check": f.check, "ok": f.is_ok, "what": f.what, "mend": f.mend} for f in findings), as_json=True)
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.is_ok else 'BAD '} {finding.check}: {finding.what}")
            if finding.mend:
                click.echo(f"     mend: {finding.mend}")
    if not all(finding.is_ok for finding in findings):
        sys.exit(FAILED)
