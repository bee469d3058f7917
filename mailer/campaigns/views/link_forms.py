"""The links of a campaign as a form: how each answers, what a click does, in rows of plain fields. Pure.

Names of fields: `link.2.response`, `link.2.action.0.kind` and so on. What was typed wrong comes back with the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailer.content.link_actions import NAMED_BY, read_action, read_end, read_page_text
from mailer.errors import InputError, Problem
from mailer.statuses import ActionKind, FollowUpKind, LinkResponse

DAYS = 2
_TAGS = (ActionKind.ADD_TAG, ActionKind.REMOVE_TAG)
_MOST_ACTIONS = 50


@dataclass(frozen=True)
class ActionForm:
    """An action as a row of fields: `values` by the last part of their names."""

    name: str
    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class LinkForm:
    """A link of the design as the page shows it."""

    number: int
    url: str
    label: str
    response: str
    ends_on: str
    is_repeated: bool
    text: str = ""
    form: str = ""
    actions: Sequence[ActionForm] = field(default_factory=tuple)


def list_link_forms(
    urls: Sequence[str],
    labels: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    *,
    typed: Mapping[str, str] | None = None,
    add: tuple[int, str] | None = None,
) -> list[LinkForm]:
    """Return the links of a design, each once, with what the campaign says about it.

    `typed`: a form that was refused; it is shown as it was typed. `add`: a blank row for an action of a kind on the
    link with a number.
    """
    said = {str(entry.get("match")): entry for entry in entries}
    sent = {typed[f"link.{number}.url"]: number for number in _numbers(typed)} if typed else {}
    forms: dict[str, LinkForm] = {}
    for url, label in zip(urls, labels, strict=True):
        if url in forms:
            continue
        number = len(forms)
        shown = label or url
        if typed is not None and url in sent:
            forms[url] = _typed_form(number, url, shown, typed, sent[url])
        else:
            forms[url] = _said_form(number, url, shown, said.get(url, {}), add)
    return list(forms.values())


def _said_form(number: int, url: str, label: str, entry: Mapping[str, Any], add: tuple[int, str] | None) -> LinkForm:
    pairs = [(kind, value) for action in entry.get("actions", ()) for kind, value in action.items()]
    rows = [ActionForm(_row(number, place), kind, _values_of(kind, value)) for place, (kind, value) in enumerate(pairs)]
    if add is not None and add[0] == number and add[1] in set(ActionKind):
        rows.append(ActionForm(_row(number, len(rows)), add[1], {"days": str(DAYS)}))
    return LinkForm(
        number=number,
        url=url,
        label=label,
        response=str(entry.get("response", "")),
        ends_on=str(entry.get("ends_on") or ""),
        is_repeated=entry.get("each_time") is True,
        text=str(entry.get("text", "")),
        form=str(entry.get("form") or ""),
        actions=rows,
    )


def _row(number: int, place: int) -> str:
    return f"link.{number}.action.{place}"


def _values_of(kind: str, value: Any) -> dict[str, str]:
    if kind == ActionKind.FOLLOW_UP and isinstance(value, Mapping):
        return {
            "title": str(value.get("title", "")),
            "days": str(value.get("due_working_days", DAYS)),
            "owner": str(value.get("owner", "contact_owner")),
            "task_kind": str(value.get("kind", "to_do")),
            "minutes": str(value.get("minutes", "")),
            "note": str(value.get("note", "")),
        }
    if kind == ActionKind.SET_FIELD and isinstance(value, Mapping):
        return {"field": str(value.get("field", "")), "value": str(value.get("value", ""))}
    return {"tag" if kind in _TAGS else NAMED_BY.get(ActionKind(kind), ""): str(value)}


def _numbers(form: Mapping[str, str]) -> list[int]:
    return [number for number in range(len(form)) if f"link.{number}.url" in form]


def _places(form: Mapping[str, str], number: int) -> list[int]:
    return [place for place in range(_MOST_ACTIONS) if f"{_row(number, place)}.kind" in form]


def _typed_form(number: int, url: str, label: str, typed: Mapping[str, str], sent: int) -> LinkForm:
    rows = []
    for place in _places(typed, sent):
        prefix = _row(sent, place) + "."
        values = {key.removeprefix(prefix): value for key, value in typed.items() if key.startswith(prefix)}
        rows.append(ActionForm(_row(number, place), values["kind"], values))
    return LinkForm(
        number=number,
        url=url,
        label=label,
        response=typed.get(f"link.{sent}.response", ""),
        ends_on=typed.get(f"link.{sent}.ends_on", ""),
        is_repeated=typed.get(f"link.{sent}.each_time") == "1",
        text=typed.get(f"link.{sent}.text", ""),
        form=typed.get(f"link.{sent}.form", ""),
        actions=rows,
    )


def read_links(form: Mapping[str, str], entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the links of a campaign file from the form; links that the form does not show are kept.

    Raises:
        InputError: an action lacks what it needs; names each field.
    """
    numbers = _numbers(form)
    shown = {form[f"link.{number}.url"] for number in numbers}
    links: list[dict[str, Any]] = [dict(entry) for entry in entries if str(entry.get("match")) not in shown]
    problems: list[Problem] = []
    for number in numbers:
        entry = _read_link(form, number, problems)
        if len(entry) > 1:
            links.append({"actions": [], **entry})
    if problems:
        raise InputError(problems)
    return links


