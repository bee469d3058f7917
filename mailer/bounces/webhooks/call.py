"""A provider's call as it came over HTTP, and its body as JSON or as a form (RFC 8259; RFC 7578). Pure.

A call that cannot be read is an error; a field that is missing or of another kind than it should be is only missing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from mailer.errors import InputError

MAX_BYTES = 10 * 2**20
_MAX_FIELDS = 1_000


@dataclass(frozen=True)
class Call:
    """One call. `headers` by lower-case name."""

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def read_json(call: Call) -> Any:
    """Return the body as JSON.

    Raises:
        InputError: it is none, or too large.
    """
    _check_size(call)
    try:
        return json.loads(call.body)
    except (ValueError, RecursionError) as error:
        raise InputError("the body is no JSON", mend="see what the provider sends") from error


def read_form(call: Call) -> dict[str, str]:
    """Return the fields of a form, multipart or urlencoded; the first of several of one name.

    Raises:
        InputError: it is no form, or too large.
    """
    _check_size(call)
    kind = call.content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _read_multipart(call)
    if kind == "application/x-www-form-urlencoded":
        try:
            pairs = parse_qsl(call.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError as error:
            raise InputError("the body is no form", mend="see what the provider sends") from error
        return dict(reversed(pairs))
    raise InputError(f"a form is expected, not {kind or 'nothing'}", mend="see what the provider sends")


def is_form(call: Call) -> bool:
    """Whether the body says that it is a form."""
    return call.content_type.partition(";")[0].strip().lower() in (
        "multipart/form-data",
        "application/x-www-form-urlencoded",
    )


def _check_size(call: Call) -> None:
    if len(call.body) > MAX_BYTES:
        raise InputError(f"the body is larger than {MAX_BYTES // 2**20} MB")


def _read_multipart(call: Call) -> dict[str, str]:
    head = f"Content-Type: {' '.join(call.content_type.split())}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + call.body)
    parts = message.get_payload() if message.is_multipart() else []
    found: dict[str, str] = {}
    for part in parts[:_MAX_FIELDS] if isinstance(parts, list) else []:
        if isinstance(part, Message) and (name := part.get_param("name", header="content-disposition")):
            raw = part.get_payload(decode=True)
            found.setdefault(
                str(name), (raw if isinstance(raw, bytes) else b"").decode("utf-8", "replace").rstrip("\r\n")
            )
    if not found:
        raise InputError("the body is no form", mend="see what the provider sends")
    return found
