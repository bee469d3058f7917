"""Jinja tokens as opaque words, so that tools which know only markup leave them whole. Pure.

MJML compilers quote them wrongly, HTML parsers percent-encode them in links and swallow `<` inside them. So every
`{{ … }}` and `{% … %}` becomes a word of letters and digits first and is put back at the end; a word that did not
survive is reported by the tag it stood for.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError

from mailer.errors import InputError, Problem

_LEXER = Environment(keep_trailing_newline=True)  # noqa: S701 - it lexes only, nothing is ever rendered by it
_LITERAL = re.compile(r"\{(?=[{%#])")


@dataclass(frozen=True)
class Protected:
    """`text` with words in place of tokens; `tokens` maps each word to the source it stands for."""

    text: str
    tokens: dict[str, str]
    pattern: re.Pattern[str]

    def restore(self, text: str) -> str:
        """Return `text` with every word replaced by its token."""
        return self.pattern.sub(lambda match: self.tokens[match[0]], text)

    def words(self, text: str) -> list[str]:
        """Return the words in `text`, in order."""
        return self.pattern.findall(text)

    def position(self, prefix: str) -> tuple[int, int]:
        """Return line and column, counted from 1, of what follows `prefix` of the protected text in the source."""
        before = self.restore(prefix)
        return before.count("\n") + 1, len(before) - before.rfind("\n")

    def is_variable(self, word: str) -> bool:
        """Whether `word` stands for `{{ … }}` rather than for a block tag."""
        return self.tokens[word].startswith("{{")

    def expression(self, word: str) -> str:
        """Return what stands between the braces of a variable token."""
        return self.tokens[word].removeprefix("{{").removesuffix("}}").strip("-+ \t\n")


def protect(source: str) -> Protected:
    """Return `source` with each Jinja token replaced by a word; comments become line breaks, to keep line numbers.

    Raises:
        InputError: a token that does not end, or a `raw` block.
    """
    prefix = "J" + hashlib.blake2b(source.encode("utf-8", "replace"), digest_size=4).hexdigest() + "x"
    tokens: dict[str, str] = {}
    pieces: list[str] = []
    for kind, value in _tokens(source):
        if kind == "data":
            pieces.append(value)
        elif kind == "comment":
            pieces.append("\n" * value.count("\n"))
        else:
            word = f"{prefix}{len(tokens):04d}z"
            tokens[word] = value
            pieces.append(word)
    return Protected("".join(pieces), tokens, re.compile(re.escape(prefix) + r"\d{4,}z"))


def quote_literals(text: str) -> str:
    """Return protected `text` with a space inside each `{{`, `{%`, `{#` that is text or CSS, not a token."""
    return _LITERAL.sub("{ ", text)


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, source) with kinds data, comment, variable, block."""
    held: list[str] = []
    for line, kind, value in _lex(source):
        if kind.startswith("raw_"):
            problem = Problem(f"line {line}", "raw blocks are not available", "write braces as &#123; instead")
            raise InputError([problem])
        if kind == "data":
            yield "data", value
            continue
        held.append(value)
        if kind in ("variable_end", "block_end", "comment_end"):
            yield kind.removesuffix("_end"), "".join(held)
            held = []


def _lex(source: str) -> Iterator[tuple[int, str, str]]:
    tokens: Any = _LEXER.lex(source)
    try:
        yield from tokens
    except TemplateSyntaxError as error:
        mend = "close each {{ with }}, each {% with %}, and each {# with #}"
        raise InputError(
            [Problem(f"line {error.lineno}", error.message or "a template tag is broken", mend)]
        ) from error
