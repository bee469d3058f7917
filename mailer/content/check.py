"""What is wrong with a content before it is sent: one pure function that page, command and launch obey (M9).

A red finding blocks, an amber one warns. Codes are stable; docs/reference/content-findings.md lists them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from mailer.content.markup import iter_tags
from mailer.content.placeholders import protect
from mailer.content.render import Renderer, RenderError

CLIP_BYTES = 102_000
_FEW_WORDS = 60
_TAG = re.compile(r"<[^>]*>")
_LOOKS_LIKE_ADDRESS = re.compile(r"(?:https?://)?([\w-]+(?:\.[\w-]+)+)(?:[/?#]\S*)?")


class Level(StrEnum):
    """How bad a finding is."""

    RED = "red"
    AMBER = "amber"


@dataclass(frozen=True)
class Finding:
    """One thing found: a stable `code`, what is wrong, where, how to mend it."""

    code: str
    level: Level
    what: str
    where: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Prepared:
    """A content as it would be frozen: numbered HTML with the pixel, text, links as (url, label, visible text)."""

    subject: str
    preheader: str
    html: str
    text: str
    urls: tuple[str, ...]
    labels: tuple[str, ...]
    untracked: tuple[str, ...]


def find_problems(
    prepared: Prepared, samples: Iterable[Mapping[str, Any]], *, is_marketing: bool = True
) -> list[Finding]:
    """Return every finding; `samples` are whole contexts, rendered one by one until three have failed."""
    return [
        *_find_missing_parts(prepared, is_marketing=is_marketing),
        *_find_in_links(prepared),
        *_find_in_samples(prepared, samples),
    ]


def _find_missing_parts(prepared: Prepared, *, is_marketing: bool) -> Iterator[Finding]:
    if is_marketing and "unsubscribe_url" not in prepared.html:
        yield Finding(
            "no_unsubscribe", Level.RED, "the mail has no unsubscribe link", "design", "link to {{ unsubscribe_url }}"
        )
    if "postal_address" not in prepared.html:
        mend = "show {{ sender.postal_address }} in the footer"
        yield Finding(
            "no_postal_address", Level.AMBER, "the mail does not show the sender's postal address", "design", mend
        )
    if not prepared.subject.strip():
        yield Finding("no_subject", Level.RED, "the mail has no subject", "subject", "write one")
    if not _words(prepared.text):
        yield Finding(
            "no_text", Level.AMBER, "the mail has no words in its text part", "design", "write text, not pictures only"
        )
    yield from _find_in_pictures(prepared)


def _find_in_pictures(prepared: Prepared) -> Iterator[Finding]:
    protected = protect(prepared.html)
    pictures = [tag for tag in iter_tags(protected.text) if tag.name == "img" and tag.attribute("width") != "1"]
    for picture in pictures:
        source = picture.attribute("src") or ""
        if not protected.words(source) and not source.lower().startswith(("http://", "https://", "data:image/")):
            mend = "upload the picture or give its https address"
            yield Finding("unresolved_image", Level.RED, f"a picture leads nowhere: {source[:80]!r}", "design", mend)
        if not (picture.attribute("alt") or "").strip():
            yield Finding("no_alt", Level.AMBER, f"a picture has no text: {source[:80]!r}", "design", "fill in its alt")
    if pictures and len(_words(prepared.text)) < _FEW_WORDS:
        yield Finding(
            "few_words",
            Level.AMBER,
            f"pictures with fewer than {_FEW_WORDS} words look like spam",
            "design",
            "say more in words",
        )


def _find_in_links(prepared: Prepared) -> Iterator[Finding]:
    for url, label in zip(prepared.urls, prepared.labels, strict=True):
        parts = urlsplit(url)
        if parts.scheme == "http":
            yield Finding("http_link", Level.AMBER, f"a link is not encrypted: {url}", "links", "use https")
        shown = _LOOKS_LIKE_ADDRESS.fullmatch(label.strip())
        if shown and shown[1].lower().removeprefix("www.") != (parts.hostname or "").removeprefix("www."):
            mend = "show the address that it leads to, or words"
            yield Finding("deceptive_link", Level.AMBER, f"a link shows {label} and leads to {url}", "links", mend)
    for url in prepared.untracked:
        mend = "write the address literally or as data of the campaign"
        yield Finding(
            "untracked_link", Level.AMBER, f"clicks on {url} are not counted, as it differs by contact", "links", mend
        )


def _find_in_samples(prepared: Prepared, samples: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    renderer = Renderer(prepared.html, prepared.text, prepared.subject, prepared.preheader)
    failed: set[str] = set()
    largest = 0
    for context in samples:
        try:
            subject, html, _ = renderer.subject(context), renderer.html(context), renderer.text(context)
        except RenderError as error:
            if error.message not in failed:
                yield Finding("merge_field", Level.RED, error.message, _who(context), error.mend)
            failed.add(error.message)
            if len(failed) == 3:  # noqa: PLR2004 - enough to mend at once
                return
            continue
        largest = max(largest, len(html.encode()))
        if not subject:
            yield Finding("no_subject", Level.RED, "the subject is empty", _who(context), "use a fall-back")
    if largest > CLIP_BYTES:
        what = f"the mail has {largest // 1000} kB; Gmail cuts it off at 102 kB, unsubscribe link included"
        yield Finding("too_large", Level.AMBER, what, "design", "make it shorter")


def _words(text: str) -> list[str]:
    return [word for word in _TAG.sub(" ", text).split() if any(char.isalpha() for char in word)]


def _who(context: Mapping[str, Any]) -> str:
    contact = context.get("contact")
    return str(contact.get("email", "")) if isinstance(contact, dict) else ""
