"""MJML with Jinja tokens becomes HTML with the same tokens, CSS inlined. Pure and slow: once a version.

The tokens are opaque words while the tools work (placeholders.py); each tool is called so that it neither fetches
anything nor drops media queries, dark-mode rules or the doctype.
"""

import logging
import re
from collections.abc import Mapping

from mjml import mjml2html
from premailer import Premailer

from mailer.content.markup import TAG, find_problems, find_unsafe_html, place, wrap_bare_words
from mailer.content.placeholders import Protected, protect, quote_literals
from mailer.content.safety import MAX_SOURCE, check_template
from mailer.errors import InputError, Problem

SPECIAL_LINKS = frozenset({"view_url", "preferences_url", "unsubscribe_url", "confirm_url"})
_SPAN = re.compile(r"(?:in root template)? at position (\d+):(\d+)")
_RAW = re.compile(r"<mj-raw>(J[0-9a-f]{8}x\d{4,}z)</mj-raw>")
_LINK_START = re.compile(r"(\shref\s*=\s*[\"']?)(J[0-9a-f]{8}x\d{4,}z)")


def compile_mjml(source: str, *, blocks: Mapping[str, str] | None = None) -> str:
    """Return HTML with the Jinja tokens of `source` in place; `blocks` are what mj-include may name.

    Raises:
        InputError: what is wrong, by line and column of `source`.
    """
    if len(source) > MAX_SOURCE:
        raise InputError(f"the design has {len(source):,} characters; at most {MAX_SOURCE:,} are allowed")
    check_template(source)
    protected = protect(source)
    problems = find_problems(protected, blocks or {})
    if problems:
        raise InputError(problems)
    html = _inline(_compile(protected, blocks or {}))
    unsafe = find_unsafe_html(html)
    if unsafe:
        raise InputError(f"the compiled design holds {unsafe[0]}", mend="remove it")
    _check_whole(protected, html)
    html = protected.restore(_guard_links(protected, quote_literals(html)))
    check_template(html)
    return html


def _compile(protected: Protected, blocks: Mapping[str, str]) -> str:
    source = wrap_bare_words(protected)
    try:
        return str(mjml2html(source, fonts={}, include_loader=lambda path: blocks[path]))
    except ValueError as error:
        raise InputError([_mjml_problem(protected, source, str(error))]) from error


def _mjml_problem(protected: Protected, source: str, message: str) -> Problem:
    """Translate a byte span of what was compiled into line and column of what was written."""
    span = _SPAN.search(message)
    what = _SPAN.sub("", message).strip() or "the design cannot be compiled"
    if span is None:
        return Problem("", what, "check that every tag is closed and that text has &lt; for <")
    prefix = source.encode()[: int(span[1])].decode(errors="ignore")
    return Problem(place(protected, len(_RAW.sub(r"\1", prefix))), what, "check the tag here")


def _inline(html: str) -> str:
    html = html.replace("<!doctype html>", "<!DOCTYPE html>", 1)  # the lower-case form would be dropped
    inliner = Premailer(
        html,
        keep_style_tags=True,
        disable_leftover_css=True,
        strip_important=False,
        disable_validation=True,
        allow_network=False,
        cssutils_logging_level=logging.CRITICAL,
    )
    try:
        return str(inliner.transform())
    except (ValueError, AssertionError, KeyError) as error:
        raise InputError(f"the styles cannot be read: {error}", mend="check mj-style") from error


def _check_whole(protected: Protected, html: str) -> None:
    """Every token must have survived: a numeric attribute, for one, silently swallows it."""
    kept = set(protected.words(html))
    lost = [word for word in protected.tokens if word not in kept]
    if lost:
        raise InputError([_lost_problem(protected, word) for word in lost[:10]])


def _lost_problem(protected: Protected, word: str) -> Problem:
    start = protected.text.index(word)
    inside = next((m for m in TAG.finditer(protected.text) if m.start() < start < m.end()), None)
    where = f"inside <{inside['name']}>" if inside else "here"
    mend = "put a condition into the value of an attribute, and write widths and heights as plain numbers"
    return Problem(place(protected, start), f"{protected.tokens[word]} {where} does not survive compiling", mend)


def _guard_links(protected: Protected, html: str) -> str:
    """A link that begins with data must lead to a web address: `javascript:` in a contact's data does not."""

    def guard(match: re.Match[str]) -> str:
        word = match[2]
        if not protected.is_variable(word) or protected.expression(word) in SPECIAL_LINKS:
            return match[0]
        return f"{match[1]}{{{{ ({protected.expression(word)}) | web_url }}}}"

    return _LINK_START.sub(guard, html)
