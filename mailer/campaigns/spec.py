"""A campaign file (docs/reference/campaign-file.md) becomes a value, or a list of everything wrong with it. Pure."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mailer.errors import InputError, Problem


class CampaignFile(BaseModel):
    """The keys of a campaign file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    subject: str = Field(min_length=1, max_length=500)
    preheader: str = Field("", max_length=500)
    sender: str
    topic: str = ""
    transactional: bool = False
    transactional_reason: str = ""
    design: str = ""
    mjml: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
    include: list[str] = Field(min_length=1)
    exclude: list[str] = Field(default_factory=list)
    send_at: str = ""
    rate_per_second: int | None = Field(None, ge=1, le=100_000)
    quiet_hours: bool = False
    track_opens: bool = True
    track_clicks: bool = True
    links: list[dict[str, Any]] = Field(default_factory=list)
    attachments: list[str] = Field(default_factory=list, max_length=20)

    @field_validator("links")
    @classmethod
    def _days_as_text(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return links that JSON can hold: TOML has days of its own."""
        days = ("ends_on",)
        return [{key: str(one) if key in days else one for key, one in link.items()} for link in value]


@dataclass(frozen=True)
class Draft:
    """A campaign file with the text of its MJML file and its attachments, name and content, read in."""

    file: CampaignFile
    mjml: str = ""
    problems: list[Problem] = field(default_factory=list)
    attachments: tuple[tuple[str, bytes], ...] = ()


def parse_campaign_file(text: str, folder: Path) -> Draft:
    """Return the campaign in a TOML text; paths in it are relative to `folder`.

    Raises:
        InputError: every problem, by key.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not a TOML file: {error}", mend="see docs/reference/campaign-file.md") from error
    return build_draft(data, folder)


def build_draft(data: Mapping[str, Any], folder: Path) -> Draft:
    """Return the campaign in `data`; raises as `parse_campaign_file` does."""
    try:
        parsed = CampaignFile.model_validate(_with_plain_times(data))
    except ValidationError as error:
        raise InputError(
            [Problem(".".join(str(part) for part in found["loc"]), found["msg"]) for found in error.errors()]
        ) from error
    problems = list(_contradictions(parsed))
    mjml = ""
    if parsed.mjml:
        try:
            mjml = (folder / parsed.mjml).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem("mjml", f"cannot be read: {error}"))
    attachments = tuple(_read_attachments(parsed, folder, problems))
    if problems:
        raise InputError(problems)
    return Draft(parsed, mjml, attachments=attachments)


def _read_attachments(parsed: CampaignFile, folder: Path, problems: list[Problem]) -> Iterator[tuple[str, bytes]]:
    for number, name in enumerate(parsed.attachments):
        try:
            yield Path(name).name, (folder / name).read_bytes()
        except OSError as error:
            problems.append(Problem(f"attachments[{number}]", f"{name} cannot be read: {error.strerror}"))


def _with_plain_times(data: Mapping[str, Any]) -> dict[str, Any]:
    """TOML has times of its own; a campaign file may use them or a text."""
    send_at = data.get("send_at")
    return {**data, "send_at": send_at.isoformat()} if isinstance(send_at, date) else dict(data)


def _contradictions(parsed: CampaignFile) -> list[Problem]:
    problems = []
    if not parsed.topic and not parsed.transactional:
        problems.append(Problem("topic", "a marketing mail has a topic", "name one, or set transactional = true"))
    if parsed.transactional and not parsed.transactional_reason:
        problems.append(Problem("transactional_reason", "a transactional mail needs a written reason"))
    if bool(parsed.design) == bool(parsed.mjml):
        problems.append(Problem("design", "name either a design or an mjml file"))
    return problems
