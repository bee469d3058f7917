"""Starter designs: files that ship with the product, `templates/starters/<name>/design.{toml,mjml}`."""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from mailer.assets import read_template, templates_dir
from mailer.errors import NotFoundError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class DesignSource:
    """A design as its author wrote it; `data` are sample values for a preview, never sent."""

    name: str
    title: str
    description: str
    mjml: str
    is_starter: bool
    data: dict[str, Any] = field(default_factory=dict)


@cache
def list_starters() -> tuple[DesignSource, ...]:
    """Return every starter in the order of the gallery."""
    folder = templates_dir() / "starters"
    names = sorted(path.name for path in folder.iterdir() if (path / "design.mjml").is_file())
    found = [(tomllib.loads(read_template(f"starters/{name}/design.toml")), name) for name in names]
    return tuple(_starter(head, name) for head, name in sorted(found, key=lambda item: item[0].get("order", 99)))


def find_starter(name: str) -> DesignSource | None:
    """Return the starter called `name`."""
    return next((starter for starter in list_starters() if starter.name == name), None)


def _starter(head: dict[str, Any], name: str) -> DesignSource:
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"no starter is called {name!r}")
    mjml = read_template(f"starters/{name}/design.mjml")
    return DesignSource(name, head["title"], head["description"], mjml, is_starter=True, data=head.get("data", {}))


def sample_context(data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a whole context with people of example.com, for previews where no contact is chosen."""
    return {
        "contact": {
            "email": "anna@example.com", "first_name": "Anna", "last_name": "Berg", "title": "Head of Sales",
            "city": "Bergen",
            "country": "Norway", "language": "en", "company": "Example AS", "category": "B", "tags": ["seminars"],
        },
        "company": {"name": "Example AS", "industry": "Trade", "category": "B", "country": "Norway"},
        "owner": {"name": "Ola Nordmann", "email": "ola@example.com"},
        "sender": {
            "name": "Example Company", "postal_address": "Storgata 1, 0155 Oslo, Norway",
            "organisation_number": "Org. no. 999 999 999", "privacy_url": "https://example.com/privacy",
        },
        "campaign": {"name": "Preview", "subject": "Preview", "preheader": ""},
        "links": [],
        "view_url": "#view",
        "preferences_url": "#preferences",
        "unsubscribe_url": "#unsubscribe",
        "pixel_url": "",
        **(data or {}),
    }  # fmt: skip
