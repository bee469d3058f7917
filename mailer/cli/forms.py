"""Sign-up forms: list, show, create from a file, open, close."""

from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from mailer.cli.output import json_option, number, print_json, print_lines, print_mapping, telling_errors
from mailer.cli.session import opened
from mailer.context import Context
from mailer.errors import InputError
from mailer.forms import queries, service
from mailer.forms.queries import FormLine, Numbers
from mailer.forms.spec import parse_form_file
from mailer.schema.forms import Form

_PAGE = 200


@click.group()
def forms() -> None:
    """Sign-up forms. ID is a number from `forms create` or `forms list`."""


@forms.command("list")
@click.option("--archived", is_flag=True, help="Those that were put away.")
@json_option
@telling_errors
def list_forms(*, archived: bool, as_json: bool) -> None:
    """List the forms with what came of them, newest first."""
    with opened() as ctx, ctx.read() as session:
        before: int | None = None
        while lines := queries.list_forms(session, ctx.clock.now(), archived=archived, before_id=before, limit=_PAGE):
            print_lines([_line(line) for line in lines], as_json=as_json)
            before = lines[-1].form.id


@forms.command()
@click.argument("form_id", metavar="ID", type=number)
@json_option
@telling_errors
def show(*, form_id: int, as_json: bool) -> None:
    """Show a form in the keys of its file, with its address, its numbers and why sign-ups were refused."""
    with opened() as ctx, ctx.read() as session:
        form = queries.get_form_by_id(session, form_id)
        shown = _shown(session, ctx, form)
    if as_json:
        print_json(shown)
    else:
        print_mapping(shown, as_json=False)


@forms.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@telling_errors
def create(*, file: Path, as_json: bool) -> None:
    """Create a draft from a form file (docs/reference/form-file.md).

    \b
    Example:
      mailer forms create newsletter.toml --json
    """
    try:
        spec = parse_form_file(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"not a text in UTF-8, at byte {error.start}", where=str(file)) from error
    with opened() as ctx:
        form = service.create_form(ctx, spec)
        print_mapping({"id": form.id, "state": form.state, "url": _url(ctx, form)}, as_json=as_json)


@forms.command("open")
@click.argument("form_id", metavar="ID", type=number)
@json_option
@telling_errors
def open_form(*, form_id: int, as_json: bool) -> None:
    """Let people sign up; says everything that is missing."""
    with opened() as ctx:
        form = service.open_form(ctx, _public_id(ctx, form_id))
        print_mapping({"id": form.id, "state": form.state, "url": _url(ctx, form)}, as_json=as_json)


@forms.command()
@click.argument("form_id", metavar="ID", type=number)
@json_option
@telling_errors
def close(*, form_id: int, as_json: bool) -> None:
    """Take no more sign-ups; links that were mailed before still work."""
    with opened() as ctx:
        form = service.close_form(ctx, _public_id(ctx, form_id))
        print_mapping({"id": form.id, "state": form.state}, as_json=as_json)


def _public_id(ctx: Context, form_id: int) -> Any:
    with ctx.read() as session:
        return queries.get_form_by_id(session, form_id).public_id


def _url(ctx: Context, form: Form) -> str:
    return f"{ctx.settings.public_url}/f/{form.public_id}"


def _line(line: FormLine) -> dict[str, Any]:
    form = line.form
    return {"id": form.id, "name": form.name, "state": form.state, "open": line.is_open, **vars(line.numbers)}


def _shown(session: Session, ctx: Context, form: Form) -> dict[str, Any]:
    numbers = queries.count_numbers(session, [form.id]).get(form.id, Numbers())
    wording = queries.find_wording(session, form.id)
    return {
        "id": form.id,
        "state": form.state,
        "open": form.is_open_at(ctx.clock.now()),
        "url": _url(ctx, form),
        **service.describe_form(session, form),
        "wording_version": wording.version if wording else None,
        **vars(numbers),
        "why_refused": queries.count_refusals(session, form.id),
    }
