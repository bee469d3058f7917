"""What a rule names that does not exist: no error, for it may come to be, but worth saying."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.errors import Problem
from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.consent import Topic
from mailer.schema.contacts import Activity, Tag
from mailer.schema.content import TrackedLink
from mailer.segments.tree import ActivityTest, Behavior, FollowUpTest, Group, Line, TopicTest, iter_lines

Named = tuple[str, str, int | str]
"""Where something is named, what it is, and its name or id."""


def list_doubts(session: Session, group: Group) -> list[Problem]:
    """Return what a rule names in vain, by place: campaigns, links, topics, tags, users, kinds of activity."""
    named = [one for line in iter_lines(group) for one in _named(line)]
    return [
        Problem(place, f"there is no {what} {name!r}", "nothing meets it")
        for what, find in _FINDERS.items()
        for place, name in _missing([(place, name) for place, kind, name in named if kind == what], session, find)
    ]


def _named(line: Line) -> Iterator[Named]:
    place, value = f"{line.place}.value", line.value
    if isinstance(value, Behavior | FollowUpTest):
        yield from ((f"{place}.campaign", "campaign", name) for name in value.campaigns)
    if isinstance(value, Behavior) and value.link is not None:
        yield f"{place}.link", "link", value.link
    if isinstance(value, ActivityTest):
        yield f"{place}.kind", "activity of the kind", value.kind
    if isinstance(value, TopicTest):
        yield from ((place, "topic", name) for name in value.topics)
    if line.field == "tags":
        yield from ((place, "tag", name) for name in value or ())
    if line.field in ("owner", "company.owner"):
        yield from ((place, "user", name) for name in ((value,) if isinstance(value, str) else value or ()))


Find = Callable[[Session, Sequence[Any]], set[Any]]
"""Returns those of some names and ids that exist."""


def _missing(named: Sequence[tuple[str, int | str]], session: Session, find: Find) -> list[tuple[str, int | str]]:
    there = find(session, list(dict.fromkeys(name for _, name in named))) if named else set()
    return [(place, name) for place, name in named if name not in there]


def _exactly(text: Any, key: Any) -> Find:
    """Find texts as they are written, and ids."""

    def find(session: Session, names: Sequence[Any]) -> set[Any]:
        ids = [name for name in names if isinstance(name, int)]
        texts = [name for name in names if isinstance(name, str)]
        return {
            *session.scalars(select(key).where(key.in_(ids))),
            *session.scalars(select(text).where(text.in_(texts))),
        }

    return find


def _in_any_case(column: Any) -> Find:
    """Find texts whatever their case, as rules compare them."""

    def find(session: Session, names: Sequence[Any]) -> set[Any]:
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        folded = func.fold(column) if is_sqlite else func.lower(column)
        wanted = {name: name.casefold() if is_sqlite else name.lower() for name in names}
        there = set(session.scalars(select(folded).where(folded.in_(list(wanted.values())))))
        return {name for name, text in wanted.items() if text in there}

    return find


def _kinds(session: Session, names: Sequence[Any]) -> set[Any]:
    """Find kinds of activity one by one: each look ends at the first row of the index."""
    return {name for name in names if session.scalar(select(Activity.id).where(Activity.kind == name).limit(1))}


_FINDERS: dict[str, Find] = {
    "campaign": _exactly(Campaign.name, Campaign.id),
    "link": _exactly(TrackedLink.url, TrackedLink.id),
    "activity of the kind": _kinds,
    "topic": _in_any_case(Topic.name),
    "tag": _in_any_case(Tag.name),
    "user": _in_any_case(Staff.email),
}
