"""What the steps of a campaign show and read: data values as fields, links with their actions. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailer.errors import InputError, Problem
from mailer.statuses import ActionKind, LinkResponse

DATA_PREFIX = "data."


@dataclass(frozen=True)
class DataField:
    """A value of the template as a form field; `is_json` for lists, which are edited as JSON."""

    path: str
    label: str
    value: str
    is_json: bool

    @property
    def name(self) -> str:
        """The name of the form field."""
        return DATA_PREFIX + self.path


def overlay(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is edited: own values, in the order and with the names of the design; what is missing is empty.

    Keys at the top of which the campaign says nothing keep the design's values, as they do when it is sent.
    """
    merged = {key: _fill(value, own[key]) if key in own else value for key, value in defaults.items()}
    return merged | {key: value for key, value in own.items() if key not in defaults}


def _fill(sample: Any, own: Any) -> Any:
    if not isinstance(sample, Mapping) or not isinstance(own, Mapping):
        return own
    filled = {key: _fill(value, own[key]) if key in own else _nothing(value) for key, value in sample.items()}
    return filled | {key: value for key, value in own.items() if key not in sample}


def _nothing(sample: Any) -> Any:
    if isinstance(sample, Mapping):
        return {key: _nothing(value) for key, value in sample.items()}
    return [] if isinstance(sample, list) else ""


def list_data_fields(data: Mapping[str, Any]) -> list[DataField]:
    """Return one field for each value in `data`, in order; nested names are joined by dots."""
    return list(_walk(data, ""))


def _walk(data: Mapping[str, Any], prefix: str) -> Iterator[DataField]:
    for key, value in data.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _walk(value, path)
            continue
        label = path.replace("_", " ").replace(".", ": ").capitalize()
        is_json = not isinstance(value, str)
        yield DataField(path, label, json.dumps(value, indent=2, ensure_ascii=False) if is_json else value, is_json)


def read_data(form: Mapping[str, str], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with the values of the form; InputError names each field that is no JSON where JSON is needed."""
    problems: list[Problem] = []
    changed: dict[str, Any] = json.loads(json.dumps(dict(data)))
    for field in list_data_fields(data):
        if field.name not in form:
            continue
        value: Any = form[field.name].strip()
        if field.is_json:
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                problems.append(Problem(field.name, f"this is not JSON: {error}", "keep the brackets and quotes"))
                continue
        _put(changed, field.path.split("."), value)
    if problems:
        raise InputError(problems)
    return changed


def _put(data: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        data = data.setdefault(key, {})
    data[path[-1]] = value


@dataclass(frozen=True)
class LinkForm:
    """A link of the design as the page shows it."""

    number: int
    url: str
    label: str
    response: str
    segment: str
    task: str
    task_days: int
    task_owner: str


def list_link_forms(urls: Sequence[str], labels: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> list[LinkForm]:
    """Return the links of a design, each once, with what the campaign says about it."""
    said = {str(entry.get("match")): entry for entry in entries}
    forms: dict[str, LinkForm] = {}
    for url, label in zip(urls, labels, strict=True):
        if url not in forms:
            forms[url] = _link_form(len(forms), url, label, said.get(url, {}))
    return list(forms.values())


def _link_form(number: int, url: str, label: str, entry: Mapping[str, Any]) -> LinkForm:
    actions = {kind: value for action in entry.get("actions", ()) for kind, value in action.items()}
    task = actions.get(ActionKind.FOLLOW_UP.value, {})
    return LinkForm(
        number=number,
        url=url,
        label=label,
        response=str(entry.get("response", "")),
        segment=str(actions.get(ActionKind.ADD_TO_SEGMENT.value, "")),
        task=str(task.get("title", "")),
        task_days=int(task.get("due_working_days", 2)),
        task_owner=str(task.get("owner", "contact_owner")),
    )


def read_links(form: Mapping[str, str], entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the links of a campaign file from the form; what the form does not show of an entry is kept."""
    shown = [form[f"link.{number}.url"] for number in range(len(form)) if f"link.{number}.url" in form]
    said = {str(entry.get("match")): entry for entry in entries}
    links: list[dict[str, Any]] = [dict(entry) for match, entry in said.items() if match not in shown]
    for number, url in enumerate(shown):
        actions = [*_kept(said.get(url, {})), *_actions(form, number)]
        response = form.get(f"link.{number}.response", "")
        if actions or response:
            entry: dict[str, Any] = {"match": url, "actions": actions}
            if response in set(LinkResponse):
                entry["response"] = response
            links.append(entry)
    return links


def _kept(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    shown = {ActionKind.ADD_TO_SEGMENT.value, ActionKind.FOLLOW_UP.value}
    return [dict(action) for action in entry.get("actions", ()) if not shown & set(action)]


def _actions(form: Mapping[str, str], number: int) -> Iterator[dict[str, Any]]:
    segment = form.get(f"link.{number}.segment", "").strip()
    if segment:
        yield {ActionKind.ADD_TO_SEGMENT.value: segment}
    title = form.get(f"link.{number}.task", "").strip()
    if title:
        days = form.get(f"link.{number}.days", "")
        yield {
            ActionKind.FOLLOW_UP.value: {
                "title": title,
                "due_working_days": int(days) if days.isdecimal() else 2,
                "owner": form.get(f"link.{number}.owner") or "contact_owner",
            }
        }
