"""Staff users."""

import click

from mailer.accounts import queries
from mailer.accounts.service import create_staff
from mailer.cli.output import json_option, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.statuses import Role


@click.group()
def users() -> None:
    """People who sign in."""


@users.command()
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="", help="Name shown beside tasks.")
@json_option
@telling_errors
def create(*, email: str, role: str, name: str, as_json: bool) -> None:
    """Create a user and print a one-time password.

    \b
    Example:
      mailer users create kari@example.com --role marketer
    """
    with opened() as ctx:
        staff, password = create_staff(ctx, email, Role(role), name=name)
    print_mapping({"email": staff.email, "role": staff.role, "password": password}, as_json=as_json)


@users.command("list")
@json_option
@telling_errors
def list_users(*, as_json: bool) -> None:
    """List the users."""
    with opened() as ctx, ctx.read() as session:
        staff = queries.list_staff(session)
    print_lines(
        ({"id": row.id, "email": row.email, "role": row.role, "name": row.name} for row in staff), as_json=as_json
    )
