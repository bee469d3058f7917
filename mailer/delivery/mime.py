"""Mails as bytes: one skeleton for a content version, into which only variable bytes are spliced (RFC 5322, RFC 2046).

Header text from people (subjects, names) goes through our own RFC 2047 encoder: control characters become spaces, text
that merely looks like an encoded word is encoded itself, no encoded word exceeds 75 characters or splits a character.
The standard library's is not used: it lets an encoded newline become a header (CVE-2024-6923), and it encodes long
List-Unsubscribe URLs into uselessness. Bodies arrive as finished quoted-printable from content/render.py.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from mailer.delivery.attachments import Attachment, encode_attachment

_CRLF = b"\r\n"
_MAX_WORD = 75  # RFC 2047, section 2
_MAX_LINE = 76
_MAX_PLAIN_WORD = 60  # a longer one could not be folded after a header's name
_WORD_FRAME = len("=?utf-8?q??=")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_TOKEN = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]+")  # visible ASCII without angle brackets
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class SkeletonSpec:
    """What is the same in every mail of a content version.

    Attributes:
        from_email: The address in From; `from_name` is shown beside it.
        reply_to: An address, or empty for no Reply-To.
        list_id: Stable for a topic, `label.domain` (RFC 2919), or empty for no List-Id; `list_name` is shown.
        feedback_id: `a:b:c:sender`, or empty (low cardinality: the same for every mail of a sending).
        is_automatic: Add `Auto-Submitted: auto-generated` (RFC 3834): confirmations and notices.
        has_html: False: text alone, no multipart.
        extra_headers: Further fixed headers; names are checked, values encoded.
    """

    from_email: str
    from_name: str = ""
    reply_to: str = ""
    list_id: str = ""
    list_name: str = ""
    feedback_id: str = ""
    is_automatic: bool = False
    has_html: bool = True
    extra_headers: tuple[tuple[str, str], ...] = ()


class Variable(NamedTuple):
    """What differs from mail to mail.

    Attributes:
        message_id: `local@domain` without angle brackets.
        date: Aware; written in UTC.
        unsubscribe_url: https one-click URL (RFC 8058), or empty for no List-Unsubscribe headers.
        unsubscribe_mailto: An address or `address?subject=…` for the mailto form, or empty.
        reference: Our token for the header that survives where relays replace the Message-ID, or empty.
        html_qp: Quoted-printable, CRLF, no line over 76, no leading dots, final CRLF optional; so is text_qp.
    """

    to_email: str
    subject: str
    message_id: str
    date: datetime
    text_qp: bytes
    html_qp: bytes = b""
    to_name: str = ""
    unsubscribe_url: str = ""
    unsubscribe_mailto: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Skeleton:
    """The fixed bytes of a mail. Made by `build_skeleton`."""

    head: bytes
    before_text: bytes
    before_html: bytes
    end: bytes
    has_html: bool = field(default=True)

    def assemble(self, variable: Variable) -> bytes:
        """Return the whole mail, CRLF line ends, ready for SMTP.

        Raises:
            ValueError: an address, id or URL holds what no header may carry; nothing of the kind comes from tokens.
        """
        parts = [
            b"Date: ", _date_bytes(int(variable.date.timestamp())),
            b"\r\nMessage-ID: <", _token(variable.message_id),
            b">\r\n", _mailbox(b"To: ", variable.to_name, variable.to_email),
            b"Subject: ", encode_text(variable.subject, 9), _CRLF,
        ]  # fmt: skip
        if variable.unsubscribe_url:
            parts += (b"List-Unsubscribe: <", _token(variable.unsubscribe_url), b">")
            if variable.unsubscribe_mailto:
                parts += (b", <mailto:", _token(variable.unsubscribe_mailto), b">")
            parts += (_CRLF, ONE_CLICK)
        if variable.reference:
            parts += (b"X-Message-Ref: ", _token(variable.reference), _CRLF)
        parts += (self.head, self.before_text, variable.text_qp)
        if self.has_html:
            parts += (self.before_html, variable.html_qp)
        parts.append(self.end)
        return b"".join(parts)


def build_skeleton(spec: SkeletonSpec, attachments: Sequence[Attachment] = ()) -> Skeleton:
    """Return the skeleton of `spec`; attached files are encoded here, once, and stand in its end.

    Boundaries begin with `=_`, which neither quoted-printable text nor base64 contains (RFC 2045, section 6.7).

    Raises:
        ValueError: a fixed header cannot be written as asked.
    """
    head = [_mailbox(b"From: ", spec.from_name, spec.from_email)]
    if spec.reply_to:
        head.append(_mailbox(b"Reply-To: ", "", spec.reply_to))
    if spec.list_id:
        head.append(_list_id(spec.list_name, spec.list_id))
    if spec.feedback_id:
        head.append(b"Feedback-ID: " + _token(spec.feedback_id) + _CRLF)
    if spec.is_automatic:
        head.append(b"Auto-Submitted: auto-generated\r\n")
    head += [_extra_header(name, value) for name, value in spec.extra_headers]
    head.append(b"MIME-Version: 1.0\r\n")
    mark = hashlib.blake2b(b"".join(head), digest_size=12).hexdigest().encode()
    bodies = _alternative(b"=_" + mark) if spec.has_html else Skeleton(b"", _part_head(b"plain") + _CRLF, b"", _CRLF)
    if attachments:
        bodies = _mixed(b"=_m" + mark, bodies, attachments)
    head.append(bodies.head)
    return Skeleton(b"".join(head), bodies.before_text, bodies.before_html, bodies.end, has_html=spec.has_html)


def _alternative(boundary: bytes) -> Skeleton:
    """Return text and HTML as two forms of the same (RFC 2046, section 5.1.4)."""
    return Skeleton(
        head=b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n',
        before_text=_CRLF + b"--" + boundary + _CRLF + _part_head(b"plain") + _CRLF,
        before_html=_CRLF + b"--" + boundary + _CRLF + _part_head(b"html") + _CRLF,
        end=_CRLF + b"--" + boundary + b"--" + _CRLF,
    )


def _mixed(boundary: bytes, bodies: Skeleton, attachments: Sequence[Attachment]) -> Skeleton:
    """Return `bodies` as the first part of several, the attached files behind it (RFC 2046, section 5.1.3)."""
    parts = [_CRLF + b"--" + boundary + _CRLF + encode_attachment(one) for one in attachments]
    return Skeleton(
        head=b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n',
        before_text=_CRLF + b"--" + boundary + _CRLF + bodies.head + bodies.before_text,
        before_html=bodies.before_html,
        end=b"".join([bodies.end.removesuffix(_CRLF), *parts, b"--" + boundary + b"--" + _CRLF]),
    )


def clean_text(text: str) -> str:
    """Return `text` as a header may show it: one line, control characters and lone surrogates as single spaces."""
    return _UNSAFE.sub(" ", text).strip()


def clean_name(name: str) -> str:
    """Return `name` as a display name: as `clean_text`, runs of spaces made one, because parsers do so too."""
    return re.sub(" {2,}", " ", clean_text(name))


@lru_cache(maxsize=512)
def encode_text(text: str, used: int = 0) -> bytes:
    """Return `text` as unstructured header bytes, folded (RFC 5322, section 2.2.3; RFC 2047).

    Plain ASCII stays readable. `used` is the width already taken on the first line.
    """
    text = clean_text(text)
    if _is_plain(text):
        if len(text) + used <= _MAX_LINE:
            return text.encode("ascii")
        return _fold(text, used)
    return b"\r\n ".join(_encoded_words(text, used))


def _is_plain(text: str) -> bool:
    """Tell whether `text` may stand as it is: printable ASCII, nothing like an encoded word, no odd spaces."""
    return (
        text.isascii()
        and "=?" not in text
        and "  " not in text
        and max(map(len, text.split(" ")), default=0) <= _MAX_PLAIN_WORD
    )


def _fold(text: str, used: int) -> bytes:
    lines, line, width = [], "", used
    for word in text.split(" "):
        if line and width + len(line) + 1 + len(word) > _MAX_LINE:
            lines.append(line)
            line, width = word, 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line]).encode("ascii")


def _encoded_words(text: str, used: int) -> Iterator[bytes]:
    """Yield encoded words of at most 75 characters; the white space between them is not part of the text."""
    raw = text.encode()
    quoted_size = len(_quote(raw))
    as_base64 = 4 * len(raw) / 3 < quoted_size
    limit = _MAX_WORD - _WORD_FRAME
    room = limit - min(used, 20)
    if raw and (len(raw) <= room // 4 * 3 if as_base64 else quoted_size <= room):
        yield _encoded_word(raw, as_base64=as_base64)
        return
    chunk: list[str] = []
    size = 0
    for character in text:
        cost = len(character.encode()) if as_base64 else _quoted_size(character)
        if chunk and size + cost > (room // 4 * 3 if as_base64 else room):
            yield _encoded_word("".join(chunk).encode(), as_base64=as_base64)
            chunk, size, room = [], 0, limit
        chunk.append(character)
        size += cost
    if chunk:
        yield _encoded_word("".join(chunk).encode(), as_base64=as_base64)


def _quoted_size(character: str) -> int:
    raw = character.encode()
    return 1 if raw[0] in _Q_SAFE or raw[0] == _SPACE else 3 * len(raw)


_SPACE = 0x20


def _encoded_word(raw: bytes, *, as_base64: bool) -> bytes:
    if as_base64:
        return b"=?utf-8?b?" + base64.b64encode(raw) + b"?="
    return b"=?utf-8?q?" + _quote(raw) + b"?="


def _quote(raw: bytes) -> bytes:
    return b"".join([_QUOTED[byte] for byte in raw])


_QUOTED = tuple(
    b"_" if byte == _SPACE else bytes((byte,)) if byte in _Q_SAFE else b"=%02X" % byte for byte in range(256)
)


def _mailbox(header: bytes, name: str, email: str) -> bytes:
    """Return one header line naming one mailbox; an address with a UTF-8 local part stays UTF-8 (RFC 6532)."""
    address = b"<" + _address(email) + b">"
    name = clean_name(name)
    if not name:
        return header + address + _CRLF
    shown = _phrase(name, len(header))
    width = len(header) + len(shown) if b"\r\n" not in shown else len(shown.rpartition(b"\n")[2])
    space = b" " if width + 1 + len(address) <= _MAX_LINE else b"\r\n "
    return header + shown + space + address + _CRLF


def _phrase(name: str, used: int) -> bytes:
    """Return a display name as atoms, quoted string or encoded words (RFC 5322, section 3.2.5; RFC 2047, section 5)."""
    if _is_plain(name) and len(name) + used + 2 <= _MAX_LINE:
        if _ATOMS.fullmatch(name):
            return name.encode("ascii")
        return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
    return b"\r\n ".join(_encoded_words(name, used))


def _list_id(name: str, label: str) -> bytes:
    if _LABEL.fullmatch(label) is None:
        raise ValueError(f"not a List-Id: {label!r}")
    name = clean_name(name)
    shown = _phrase(name, 9) + b"\r\n " if name else b""
    return b"List-Id: " + shown + b"<" + label.encode("ascii") + b">" + _CRLF


def _extra_header(name: str, value: str) -> bytes:
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError(f"not a header name: {name!r}")
    return name.encode("ascii") + b": " + encode_text(value, len(name) + 2) + _CRLF


def _part_head(kind: bytes) -> bytes:
    return (
        b"Content-Type: text/" + kind + b"; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n"
    )  # fmt: skip


def _token(text: str) -> bytes:
    """Return machine text as bytes; it is never folded or encoded, so it must be visible ASCII."""
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("not visible ASCII; it cannot stand in a header")
    return text.encode("ascii")


_MAILABLE = re.compile(r"[^\x00-\x20\x7f-\x9f<>,;:\\\"()\[\]@\u2028\u2029\ud800-\udfff]+@[A-Za-z0-9.-]+")


def _address(email: str) -> bytes:
    if _MAILABLE.fullmatch(email) is None:
        raise ValueError("not an address that a header can carry")
    return email.encode()


@lru_cache(maxsize=8)
def _date_bytes(timestamp: int) -> bytes:
    """Return a Date value (RFC 5322, section 3.3); many mails share a second."""
    at = datetime.fromtimestamp(timestamp, UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year} {at:%H:%M:%S} +0000".encode("ascii")
