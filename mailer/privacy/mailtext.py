"""Whether a person stands in a file or a mail, however it is encoded: transfer encodings, character sets, workbooks."""

import email
import io
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.policy import compat32

from mailer.privacy.person import Person

_ENCODED = (b"base64", b"quoted-printable", b"=?")
_MAX_MEMBER = 200 * 1024 * 1024


def is_in_mail(person: Person, raw: bytes) -> bool:
    """Whether an address, full name or IP of theirs stands in a mail, encoded parts and headers decoded (RFC 2045)."""
    if person.is_in_bytes(raw):
        return True
    folded = raw.lower()
    if not any(mark in folded for mark in _ENCODED):
        return False
    return any(person.is_in_bytes(text) for text in _iter_parts(email.message_from_bytes(raw, policy=compat32)))


def _iter_parts(mail: Message) -> Iterator[bytes]:
    for part in mail.walk():
        for value in part.values():
            yield _decode_header(str(value)).encode("utf-8", "replace")
        if not part.is_multipart():
            body = part.get_payload(decode=True)
            if isinstance(body, bytes):
                yield body


def _decode_header(value: str) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(value)))
    except (LookupError, ValueError):
        return value


def is_in_table(person: Person, data: bytes) -> bool:
    """Whether they stand in a table as it was uploaded: text in any usual character set, or a workbook."""
    if data[:4] == b"PK\x03\x04":
        return _is_in_archive(person, data)
    if person.is_in_bytes(data):
        return True
    is_wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return person.is_in(data.decode("utf-16" if is_wide else "latin-1", "replace"))


def _is_in_archive(person: Person, data: bytes) -> bool:
    """Look into every member; what cannot be read counts as holding them, so that it goes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(
                info.file_size > _MAX_MEMBER or person.is_in_bytes(archive.read(info)) for info in archive.infolist()
            )
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return True
