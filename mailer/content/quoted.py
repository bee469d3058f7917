"""Quoted-printable in pieces (RFC 2045, section 6.7): each piece begins in column 0 and ends with a line break. Pure.

So the static text of a template is encoded once, and each value by itself: their concatenation decodes to the
concatenation of what they were made of. Lines end in CRLF and never pass 76 characters; a period at the start of a
line is written =2E, `From ` as =46rom, so that neither SMTP nor a mailbox file touches them (RFC 2049, section 3).
"""

import re
from functools import lru_cache

SOFT_BREAK = "=\r\n"
MAX_LINE = 76
_ROOM = MAX_LINE - 1
_UNSAFE = re.compile(rb"[^ \t!-<>-~]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NEWLINES = re.compile("\r\n?")
_PLAIN = re.compile(r"(?!From |\.)[A-Za-z0-9 !#$%()*+,./:;?@\[\\\]^_`{|}~-]{1,75}")


class PlainText(str):
    """Text that the caller knows to be plain (`is_plain`): a link that a mail prints several times."""

    __slots__ = ()


def clean_text(text: str) -> str:
    """Return `text` with line feeds as its only line ends and without controls, lone surrogates and NUL."""
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    return _CONTROLS.sub("", text)


def is_plain(text: str) -> bool:
    """Whether `text` is its own encoding on one line, and its own HTML too."""
    return _PLAIN.fullmatch(text) is not None


def encode_piece(text: str) -> str:
    """Return `text`, which has line feeds only, as quoted-printable; "" for "" and else ending in a line break."""
    if not text:
        return ""
    *lines, last = text.split("\n")
    encoded = [_encode_line(line, is_last=False) for line in lines]
    if last:
        encoded.append(_encode_line(last, is_last=True))
    return "".join(encoded)


encode_value = lru_cache(4096)(encode_piece)


def _encode_line(line: str, *, is_last: bool) -> str:
    """Return one line; the last one of a piece ends with a soft break, the others with a hard one."""
    rest = _UNSAFE.sub(lambda match: b"=%02X" % match[0][0], line.encode()).decode("ascii")
    if not is_last and rest[-1:] in (" ", "\t"):
        rest = f"{rest[:-1]}={ord(rest[-1]):02X}"
    rows = []
    while True:
        rest = _guard_start(rest)
        if len(rest) <= _ROOM:
            rows.append(rest)
            break
        cut = _ROOM - 1 if rest[_ROOM - 1] == "=" else _ROOM - 2 if rest[_ROOM - 2] == "=" else _ROOM
        rows.append(rest[:cut])
        rest = rest[cut:]
    return SOFT_BREAK.join(rows) + (SOFT_BREAK if is_last else "\r\n")


def _guard_start(row: str) -> str:
    if row.startswith("."):
        return "=2E" + row[1:]
    return "=46" + row[1:] if row.startswith("From ") else row
