"""What commands print: JSON on stdout where asked, words otherwise; errors on stderr with where and how to mend."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from mailer.errors import ConflictError, InputError, MailerError, NotAllowedError, NotFoundError

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
FAILED, USAGE, REFUSED = 1, 2, 3
P = ParamSpec("P")
T = TypeVar("T")

number = click.IntRange(1, 2**63 - 1)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: object) -> None:
    """Print one JSON document on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def print_lines(lines: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print mappings, one a line: as JSON, or as `key=value` words."""
    for line in lines:
        if as_json:
            print_json(line)
        else:
            click.echo("  ".join(f"{key}={_shown(value)}" for key, value in line.items()))


def print_mapping(value: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one mapping: as JSON, or one key a line."""
    if as_json:
        print_json(value)
        return
    width = max((len(key) for key in value), default=0)
    for key, item in value.items():
        click.echo(f"{key:<{width}}  {_shown(item)}")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return str(_plain(value) if isinstance(value, datetime | date) else value)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def telling_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Turn errors that a person may read into words on stderr and the exit codes of INTERFACES."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            _require_text(kwargs.values())
            return command(*args, **kwargs)
        except MailerError as error:
            tell(error)
            sys.exit(exit_code(error))
        except (OperationalError, ProgrammingError) as error:
            reason = str(error.orig).strip().splitlines()[0]
            click.echo(f"error: the database said: {reason}", err=True)
            click.echo("  mend: check MAILER_DATABASE_URL and run `mailer doctor`", err=True)
            sys.exit(FAILED)
        except BrokenPipeError:
            sys.stdout = None  # the reader has enough (`… | head`); nothing is left to be flushed
            sys.exit(0)
        except OSError as error:
            name = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {name}{error.strerror or error}", err=True)
            sys.exit(FAILED)

    return run


def _require_text(given: Iterable[object]) -> None:
    """Refuse arguments that are no text in UTF-8 before anything is done with them: no database keeps them."""
    for value in given:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and _NO_TEXT.search(text):
                raise InputError(f"not a text in UTF-8: {text[:60]!r}", where="arguments")


def tell(error: MailerError) -> None:
    """Print an error on stderr: each problem with its place and its mend."""
    if isinstance(error, InputError):
        for problem in error.problems:
            place = f"{problem.where}: " if problem.where else ""
            click.echo(f"error: {place}{problem.what}", err=True)
            if problem.mend:
                click.echo(f"  mend: {problem.mend}", err=True)
        return
    click.echo(f"error: {error.message}", err=True)
    if error.mend:
        click.echo(f"  mend: {error.mend}", err=True)


def exit_code(error: MailerError) -> int:
    """Return the exit code of an error."""
    if isinstance(error, InputError):
        return USAGE
    if isinstance(error, ConflictError | NotAllowedError):
        return REFUSED
    if isinstance(error, NotFoundError):
        return FAILED
    return FAILED
