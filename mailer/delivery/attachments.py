"""Attached files as body parts (RFC 2183): base64 in lines of 76, file names that every reader gets right (RFC 2231).

A name of plain letters is a quoted string. Any other stands as `filename*` in UTF-8, in pieces where it is long, and
Content-Type carries an ASCII likeness as `name` for readers that are older than RFC 2231. The two parameters differ,
because `filename` beside `filename*` is read differently by different programs. Pure.
"""

import base64
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

_LINE = 76  # RFC 2045, section 6.8
_RAW_LINE = _LINE // 4 * 3
_PIECE = 54
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,58}[A-Za-z0-9_-]|[A-Za-z0-9_-]")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}")
_NEVER_BASE64 = ("message/", "multipart/")  # RFC 2046, section 5.2.1
_ANY = "application/octet-stream"
_SAFE = "!#$&+-.^_`|~"  # attribute characters of RFC 2231, section 7


@dataclass(frozen=True)
class Attachment:
    """A file as it is attached; `name` is shown to the reader."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


def encode_attachment(attachment: Attachment) -> bytes:
    """Return a body part with its headers, CRLF line ends, the last line ended."""
    kind = attachment.media_type.lower()
    if _MEDIA_TYPE.fullmatch(kind) is None or kind.startswith(_NEVER_BASE64):
        kind = _ANY
    head = [
        f"Content-Type: {kind};\r\n name={_likeness(attachment.name)}",
        "Content-Disposition: attachment;\r\n " + ";\r\n ".join(_file_name(attachment.name)),
        "Content-Transfer-Encoding: base64",
    ]
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + encode_base64(attachment.data)


def encode_base64(data: bytes) -> bytes:
    """Return `data` in lines of 76 characters with CRLF (RFC 2045, section 6.8)."""
    lines = [base64.b64encode(data[at : at + _RAW_LINE]) for at in range(0, len(data), _RAW_LINE)]
    return b"\r\n".join([*lines, b""])


def _file_name(name: str) -> Iterator[str]:
    """Yield the parameters that say the name (RFC 2231, sections 3 and 4)."""
    if _PLAIN_NAME.fullmatch(name):
        yield f'filename="{name}"'
        return
    encoded = quote(name.encode(), safe=_SAFE)
    pieces = list(_pieces(encoded))
    if len(pieces) == 1:
        yield f"filename*=utf-8''{encoded}"
        return
    for number, piece in enumerate(pieces):
        yield f"filename*{number}*=" + ("utf-8''" if number == 0 else "") + piece


def _pieces(encoded: str) -> Iterator[str]:
    """Cut percent-encoded text so that no `%XX` is cut; readers join the bytes before they decode them."""
    while len(encoded) > _PIECE:
        cut = _PIECE
        while "%" in encoded[cut - 2 : cut]:
            cut -= 1
        yield encoded[:cut]
        encoded = encoded[cut:]
    yield encoded


def _likeness(name: str) -> str:
    """Return an ASCII name that resembles `name`, as a quoted string; its ending is kept."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    stem, dot, ending = plain.rpartition(".")
    stem = re.sub(r"[^A-Za-z0-9 _-]+", "_", stem if dot else plain).strip("_ ")[:40] or "attachment"
    ending = re.sub(r"[^A-Za-z0-9]+", "", ending)[:10] if dot else ""
    return f'"{stem}.{ending}"' if ending else f'"{stem}"'
