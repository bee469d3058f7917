"""A content version with the data of one contact becomes subject, HTML and text, plain or quoted-printable. Pure.

Static text is encoded once, inside the template's syntax tree, each value as it is printed; what comes out decodes to
exactly the plain rendering (RFC 2045, section 6.7). Nothing that a contact's data holds reaches HTML unescaped.
"""

import html as html_library
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from jinja2 import Template, UndefinedError, nodes
from jinja2.runtime import Context
from markupsafe import Markup

from mailer.content.environment import MailEnvironment
from mailer.content.filters import OUTPUT_LIMIT, FilterError
from mailer.content.quoted import SOFT_BREAK, PlainText, clean_text, encode_piece, encode_value, is_plain
from mailer.content.safety import check_template
from mailer.errors import MailerError

Values = Mapping[str, Any]
_UNDEFINED = re.compile(r"'(.+)' is undefined")
_SUBJECT_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_SUBJECT_LIMIT = 500
_PIECE = 50  # parts of a mail joined at a time, between two looks at its size


class RenderError(MailerError):
    """The data of this contact cannot be merged; `variable` names the missing value, or is empty."""

    def __init__(self, message: str, *, variable: str = "") -> None:
        super().__init__(message, mend="give it a fall-back with the default filter" if variable else "")
        self.variable = variable


class Renderer:
    """Renders one content version for any number of contacts; safe to share between threads."""

    def __init__(self, html: str, text: str, subject: str, preheader: str = "") -> None:
        self._html = _compile(html, is_html=True, is_quoted=False)
        self._html_qp = _compile(html, is_html=True, is_quoted=True)
        self._text = _compile(text, is_html=False, is_quoted=False)
        self._text_qp = _compile(text, is_html=False, is_quoted=True)
        self._subject = _compile(subject, is_html=False, is_quoted=False)
        self._preheader = _compile(preheader, is_html=False, is_quoted=False)

    def subject(self, context: Values) -> str:
        """Return the subject on one line without controls; it may hold any other character, so encode it (RFC 2047)."""
        return _one_line(_run(self._subject, context))

    def preheader(self, context: Values) -> str:
        """Return the preview line of an inbox on one line."""
        return _one_line(_run(self._preheader, context))

    def html(self, context: Values) -> str:
        """Return the HTML part; lines end in line feeds."""
        return _run(self._html, context)

    def text(self, context: Values) -> str:
        """Return the text part; lines end in line feeds."""
        return _run(self._text, context)

    def html_qp(self, context: Values) -> bytes:
        """Return the HTML part as quoted-printable, lines ending in CRLF."""
        return _run(self._html_qp, context).encode("ascii")

    def text_qp(self, context: Values) -> bytes:
        """Return the text part as quoted-printable, lines ending in CRLF."""
        return _run(self._text_qp, context).encode("ascii")

    def mail(self, context: Values) -> "Rendered":
        """Return all that a mail is made of: what `subject`, `text_qp` and `html_qp` return."""
        plain = _open(self._text_qp, context)  # subject and text read the same values in the same way
        return Rendered(
            _one_line(_stream(self._subject, plain)),
            _stream(self._text_qp, plain).encode("ascii"),
            _run(self._html_qp, context).encode("ascii"),
        )


class Rendered(NamedTuple):
    """Subject on one line, text and HTML as quoted-printable."""

    subject: str
    text_qp: bytes
    html_qp: bytes


@lru_cache(128)
def compile_renderer(html: str, text: str, subject: str, preheader: str = "") -> Renderer:
    """Return the renderer of a frozen content; the same content is compiled once a process.

    Raises:
        InputError: a template says something that is not allowed.
    """
    return Renderer(html, text, subject, preheader)


def _compile(source: str, *, is_html: bool, is_quoted: bool) -> Template:
    environment = _ENVIRONMENTS[is_html, is_quoted]
    source = clean_text(source)
    if source and not source.endswith("\n"):
        source += "\n"
    check_template(source)
    tree = environment.parse(source)
    if is_quoted:
        for node in tree.find_all(nodes.TemplateData):
            node.data = encode_piece(node.data)
    return environment.from_string(tree)


def _open(template: Template, context: Values) -> Context:
    """Return the values as Jinja reads them. `shared`: nothing is written to them, so they need not be copied."""
    return template.new_context(context, shared=True)  # type: ignore[arg-type]


def _run(template: Template, context: Values) -> str:
    return _stream(template, _open(template, context))


def _stream(template: Template, context: Context) -> str:
    pieces: list[str] = []
    size = 0
    try:
        stream = template.root_render_func(context)
        while parts := list(islice(stream, _PIECE)):
            piece = "".join(parts)
            pieces.append(piece)
            size += len(piece)
            if size > OUTPUT_LIMIT:
                raise RenderError("the mail would be larger than 1 MB")
    except UndefinedError as error:
        found = _UNDEFINED.search(error.message or "")
        variable = found[1] if found else ""
        raise RenderError(f"{variable or 'a value'} is missing", variable=variable) from error
    except FilterError as error:
        raise RenderError(str(error)) from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise RenderError(f"the template cannot be filled in: {error}") from error
    return pieces[0] if len(pieces) == 1 else "".join(pieces)


def _one_line(text: str) -> str:
    return " ".join(_SUBJECT_CONTROLS.sub(" ", text).split())[:_SUBJECT_LIMIT]


def _printed(value: object) -> str:
    """Return a value as text; what a person could not read in a mail is an error."""
    if isinstance(value, list | dict | tuple):
        raise FilterError("a list cannot be printed; use join or a for loop")
    return clean_text("" if value is None else str(value))


def _html_value(value: object) -> str:
    text = _printed(value)
    return text if isinstance(value, Markup) else html_library.escape(text)


def _html_value_quoted(value: object) -> str:
    if type(value) is PlainText or (type(value) is str and is_plain(value)):
        return value + SOFT_BREAK
    return encode_value(_html_value(value))


def _text_value_quoted(value: object) -> str:
    if type(value) is PlainText or (type(value) is str and is_plain(value)):
        return value + SOFT_BREAK
    return encode_value(_printed(value))


_FINALIZERS: dict[tuple[bool, bool], Callable[[Any], str]] = {
    (True, False): _html_value,
    (True, True): _html_value_quoted,
    (False, False): _printed,
    (False, True): _text_value_quoted,
}
_ENVIRONMENTS = {key: MailEnvironment(is_html=key[0], finalize=finalize) for key, finalize in _FINALIZERS.items()}
