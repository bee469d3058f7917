"""A scan of MJML or HTML source: what may not pass, how deep it is, which tags do not match. Pure.

It looks at protected source (placeholders.py), so that every finding has the line and column of the author's file. The
compiler neither validates nor limits: scripts pass through it and ten thousand nested tags crash the process.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailer.content.placeholders import Protected
from mailer.errors import Problem

MAX_DEPTH = 100
MAX_TAGS = 10_000
_MAX_PROBLEMS = 10

CONTAINERS = frozenset({"mj-body", "mj-wrapper", "mj-section", "mj-column", "mj-group", "mj-hero"})
_MJML_TAGS = CONTAINERS | {
    "mjml", "mj-head", "mj-attributes", "mj-all", "mj-class", "mj-font", "mj-title", "mj-preview", "mj-breakpoint",
    "mj-style", "mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table", "mj-social",
    "mj-social-element", "mj-navbar", "mj-navbar-link", "mj-accordion", "mj-accordion-element", "mj-accordion-title",
    "mj-accordion-text", "mj-carousel", "mj-carousel-image", "mj-raw", "mj-include",
}  # fmt: skip
_VOID = frozenset({
    "br", "img", "hr", "wbr", "col", "area", "input", "meta", "link", "base", "source", "track", "embed", "param",
})  # fmt: skip
_FORBIDDEN = frozenset({
    "script", "form", "input", "button", "select", "option", "textarea", "iframe", "frame", "frameset", "object",
    "embed", "applet", "base", "link", "meta", "svg", "math", "template", "noscript", "video", "audio",
})  # fmt: skip
_LINK_ATTRIBUTES = frozenset(
    {"href", "src", "action", "formaction", "background", "background-url", "xlink:href", "srcset", "poster"}
)
_LINK_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_PICTURE = re.compile(r"data:image/(png|gif|jpeg);base64,[A-Za-z0-9+/=\s]*")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_CSS = re.compile(r"@import|expression\s*\(|javascript:|vbscript:|-moz-binding|behavior\s*:", re.IGNORECASE)

TAG = re.compile(r"<(?P<close>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<attributes>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
ATTRIBUTE = re.compile(r"(?P<name>[^\s\"'<>/=]+)(?P<gap>\s*=\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True)
class Tag:
    """A tag of protected source and where it stands there."""

    name: str
    attributes: str
    is_closing: bool
    start: int
    end: int

    @property
    def is_empty(self) -> bool:
        """Whether the tag closes itself."""
        return self.attributes.rstrip().endswith("/") or self.name in _VOID

    def attribute(self, name: str) -> str | None:
        """Return the value of an attribute, its entities resolved."""
        return next((value for found, value in self.iter_attributes() if found == name), None)

    def iter_attributes(self) -> Iterator[tuple[str, str]]:
        """Yield each attribute with a value, the name in lower case, the entities of the value resolved."""
        for match in ATTRIBUTE.finditer(self.attributes):
            value = match["value"]
            yield match["name"].lower(), html.unescape(value[1:-1] if value[0] in "\"'" else value)


def iter_tags(text: str) -> Iterator[Tag]:
    """Yield every tag, those inside comments too."""
    for match in TAG.finditer(text):
        yield Tag(match["name"].lower(), match["attributes"], bool(match["close"]), match.start(), match.end())


def blank_comments(text: str) -> str:
    """Return `text` with comments turned into spaces; positions and line breaks stay."""
    return _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def find_problems(protected: Protected, blocks: Mapping[str, str]) -> list[Problem]:
    """Return everything in MJML source that may not pass, at most ten problems, by position."""
    found = [*_find_forbidden(protected, blocks), *_find_structure(protected)]
    found.sort(key=lambda item: item[0])
    return [Problem(place(protected, start), what, mend) for start, what, mend in found[:_MAX_PROBLEMS]]


def place(protected: Protected, start: int) -> str:
    """Return `line 3, column 14` of the author's source for a position in the protected text."""
    line, column = protected.position(protected.text[:start])
    return f"line {line}, column {column}"


def find_unsafe_html(text: str) -> list[str]:
    """Return what may not stand in compiled, protected HTML: a second look, comments included."""
    found = []
    for tag in iter_tags(text):
        if tag.name in _FORBIDDEN - {"meta", "noscript", "link"}:
            found.append(f"<{tag.name}>")
        if tag.name == "meta" and "refresh" in tag.attributes.lower():
            found.append("<meta refresh>")
        found += [what for name, value in tag.iter_attributes() for what in [_why_not_attribute(name, value)] if what]
    return found


def _find_forbidden(protected: Protected, blocks: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    for tag in iter_tags(protected.text):
        if tag.is_closing:
            continue
        if tag.name in _FORBIDDEN:
            yield tag.start, f"<{tag.name}> does not work in mail and is not allowed", "remove it"
        if tag.name == "mj-include" and tag.attribute("path") not in blocks:
            yield tag.start, "mj-include takes stored blocks only", "name a stored block in its path"
        if tag.name.startswith("mj") and tag.name not in _MJML_TAGS:
            yield tag.start, f"there is no MJML tag <{tag.name}>", "check the spelling"
        for name, value in tag.iter_attributes():
            what = _why_not_attribute(name, value)
            if what:
                yield tag.start, what, "remove it or use an http, https, mailto or tel address"
    for match in _CSS.finditer(protected.text):
        yield match.start(), f"{match[0]!r} is not allowed in styles", "remove it"


def _why_not_attribute(name: str, value: str) -> str | None:
    if name.startswith("on"):
        return f"the attribute {name} would run a script and is not allowed"
    if name not in _LINK_ATTRIBUTES:
        return None
    address = "".join(char for char in value if char.isprintable() and not char.isspace())
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[1].lower() in _LINK_SCHEMES or (name != "href" and _PICTURE.fullmatch(address)):
        return None
    return f"the address {value[:40]!r} is not allowed"


def _find_structure(protected: Protected) -> Iterator[tuple[int, str, str]]:
    stack: list[Tag] = []
    for count, tag in enumerate(iter_tags(blank_comments(protected.text))):
        if count >= MAX_TAGS:
            yield tag.start, f"the design has more than {MAX_TAGS:,} tags", "make it shorter"
            return
        if not tag.is_closing:
            if not tag.is_empty:
                stack.append(tag)
            if len(stack) > MAX_DEPTH:
                yield tag.start, f"tags are nested more than {MAX_DEPTH} deep", "flatten the design"
                return
        elif tag.name not in _VOID:
            if not stack or stack[-1].name != tag.name:
                opened = f"; <{stack[-1].name}> is still open" if stack else ""
                yield (
                    tag.start,
                    f"</{tag.name}> closes nothing{opened}",
                    "close each tag in the order it was opened, also <p> and <li>",
                )
                return
            stack.pop()
    if stack:
        yield stack[-1].start, f"<{stack[-1].name}> is never closed", f"add </{stack[-1].name}>"


def wrap_bare_words(protected: Protected) -> str:
    """Return the protected source with words that stand directly between components wrapped in mj-raw."""
    text = protected.text
    pieces: list[str] = []
    stack: list[str] = []
    last = 0
    for tag in iter_tags(blank_comments(text)):
        between = text[last : tag.start]
        if stack and stack[-1] in CONTAINERS:
            between = protected.pattern.sub(lambda match: f"<mj-raw>{match[0]}</mj-raw>", between)
        pieces += [between, text[tag.start : tag.end]]
        last = tag.end
        if tag.is_closing and stack:
            stack.pop()
        elif not tag.is_closing and not tag.is_empty:
            stack.append(tag.name)
    return "".join([*pieces, text[last:]])
