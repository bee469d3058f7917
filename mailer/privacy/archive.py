"""An export as a ZIP: one JSON, a CSV for each section, and a page that people read without any program of ours.

CSV as RFC 4180 with every cell quoted, so that no separator opens a new one; no spreadsheet takes a cell for a formula.
"""

import csv
import io
import json
import zipfile
from datetime import datetime
from typing import Any, Protocol

from jinja2 import Environment, StrictUndefined

from mailer.assets import read_template
from mailer.imports.refusals import guard_cell

PAGE, STYLE = "admin/privacy/export_page.html", "admin/privacy/export_page.css"


class SectionLike(Protocol):
    """A heading with rows."""

    @property
    def name(self) -> str:
        """The name of its file."""

    @property
    def title(self) -> str:
        """Its heading."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its rows; each has the same columns."""


class ExportLike(Protocol):
    """What is put into the archive."""

    @property
    def emails(self) -> tuple[str, ...]:
        """The addresses that it is about."""

    @property
    def at(self) -> datetime:
        """When it was read."""

    @property
    def controller(self) -> str:
        """Who keeps it."""

    @property
    def sections(self) -> Any:
        """Its sections, in order."""

    @property
    def mails(self) -> dict[str, bytes]:
        """Raw mails by file name."""


def build_archive(export: ExportLike) -> bytes:
    """Return the bytes of the ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.html", build_page(export))
        archive.writestr("data.json", _as_json(export))
        for section in export.sections:
            archive.writestr(f"csv/{section.name}.csv", build_csv(section))
        for name, raw in export.mails.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


def build_csv(section: SectionLike) -> bytes:
    """Return a section as CSV in UTF-8 with a byte order mark, which spreadsheets need to see that it is."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow([guard_cell(str(name)) for name in section.rows[0]])
    writer.writerows([guard_cell(show(value)) for value in row.values()] for row in section.rows)
    return text.getvalue().encode("utf-8-sig")


def build_page(export: ExportLike) -> str:
    """Return a page that asks nothing of any server: words, tables, its own style."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(read_template(PAGE)).render(
        export=export, show=show, style=read_template(STYLE), _=_say
    )  # fmt: skip


def _say(text: str, **values: str) -> str:
    """Return a text of the page: the file leaves the house, so it does not speak the language of whoever made it."""
    return text % values if values else text


def show(value: Any) -> str:
    """Return a value in words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {show(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(show(one) for one in value)
    return str(value)


def _as_json(export: ExportLike) -> str:
    document = {
        "about": list(export.emails),
        "at": export.at.isoformat(),
        "controller": export.controller,
        "data": {section.name: section.rows for section in export.sections},
    }
    return json.dumps(document, ensure_ascii=False, indent=1)
