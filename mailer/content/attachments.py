"""Files that mails carry: kept in the database, once by content, so that a backup needs no second place.

Functions take the caller's session and never commit.
"""

import hashlib
import mimetypes
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session, undefer

from mailer.clock import utc_now
from mailer.errors import InputError
from mailer.schema.content import Attachment, VersionAttachment

MAX_FILE_BYTES = 10 * 1024 * 1024
"""More is refused on the way in; what a campaign may carry is the review's business."""
_NAME_LIMIT = 150
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_EDGES = re.compile(r"^[\s.]+|[\s.]+$")  # white space of any script: mail programs take it off
_ANY = "application/octet-stream"
REFUSED_ENDINGS = frozenset(
    {
        "ade", "adp", "apk", "appx", "bat", "cab", "chm", "cmd", "com", "cpl", "dll", "dmg", "ex", "ex_", "exe", "hta",
        "ins", "iso", "isp", "jar", "js", "jse", "lib", "lnk", "mde", "msc", "msi", "msix", "msp", "mst", "nsh", "pif",
        "ps1", "scr", "sct", "shb", "sys", "vb", "vbe", "vbs", "vhd", "vxd", "wsc", "wsf", "wsh", "xll",
    }
)  # fmt: skip
"""Endings of programs; Gmail and Outlook refuse a mail that carries one."""


@dataclass(frozen=True)
class FileRef:
    """A stored file under the name that readers see; `size` in bytes."""

    attachment_id: int
    name: str
    media_type: str
    size: int


@dataclass(frozen=True)
class StoredFile:
    """A file with its content."""

    name: str
    media_type: str
    data: bytes


def store_file(session: Session, name: str, data: bytes) -> FileRef:
    """Keep a file and return it; one that is there already is not kept twice.

    Raises:
        InputError: empty, too large, without a name, or of a kind that mailbox providers refuse.
    """
    shown = check_file(name, data)
    digest = hashlib.blake2b(data, digest_size=32).hexdigest()
    row = session.scalar(select(Attachment).where(Attachment.content_hash == digest))
    if row is None:
        row = Attachment(content_hash=digest, size=len(data), data=data, created_at=utc_now())
        session.add(row)
        session.flush()
    return FileRef(row.id, shown, guess_media_type(shown), row.size)


def check_file(name: str, data: bytes) -> str:
    """Return the name as it will be shown; raises as `store_file` does."""
    shown = clean_file_name(name)
    if not shown:
        raise InputError("the file has no name", where="attachments")
    if not data:
        raise InputError(f"{shown} is empty", where="attachments")
    if len(data) > MAX_FILE_BYTES:
        mend = "put it on a web page and link to it"
        raise InputError(f"{shown} is larger than {MAX_FILE_BYTES // 2**20} MB", where="attachments", mend=mend)
    if shown.rpartition(".")[2].lower() in REFUSED_ENDINGS:
        mend = "put it on a web page and link to it"
        raise InputError(f"mailbox providers refuse mails with a program ({shown})", where="attachments", mend=mend)
    return shown


def clean_file_name(name: str) -> str:
    """Return the last part of a path without what a name must not hold; the ending survives where it is too long."""
    base = _EDGES.sub("", _UNSAFE.sub("", name.replace("\\", "/").rpartition("/")[2]))
    if len(base) <= _NAME_LIMIT:
        return base
    stem, dot, ending = base.rpartition(".")
    ending = ending[:20] if dot else ""
    short = f"{(stem or base)[: _NAME_LIMIT - len(ending) - 1]}.{ending}" if ending else base[:_NAME_LIMIT]
    return _EDGES.sub("", short)


def guess_media_type(name: str) -> str:
    """Return the media type by the name's ending (RFC 2046)."""
    kind, encoding = mimetypes.guess_type(name, strict=True)
    return kind if kind and not encoding else _ANY


def attach_to_version(session: Session, version_id: int, files: Iterable[FileRef]) -> None:
    """Write what a content version carries, in the order given."""
    for ordinal, file in enumerate(files):
        session.add(
            VersionAttachment(
                content_version_id=version_id,
                ordinal=ordinal,
                attachment_id=file.attachment_id,
                name=file.name,
                media_type=file.media_type,
            )
        )
    session.flush()


def load_files(session: Session, version_id: int) -> list[StoredFile]:
    """Return the files of a content version with their content, in order."""
    rows = session.execute(
        select(VersionAttachment, Attachment)
        .join(Attachment, Attachment.id == VersionAttachment.attachment_id)
        .where(VersionAttachment.content_version_id == version_id)
        .order_by(VersionAttachment.ordinal)
        .options(undefer(Attachment.data))
    )
    return [StoredFile(one.name, one.media_type, file.data) for one, file in rows]


def remove_unused(session: Session, attachment_ids: Sequence[int], *, is_kept: ColumnElement[bool]) -> int:
    """Delete those of the files that no content version carries and that the caller does not keep; return how many."""
    gone = session.execute(
        delete(Attachment)
        .where(
            Attachment.id.in_(attachment_ids),
            ~exists().where(VersionAttachment.attachment_id == Attachment.id),
            ~is_kept,
        )
        .execution_options(synchronize_session=False)
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]
