"""The web links of compiled HTML, numbered: `links[n]` in the template, the target in a row. Pure.

Only a literal target can be tracked, since the redirect knows nothing but its row (L1). The same target has one number
however often it stands in a mail: an action runs once per contact and link. A link with data in it leads straight to
its target, untracked, and is reported; special links and mail addresses are left alone.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from jinja2 import nodes

from mailer.content.compile import SPECIAL_LINKS
from mailer.content.environment import MailEnvironment
from mailer.content.markup import ATTRIBUTE, TAG
from mailer.content.placeholders import Protected, protect
from mailer.content.render import Renderer, RenderError
from mailer.errors import InputError

CONTACT_NAMES = frozenset({"contact", "company", "owner", "links", "pixel_url", *SPECIAL_LINKS})
WORKSPACE_NAMES = frozenset({"sender", "campaign"})
_PIXEL = (
    '{% if pixel_url %}<img src="{{ pixel_url }}" width="1" height="1" alt=""'
    ' style="display:block;border:0;width:1px;height:1px">{% endif %}'
)
_LABEL_LIMIT = 200
_LINK_TAGS = frozenset({"a", "area"})
_STRIP = re.compile(r"<[^>]*>")
_PARSER = MailEnvironment(is_html=True)


@dataclass(frozen=True)
class Link:
    """A tracked link: its target and the text that a reader sees."""

    url: str
    label: str = ""


@dataclass
class NumberedLinks:
    """HTML with `{{ links[n] }}` in place of literal targets; `untracked` are addresses with data in them."""

    html: str
    links: list[Link] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)


def number_links(source: str) -> NumberedLinks:
    """Return compiled HTML with its literal http(s) links numbered from 0 in order of first appearance."""
    protected = protect(source)
    result = NumberedLinks("")
    numbers: dict[str, int] = {}

    def visit(match: re.Match[str]) -> str:
        if match["close"] or match["name"].lower() not in _LINK_TAGS:
            return match[0]
        label = _label(protected, protected.text[match.end() :])
        attributes = ATTRIBUTE.sub(lambda found: _number(found, protected, label, numbers, result), match["attributes"])
        return f"<{match['name']}{attributes}>"

    result.html = protected.restore(TAG.sub(visit, protected.text))
    return result


def _number(
    found: re.Match[str], protected: Protected, label: str, numbers: dict[str, int], result: NumberedLinks
) -> str:
    if found["name"].lower() != "href":
        return found[0]
    value = found["value"][1:-1] if found["value"][0] in "\"'" else found["value"]
    url = html.unescape(value).strip()
    if protected.words(url):
        if not _is_ours(protected, url):
            result.untracked.append(protected.restore(url))
        return found[0]
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        return found[0]
    if url not in numbers:
        numbers[url] = len(result.links)
        result.links.append(Link(url, label))
    return f'{found["name"]}="{{{{ links[{numbers[url]}] }}}}"'


def _is_ours(protected: Protected, url: str) -> bool:
    """Whether the address is a special link or one of the sender's own, which nobody tracks."""
    roots = {expression_root(protected.expression(word)) for word in protected.words(url)}
    return roots <= SPECIAL_LINKS | WORKSPACE_NAMES


def expression_root(expression: str) -> str:
    """Return the first name of an expression, `contact` of `(contact.city) | upper`."""
    return re.split(r"[^\w]", expression.lstrip("( "), maxsplit=1)[0]


def _label(protected: Protected, rest: str) -> str:
    inner = rest.partition("</a>")[0]
    picture = re.search(r"<img[^>]*\balt=\"([^\"]*)\"", inner)
    text = " ".join(_STRIP.sub(" ", inner).split()) or (picture[1] if picture else "")
    return protected.restore(html.unescape(text))[:_LABEL_LIMIT]


def add_pixel(source: str) -> str:
    """Return compiled HTML with the open pixel at its end, shown only where the context has a `pixel_url`."""
    head, tag, tail = source.rpartition("</body>")
    return f"{head}{_PIXEL}{tag}{tail}" if tag else source + _PIXEL


def fill_links(source: str, data: Mapping[str, Any]) -> str:
    """Return MJML with data of the campaign written out inside href attributes, so that those links can be tracked.

    A value that hangs on the contact, a loop or nothing known stays as it is.
    """
    protected = protect(source)
    loops = {
        name.name for loop in _PARSER.parse(source).find_all(nodes.For) for name in loop.target.find_all(nodes.Name)
    }
    loops |= {
        loop.target.name for loop in _PARSER.parse(source).find_all(nodes.For) if isinstance(loop.target, nodes.Name)
    }
    skipped = CONTACT_NAMES | WORKSPACE_NAMES | loops

    def fill_value(found: re.Match[str]) -> str:
        if found["name"].lower() != "href":
            return found[0]
        return protected.pattern.sub(lambda word: _filled(protected, word[0], skipped, data), found[0])

    text = TAG.sub(lambda tag: ATTRIBUTE.sub(fill_value, tag[0]), protected.text)
    return protected.restore(text)


def _filled(protected: Protected, word: str, skipped: frozenset[str] | set[str], data: Mapping[str, Any]) -> str:
    if not protected.is_variable(word) or expression_root(protected.expression(word)) in skipped:
        return word
    try:
        value = Renderer("", protected.tokens[word], "").text(data).strip()
    except (RenderError, InputError):
        return word
    return html.escape(value) if value.isprintable() and "{" not in value else word