def _read_link(form: Mapping[str, str], number: int, problems: list[Problem]) -> dict[str, Any]:
    entry: dict[str, Any] = {"match": form[f"link.{number}.url"]}
    if actions := list(_read_actions(form, number, problems)):
        entry["actions"] = actions
    response = form.get(f"link.{number}.response", "")
    if response in set(LinkResponse):
        entry["response"] = response
    if response == LinkResponse.FORM:
        named = form.get(f"link.{number}.form", "").replace("\0", "").strip()
        entry["form"] = int(named) if named.isdecimal() and len(named) < 19 else named  # noqa: PLR2004 - 63 bits
        if not named:
            problems.append(Problem(f"link.{number}.form", "the link names no form", "choose one, or another answer"))
    name = f"link.{number}.text"
    try:
        said = LinkResponse(response) if response in set(LinkResponse) else LinkResponse.CONFIRM
        if text := read_page_text(form.get(name, ""), said, name):
            entry["text"] = text
    except InputError as error:
        problems += error.problems
    name = f"link.{number}.ends_on"
    try:
        if ends_on := read_end(form.get(name, "").strip(), name):
            entry["ends_on"] = ends_on.isoformat()
    except InputError as error:
        problems += error.problems
    if form.get(f"link.{number}.each_time") == "1":
        entry["each_time"] = True
    return entry


def _read_actions(form: Mapping[str, str], number: int, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    for place in _places(form, number):
        row = _row(number, place)
        if form.get(f"{row}.remove") == "1":
            continue
        kind, value, where = _action_of(form, row)
        try:
            read_action({kind: value}, where)
        except InputError:
            problems.append(Problem(where, *_MISSING.get(kind, ("there is no such action", "remove it"))))
            continue
        yield {kind: value}


_MISSING: dict[str, tuple[str, str]] = {
    ActionKind.ADD_TO_SEGMENT: ("the action names no segment", "choose one, or remove the action"),
    ActionKind.REMOVE_FROM_SEGMENT: ("the action names no segment", "choose one, or remove the action"),
    ActionKind.SUBSCRIBE: ("the action names no topic", "choose one, or remove the action"),
    ActionKind.WEBHOOK: ("the action names no webhook", "choose one, or remove the action"),
    ActionKind.SET_FIELD: ("the action names no field", "choose one, or remove the action"),
    ActionKind.ADD_TAG: ("the action names no tag", "type one, or remove the action"),
    ActionKind.REMOVE_TAG: ("the action names no tag", "type one, or remove the action"),
    ActionKind.FOLLOW_UP: (
        "the task says nothing of what is to be done, or its numbers do not fit",
        "say it in a few words, due within a year; a meeting takes from 5 minutes to 8 hours",
    ),
}
"""What is wrong with a row, in words of the page, and how to mend it."""


def _action_of(form: Mapping[str, str], row: str) -> tuple[str, Any, str]:
    """Return kind and value as a campaign file has them, and the field that a problem stands beside."""

    def text(name: str) -> str:
        return form.get(f"{row}.{name}", "").replace("\0", "").strip()

    kind = text("kind")
    if kind == ActionKind.FOLLOW_UP:
        days = text("days")
        value: dict[str, Any] = {
            "title": text("title")[:200],
            "due_working_days": int(days) if days.isdecimal() and len(days) < 5 else DAYS,  # noqa: PLR2004 - an int
            "owner": text("owner") or "contact_owner",
        }
        value |= {key: found for key, found in (("kind", text("task_kind")), ("note", text("note"))) if found}
        minutes = text("minutes")
        if minutes and value.get("kind") == FollowUpKind.MEETING:  # else a length that was typed means nothing
            value["minutes"] = int(minutes) if minutes.isdecimal() and len(minutes) < 5 else minutes  # noqa: PLR2004 - an int
        return kind, value, f"{row}.title"
    if kind == ActionKind.SET_FIELD:
        return kind, {"field": text("field"), "value": text("value")}, f"{row}.field"
    if kind not in set(ActionKind):
        return kind, "", f"{row}.kind"
    name = "tag" if kind in _TAGS else NAMED_BY[ActionKind(kind)]
    return kind, text(name), f"{row}.{name}"
