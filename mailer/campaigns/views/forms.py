"""What the steps of a campaign show and read: values of the template as fields. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailer.errors import InputError, Problem

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
