"""Fetch mail from an IMAP mailbox (RFC 3501): what is new since the last UID, then mark or move it (RFC 6851).

What was fetched is stored before anything in the mailbox is touched, and is known by its digest: a run that is killed
anywhere fetches some of it again, and stores nothing twice.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mailer.errors import MailerError

TIMEOUT = 20.0
MAX_BYTES = 20_000_000
_UID = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_NUMBER = re.compile(rb"\d+")
imaplib._MAXLINE = 10_000_000  # type: ignore[attr-defined]  # noqa: SLF001 - a search of a large mailbox is one line


class MailboxError(MailerError):
    """The mailbox could not be opened or read; the message says what the server said."""


@dataclass(frozen=True)
class Account:
    """Where a mailbox is. `security`: `tls`, `starttls` or `none`, which is for this machine only."""

    host: str
    port: int
    security: str
    username: str
    password: str
    folder: str = "INBOX"


@dataclass(frozen=True)
class Mail:
    """A mail of the mailbox; `raw` is empty where it is larger than `MAX_BYTES`."""

    uid: int
    raw: bytes


class Mailbox:
    """An open folder. UIDs only grow while `uid_validity` stays the same (RFC 3501, section 2.3.1.1)."""

    def __init__(self, client: imaplib.IMAP4, uid_validity: int) -> None:
        self._client = client
        said = b" ".join(_texts(_ask(client.capability())))  # a server may know more once one is logged in
        self._capabilities = frozenset(said.decode("ascii", "replace").upper().split())
        self.uid_validity = uid_validity

    def list_after(self, uid: int) -> list[int]:
        """Return the UIDs above `uid`, lowest first."""
        lines = _ask(self._client.uid("SEARCH", f"UID {uid + 1}:*"))
        found = sorted({int(number) for line in lines if isinstance(line, bytes) for number in _NUMBER.findall(line)})
        return [number for number in found if number > uid]  # `n:*` names the last one always

    def list_unfinished(self, uid: int, move_to: str) -> list[int]:
        """Return UIDs up to `uid` that were stored and then not marked or moved: a run was killed in between."""
        if uid <= 0:
            return []
        lines = _ask(self._client.uid("SEARCH", f"{'' if move_to else 'UNSEEN '}UID 1:{uid}"))
        return sorted({int(number) for line in lines if isinstance(line, bytes) for number in _NUMBER.findall(line)})

    def fetch(self, uids: list[int]) -> Iterator[Mail]:
        """Yield mails, leaving them unseen; those that are gone meanwhile are left out."""
        for uid in uids:
            size = _SIZE.search(b" ".join(_texts(_ask(self._client.uid("FETCH", str(uid), "(RFC822.SIZE)")))))
            if size is None:
                continue
            if int(size[1]) > MAX_BYTES:
                yield Mail(uid, b"")
                continue
            for item in _ask(self._client.uid("FETCH", str(uid), "(UID BODY.PEEK[])")):
                if isinstance(item, tuple) and _UID.search(item[0]):
                    yield Mail(uid, bytes(item[1]))

    def finish(self, uids: list[int], move_to: str) -> None:
        """Mark mails as seen, and move them where a folder is named: MOVE where the server knows it, else a copy."""
        if not uids:
            return
        named = ",".join(map(str, uids))
        _ask(self._client.uid("STORE", named, "+FLAGS.SILENT", r"(\Seen)"))
        if not move_to:
            return
        target = quote(move_to)
        if "MOVE" in self._capabilities:
            _ask(self._client.uid("MOVE", named, target))
            return
        _ask(self._client.uid("COPY", named, target))
        _ask(self._client.uid("STORE", named, "+FLAGS.SILENT", r"(\Deleted)"))
        if "UIDPLUS" in self._capabilities:  # without it an EXPUNGE would take mails of others
            _ask(self._client.uid("EXPUNGE", named))


@contextmanager
def open_mailbox(account: Account) -> Iterator[Mailbox]:
    """Yield the folder of an account, ready to be read.

    Raises:
        MailboxError: it cannot be reached, or refuses us.
    """
    client: imaplib.IMAP4 | None = None
    try:
        client = _connect(account)
        client.login(account.username, account.password)
        _ask(client.select(quote(account.folder)))
        _, answer = client.response("UIDVALIDITY")
        yield Mailbox(client, int(answer[0]) if answer and answer[0] else 0)
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        raise MailboxError(f"{account.host}: {_said(error)}", mend="check name, password and folder") from error
    finally:
        if client is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                client.logout()


def _connect(account: Account) -> imaplib.IMAP4:
    if account.security == "tls":
        context = ssl.create_default_context()
        return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=TIMEOUT)
    client = imaplib.IMAP4(account.host, account.port, timeout=TIMEOUT)
    if account.security == "starttls":
        client.starttls(ssl.create_default_context())
    return client


def quote(name: str) -> str:
    """Return the name of a folder as a quoted string; without signs that end a command."""
    clean = "".join(sign for sign in name if sign >= " " and sign != "\x7f")
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _ask(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    status, lines = answer
    if status != "OK":
        raise MailboxError(f"the server says {status}: {b' '.join(_texts(lines)).decode('utf-8', 'replace')[:200]}")
    return lines


def _texts(lines: Sequence[object]) -> list[bytes]:
    return [line for line in lines if isinstance(line, bytes)]


def _said(error: Exception) -> str:
    shown = error.args[0] if error.args else type(error).__name__
    return shown.decode("utf-8", "replace")[:300] if isinstance(shown, bytes) else str(error)[:300]
