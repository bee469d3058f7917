"""What a form is made of, as a file or the builder gives it, and everything wrong with it at once. Pure.

The builder and `mailer forms create FILE` hand in the same keys (docs/reference/form-file.md).
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailer.content.link_actions import read_action
from mailer.errors import InputError, Problem
from mailer.settings import is_loopback
from mailer.statuses import ActionKind

ACCENT = "#3a4fd0"
LANGUAGES = ("en", "da", "de", "es", "fr", "it", "nb", "nl", "sv")
MAX_FIELDS = 20
RESPONSE = "response_mail"
"""The action that only forms have; the others are those of links."""
_COLOR = re.compile(r"#[0-9a-f]{6}")


class FieldLine(BaseModel):
    """A question: a contact field by its key, its label where it is not the usual one, and whether it must be given.

    `prefill`: who comes by a link of a mail finds it filled in, as does whoever the mail was forwarded to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(min_length=1, max_length=50)
    label: str = Field("", max_length=200)
    required: bool = False
    prefill: bool = False


class FormFile(BaseModel):
    """The keys of a form file. A draft may lack what opening it asks for (`mailer/forms/service.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=200)
    sender: str = ""
    double_opt_in: bool = True
    topics: list[str] = Field(default_factory=list, max_length=20)
    wording: str = Field("", max_length=4000)
    fields: list[FieldLine] = Field(default_factory=list, max_length=MAX_FIELDS)
    title: str = Field("", max_length=200)
    intro: str = Field("", max_length=2000)
    button: str = Field("", max_length=60)
    thanks: str = Field("", max_length=2000)
    redirect: str = Field("", max_length=500)
    privacy_url: str = Field("", max_length=500)
    accent: str = ACCENT
    language: str = "en"
    sites: list[str] = Field(default_factory=list, max_length=20)
    actions: list[dict[str, Any]] = Field(default_factory=list, max_length=10)
    closes_at: str = ""
    closes_after: int | None = Field(None, ge=1, le=10_000_000)


def parse_form_file(text: str) -> FormFile:
    """Return the form in a TOML text; InputError lists every problem by key."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not a TOML file: {error}", mend="see docs/reference/form-file.md") from error
    return build_form_file(data)


def build_form_file(data: Mapping[str, Any]) -> FormFile:
    """Return the form in `data`; raises as `parse_form_file` does."""
    closes_at = data.get("closes_at")
    plain = {**data, "closes_at": closes_at.isoformat()} if isinstance(closes_at, date) else dict(data)
    try:
        parsed, problems = FormFile.model_validate(plain), []
    except ValidationError as error:
        problems = [Problem(".".join(str(part) for part in found["loc"]), found["msg"]) for found in error.errors()]
        wrong = {found["loc"][0] for found in error.errors() if found["loc"]}
        right = {key: value for key, value in plain.items() if key not in wrong}
        parsed = FormFile.model_validate({"name": "-", **right})  # so that the rest is judged as well
    if problems := problems + _find_problems(parsed):
        raise InputError(problems)
    return parsed


def _find_problems(form: FormFile) -> list[Problem]:
    problems = []
    if not _COLOR.fullmatch(form.accent):
        problems.append(Problem("accent", f"{form.accent!r} is no color", "write it as #3a4fd0"))
    if form.language not in LANGUAGES:
        problems.append(Problem("language", f"no such language here: {form.language!r}", "use " + " ".join(LANGUAGES)))
    problems += [
        Problem(name, "not an address that is encrypted", "start with https://")
        for name, url in (("redirect", form.redirect), ("privacy_url", form.privacy_url))
        if url and not is_safe_url(url)
    ]
    problems += [
        Problem("sites", f"{site!r} is not a site", "write it as https://www.example.com")
        for site in form.sites
        if read_site(site) is None
    ]
    keys = [line.field for line in form.fields]
    if len(keys) != len(set(keys)):
        problems.append(Problem("fields", "a field is asked for twice"))
    if "email" in keys:
        problems.append(Problem("fields", "the address is always asked for", "leave it out"))
    return problems + [problem for n, action in enumerate(form.actions) for problem in _check_action(n, action)]


def _check_action(number: int, action: Mapping[str, Any]) -> list[Problem]:
    kind, value = next(iter(action.items())) if len(action) == 1 else ("", None)
    if kind == ActionKind.ADD_TO_SEGMENT:
        is_named = (isinstance(value, str) and value) or (isinstance(value, int) and not isinstance(value, bool))
        return [] if is_named else [Problem("actions", f"action {number + 1} names no segment")]
    if kind == ActionKind.FOLLOW_UP:
        try:
            read_action(action, "actions")
        except InputError as error:
            return [Problem("actions", f"action {number + 1}: {one.what}", one.mend) for one in error.problems]
        return []
    if kind == RESPONSE:
        is_whole = isinstance(value, Mapping) and set(value) == {"subject", "text"} and all(value.values())
        return (
            [] if is_whole else [Problem("actions", f"action {number + 1}: a response mail has a subject and a text")]
        )
    what = f"action {number + 1} is none of add_to_segment, follow_up and {RESPONSE}"
    return [Problem("actions", what, "give each action one key, its kind")]


def is_safe_url(url: str) -> bool:
    """Return whether a browser may be sent to `url`: https, a host, nothing that breaks a header or a policy."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and not re.search(r"[\s;,'\"<>\\]", url)
            and parts.port != 0
        )
    except ValueError:
        return False


def read_site(text: str) -> str | None:
    """Return the origin in `text` (RFC 6454, section 6.2) as browsers send it; None where it is none.

    http is for this machine only: whoever embeds a form for others uses https.
    """
    try:
        parts = urlsplit(text.strip().rstrip("/"))
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except (ValueError, UnicodeError):
        return None
    if not re.fullmatch(r"[a-z0-9.-]+", host) or parts.path or parts.query or parts.fragment or parts.username:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return None
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def ink_on(accent: str) -> str:
    """Return black or white, whichever reads better on `accent` (WCAG 2.1, contrast ratio): at least 4.5 to 1."""
    channels = [int(accent[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]  # noqa: PLR2004 - sRGB
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"
