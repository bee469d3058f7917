"""Mail read for what it says, not for what it should be: headers and parts (RFC 5322, RFC 2045, RFC 2046). Pure.

Reports are often broken: boundaries that stand nowhere, parts without their MIME header, a content type that was lost
on the way. What looks like a boundary is one, and text without boundaries is one part. Nothing is decoded before it is
asked for, so that a report of 3 KB costs a tenth of what the standard library takes. Never raises; depth, number of
parts and length are bounded.
"""

import binascii
import quopri
import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import cached_property

MAX_BYTES = 300_000
"""The report stands before what it returns."""
_MAX_DEPTH, _MAX_PARTS = 8, 60
_MAX_HEADERS = 60_000
_MAX_WORDS = 1_000
_FIELD = re.compile(r"^([!-9;-~]{1,78})[ \t]*:[ \t]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_HEAD_END = re.compile(r"\n[ \t]*\n")
_PARAM = re.compile(r"[;\s]\s*([\w-]+)\*?\s*=\s*(?:\"([^\"\n]*)\"?|([^\s;\"]+))")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_LOST_BOUNDARY = re.compile(r"^--(\S{5,200})\n(?:content-[\w-]+[ \t]*:|\n)", re.IGNORECASE | re.MULTILINE)
_COPY_HEADER = re.compile(r"^[ \t]*(?:return-path|received)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_HEADER_LIKE = re.compile(r"[!-9;-~]{1,78}[ \t]*:|From ")


class Part:
    """A mail or one of its parts. Header names in any case; values unfolded, not decoded."""

    def __init__(self, text: str, depth: int = 0) -> None:
        head, body = _split_head(text)
        self.head, self.body = head, body
        self._depth = depth

    @cached_property
    def _fields(self) -> dict[str, list[str]]:
        fields: dict[str, list[str]] = {}
        for name, value in _FIELD.findall(self.head[:_MAX_HEADERS]):
            fields.setdefault(name.lower(), []).append(value.replace("\n", " ").strip())
        return fields

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a header, `default` where it is not there."""
        found = self._fields.get(name.lower())
        return found[0] if found else default

    def get_all(self, *names: str) -> list[str]:
        """Return every value of the headers `names`."""
        return [value for name in names for value in self._fields.get(name.lower(), ())]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields

    @cached_property
    def content_type(self) -> str:
        """The type in lower case, text/plain where none is given (RFC 2045, section 5.2)."""
        kind = _TYPE.match(self.get("content-type"))
        return kind[0].lower() if kind else "text/plain"

    def param(self, name: str) -> str:
        """Return a parameter of the content type, empty where it is not there."""
        for key, quoted, bare in _PARAM.findall(self.get("content-type")):
            if key.lower() == name:
                return str(quoted or bare)
        return ""

    @cached_property
    def subject(self) -> str:
        """The subject in clear text; as it stands where it cannot be decoded."""
        return decode_words(self.get("subject"))

    @cached_property
    def parts(self) -> list["Part"]:
        """The parts of a multipart; none where no boundary is to be found."""
        if self._depth >= _MAX_DEPTH:
            return []
        is_multipart = self.content_type.startswith("multipart/")
        boundary = self.param("boundary") if is_multipart else ""
        if boundary and f"--{boundary}" not in self.body:
            boundary = ""
        if not boundary and (is_multipart or (self._depth == 0 and self.content_type == "text/plain")):
            copy = _COPY_HEADER.search(self.body)  # a boundary below it is one of the mail that is returned
            lost = _LOST_BOUNDARY.search(self.body, 0, min(20_000, copy.start() if copy else 20_000))
            boundary = lost[1] if lost else ""
        return self._cut(boundary) if boundary else []

    def _cut(self, boundary: str) -> list["Part"]:
        """Return what stands between the lines of a boundary (RFC 2046, section 5.1.1); blanks may follow it."""
        body, mark = "\n" + self.body, f"\n--{boundary}"
        pieces: list[str] = []
        begin, at = -1, body.find(mark)
        while at >= 0 and len(pieces) < _MAX_PARTS:
            end = body.find("\n", at + 1)
            end = len(body) if end < 0 else end
            if body[at + len(mark) : end].rstrip(" \t") in ("", "--"):
                if begin >= 0:
                    pieces.append(body[begin : at + 1])
                begin = end + 1
            at = body.find(mark, end)
        if begin >= 0 and at < 0:
            pieces.append(body[begin:])
        return [Part(piece, self._depth + 1) for piece in pieces if piece.strip()]

    @cached_property
    def preamble(self) -> str:
        """What stands before the first boundary; the body of what has no parts."""
        if not self.parts:
            return self.body
        return self.body.partition("\n--")[0]

    def walk(self) -> list["Part"]:
        """Return this part and all below it, in order, not looking into mails that are attached."""
        return self._all

    @cached_property
    def _all(self) -> list["Part"]:
        found: list[Part] = []
        pending = [self]
        while pending and len(found) < _MAX_PARTS:
            part = pending.pop(0)
            found.append(part)
            pending[:0] = part.parts
        return found

    @cached_property
    def text(self) -> str:
        """The body decoded, line ends as LF; what cannot be decoded stands as it is."""
        raw = self.body.encode("latin-1", "replace")
        encoding = self.get("content-transfer-encoding").strip().lower()
        try:
            if encoding == "quoted-printable":
                raw = quopri.decodestring(raw)
            elif encoding == "base64":
                raw = _decode_base64(raw)
        except (ValueError, binascii.Error):
            pass
        return decode_bytes(raw, self.param("charset")).replace("\r\n", "\n")


def read_mail(raw: bytes) -> Part:
    """Return the mail in `raw`, as far as it is looked at."""
    text = raw[:MAX_BYTES].decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    return Part(text.lstrip("\n"))


def _split_head(text: str) -> tuple[str, str]:
    """Return header and body; what does not begin like a header is all body (a part needs none)."""
    if text.startswith("\n"):
        return "", text[1:]
    if not _HEADER_LIKE.match(text):
        return "", text
    end = _HEAD_END.search(text)
    return (text[: end.start() + 1], text[end.end() :]) if end else (text, "")


_CHARSET = re.compile(
    r"utf-?(?:8|16|16[lb]e|7)|(?:us-)?ascii|iso-?8859-?\d{1,2}|latin-?\d|windows-?125\d|cp\d{3,4}|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5|shift[-_]jis|s-?jis|euc-?(?:jp|kr)|iso-2022-(?:jp|kr)(?:-\w+)?|mac-?roman|tis-620",
    re.IGNORECASE,
)


def decode_bytes(raw: bytes, charset: str) -> str:
    """Return text in the charset it claims, else as UTF-8, else as Latin-1, which takes every byte.

    Only charsets of mail: Python knows codecs that are none, and some that take minutes.
    """
    charset = charset.strip()
    for name in (charset, "utf-8"):
        if _CHARSET.fullmatch(name):
            try:
                return raw.decode(name)
            except (LookupError, ValueError):
                continue
    return raw.decode("latin-1")


def _decode_base64(raw: bytes) -> bytes:
    """Decode what is base64, up to the first line that is none."""
    kept = b"".join(raw.split())
    kept = kept[: len(kept) - len(kept) % 4]
    return binascii.a2b_base64(kept)


def decode_words(value: str) -> str:
    """Return a header with its encoded words in clear (RFC 2047); raw 8-bit text is read as UTF-8."""
    value = value[:_MAX_WORDS]
    if "=?" not in value:
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return value
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, HeaderParseError):
        return value
