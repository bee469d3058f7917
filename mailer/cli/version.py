"""`mailer version`."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

import click

from mailer.cli.output import telling_errors
from mailer.errors import SetupError


@click.command()
@telling_errors
def version() -> None:
    """Print the version."""
    try:
        click.echo(package_version("mailer"))
    except PackageNotFoundError as error:
        raise SetupError("mailer runs from its source and is not installed", mend="pip install .") from error
