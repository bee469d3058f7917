"""Keyset paging: a page begins after the last key of the one before; never OFFSET."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import request

Row = TypeVar("Row")
PAGE_SIZE = 50


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows of a page; `next_key` begins the next one, None at the end."""

    rows: Sequence[Row]
    next_key: str | None
    is_first: bool


def page_key() -> int | None:
    """Return the numeric key in `?after=`; None on the first page or for nonsense."""
    text = request.args.get("after", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 - 63 bits


def cut_page(rows: Sequence[Row], key: Callable[[Row], object], *, size: int = PAGE_SIZE) -> Page[Row]:
    """Return a page out of `size` + 1 rows that were asked for; the row too many says that there is more."""
    shown = rows[:size]
    more = len(rows) > size
    return Page(shown, str(key(shown[-1])) if more else None, is_first="after" not in request.args)


def page_address(key: str | None) -> str:
    """Return the address of this list from `key` on, filters kept; the first page for None."""
    values = [(name, value) for name, value in request.args.items(multi=True) if name != "after"]
    query = urlencode([*values, ("after", key)] if key else values)
    return f"{request.path}?{query}" if query else request.path
