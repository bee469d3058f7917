"""The text part from numbered HTML: paragraphs and lists as lines, links as addresses behind their text. Pure.

Layout tables become blocks first, so that tokens between rows stay in their order and nothing is padded into columns.
"""

import re

from inscriptis import Inscriptis
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.model.config import ParserConfig
from lxml import etree
from lxml import html as lxml_html

from mailer.content.placeholders import Protected, protect, quote_literals

_DROPPED = ("head", "style", "script", "title")
_BLOCKS = ("table", "tbody", "thead", "tfoot", "tr")
_SPACES = re.compile(r"[ \t\u00a0\u200b\u200c]+")
_GAPS = re.compile(r"\n{3,}")
_PIXEL = re.compile(r"{% if pixel_url %}.*?{% endif %}", re.DOTALL)


def build_text(source: str) -> str:
    """Return the text template that says the same as the HTML template `source`."""
    protected = protect(_PIXEL.sub("", source))
    tree = lxml_html.document_fromstring(protected.text.encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    etree.strip_tags(tree, etree.Comment)
    for element in list(tree.iter()):
        _prepare(element)
    text = Inscriptis(tree, ParserConfig(css=STRICT_CSS_PROFILE)).get_text()
    lines = [_SPACES.sub(" ", line).strip() + "\n" for line in text.splitlines()]
    joined = "".join(_keep_line_end(protected, line) for line in lines)
    return protected.restore(quote_literals(_GAPS.sub("\n\n", joined).strip())) + "\n"


def _keep_line_end(protected: Protected, line: str) -> str:
    """Return the line so that a condition or loop which prints nothing leaves no empty line behind."""
    blocks = [word for word in protected.words(line) if not protected.is_variable(word)]
    if not blocks:
        return line
    shown = line.strip()
    if not protected.pattern.sub("", shown).strip() and len(blocks) == len(protected.words(line)):
        return shown
    is_whole = (
        shown.startswith(blocks[0])
        and shown.endswith(blocks[-1])
        and protected.tokens[blocks[-1]].strip("{%- }").startswith("end")
    )
    if is_whole and len(blocks) == 2:  # noqa: PLR2004 - one opens, one closes
        return shown.removesuffix(blocks[-1]) + "\n" + blocks[-1]
    return line


def _prepare(element: lxml_html.HtmlElement) -> None:
    style = (element.get("style") or "").replace(" ", "").lower()
    if element.tag in _DROPPED or "display:none" in style or element.get("hidden") is not None:
        element.drop_tree()
    elif element.tag in _BLOCKS:
        element.tag = "div"
    elif element.tag in ("td", "th"):
        is_layout = any(child.tag in ("div", "table", "p", "a", "img") for child in element)
        element.tag = "p" if is_layout else "span"
        if not is_layout:
            element.tail = " " + (element.tail or "")
    elif element.tag == "img" and element.get("alt"):
        element.tag = "span"
        element.text = element.get("alt")
    elif element.tag == "a" and element.get("href"):
        _show_address(element)


def _show_address(element: lxml_html.HtmlElement) -> None:
    address = element.get("href", "")
    shown = "".join(element.itertext()).strip()
    if address.startswith("#") or address.removeprefix("mailto:").removeprefix("tel:") == shown or address == shown:
        return
    element.tail = f": {address}{element.tail or ''}" if shown else f"{address}{element.tail or ''}"
