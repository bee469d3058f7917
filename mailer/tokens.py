"""Keyed functions of ids: tracking tokens, manage tokens, Message-ID and VERP address. Computed, never stored.

Every token carries the id of its key, so that keys can rotate, and one blake2b MAC over all of it; the purpose is part
of the MAC (`person`), so a token of one kind never verifies as another.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mailer.errors import SetupError, UntrustedRequestError

_TRACK = struct.Struct(">BB7sH")
_MANAGE = struct.Struct(">B6s3s6s")
_UNDO = struct.Struct(">B6s6s6sI")
_MAIL = struct.Struct(">B6s")
_TRACK_MAC, _MANAGE_MAC, _MAIL_MAC, _UNDO_MAC = 16, 14, 13, 16
_TRACK_SIZE = 36

OPEN, CLICK, VIEW, CONFIRM = 1, 2, 3, 4


@dataclass(frozen=True)
class Keys:
    """The secret keys of an installation. `suppression` never rotates; the others are by key id."""

    suppression: bytes
    session: bytes
    tracking: dict[int, bytes]
    manage: dict[int, bytes]

    @property
    def current(self) -> int:
        """Id of the key that new tokens are made with."""
        return max(self.tracking)

    def __repr__(self) -> str:
        return f"Keys(current={self.current})"


@dataclass(frozen=True, slots=True)
class TrackToken:
    """What a tracking token says."""

    kind: int
    message_id: int
    link: int


@dataclass(frozen=True, slots=True)
class ManageToken:
    """What an unsubscribe or preference token says; `topic_id` and `message_id` are 0 where none is meant."""

    contact_id: int
    topic_id: int
    message_id: int


@dataclass(frozen=True, slots=True)
class UndoToken:
    """What an undo token says: whose change, the first and last line of the ledger that it wrote, until when."""

    contact_id: int
    first_line: int
    last_line: int
    expires: int


def track_token(keys: Keys, kind: int, message_id: int, link: int = 0, *, key_id: int | None = None) -> str:
    """Return 36 base64url characters that name a message and a link."""
    key_id = key_id or keys.current
    body = _TRACK.pack(key_id, kind, message_id.to_bytes(7), link)
    return _encode(body + _mac(keys.tracking[key_id], b"track", body, _TRACK_MAC))


def click_tokens(keys: Keys, message_id: int, links: int, *, key_id: int) -> list[str]:
    """Return the tokens of the first `links` links of a message, as `track_token` makes each of them."""
    head = _TRACK.pack(key_id, CLICK, message_id.to_bytes(7), 0)[:-2]
    common = _hasher(keys.tracking[key_id], b"track", _TRACK_MAC).copy()
    common.update(head)
    raw: list[bytes] = []
    for link in range(links):
        place = link.to_bytes(2)
        mac = common.copy()
        mac.update(place)
        raw += (head, place, mac.digest())
    text = _encode(b"".join(raw))  # 27 bytes are 36 characters without a rest, so all can be written at once
    return [text[at : at + _TRACK_SIZE] for at in range(0, len(text), _TRACK_SIZE)]


def read_track_token(keys: Keys, token: str) -> TrackToken:
    """Verify a tracking token; UntrustedRequestError for every bad one."""
    body = _verified(token, keys.tracking, b"track", _TRACK.size, _TRACK_MAC)
    _, kind, message, link = _TRACK.unpack(body)
    return TrackToken(kind, int.from_bytes(message), link)


def manage_token(keys: Keys, contact_id: int, topic_id: int = 0, message_id: int = 0) -> str:
    """Return 40 base64url characters that let a person manage their own preferences."""
    key_id = max(keys.manage)
    body = _MANAGE.pack(key_id, contact_id.to_bytes(6), topic_id.to_bytes(3), message_id.to_bytes(6))
    return _encode(body + _mac(keys.manage[key_id], b"manage", body, _MANAGE_MAC))


def read_manage_token(keys: Keys, token: str) -> ManageToken:
    """Verify a manage token; UntrustedRequestError for every bad one."""
    body = _verified(token, keys.manage, b"manage", _MANAGE.size, _MANAGE_MAC)
    _, contact, topic, message = _MANAGE.unpack(body)
    return ManageToken(int.from_bytes(contact), int.from_bytes(topic), int.from_bytes(message))


def mail_manage_local(token: str) -> str:
    """Return the local part of an address that unsubscribes: `u+` and a manage token in 48 lower-case characters.

    Relays may fold local parts, and they hold 64 characters at most (RFC 5321, section 4.5.3.1.1).
    """
    raw = binascii.a2b_base64(token.translate(_PLAIN_BASE64))
    return "u+" + "".join([_base32(int.from_bytes(raw[at : at + 5])) for at in range(0, len(raw), 5)])


def read_mail_manage_local(keys: Keys, local: str) -> ManageToken:
    """Return what such a local part says, in any case; UntrustedRequestError if it is not ours."""
    try:
        raw = base64.b32decode(local.lower().removeprefix("u+").upper().encode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise UntrustedRequestError("not one of our tokens") from error
    return read_manage_token(keys, _encode(raw))


def undo_token(keys: Keys, contact_id: int, first_line: int, last_line: int, expires: int) -> str:
    """Return 52 characters that let a person take back what lines of the ledger say, until `expires` (Unix time)."""
    key_id = max(keys.manage)
    body = _UNDO.pack(key_id, contact_id.to_bytes(6), first_line.to_bytes(6), last_line.to_bytes(6), expires)
    return _encode(body + _mac(keys.manage[key_id], b"undo", body, _UNDO_MAC))


def read_undo_token(keys: Keys, token: str) -> UndoToken:
    """Verify an undo token; UntrustedRequestError for every bad one. The time is the caller's to judge."""
    body = _verified(token, keys.manage, b"undo", _UNDO.size, _UNDO_MAC)
    _, contact, first, last, expires = _UNDO.unpack(body)
    return UndoToken(int.from_bytes(contact), int.from_bytes(first), int.from_bytes(last), expires)


def message_id_local(keys: Keys, message_id: int, key_id: int) -> str:
    """Return the 32 characters before the at sign of a Message-ID (RFC 5322, section 3.6.4)."""
    return _mail_token(keys, b"message-id", message_id, key_id)


def verp_local(keys: Keys, message_id: int, key_id: int) -> str:
    """Return the local part of the envelope sender of a message: `b+` and 32 lower-case characters."""
    return "b+" + _mail_token(keys, b"verp", message_id, key_id)


def read_verp_local(keys: Keys, local: str) -> int:
    """Return the message id in a VERP local part, in any case; UntrustedRequestError if it is not ours."""
    return _read_mail_token(keys, b"verp", local.lower().removeprefix("b+"))


def read_message_id_local(keys: Keys, local: str) -> int:
    """Return the message id in the local part of a Message-ID; UntrustedRequestError if it is not ours."""
    return _read_mail_token(keys, b"message-id", local.lower())


def _mail_token(keys: Keys, purpose: bytes, message_id: int, key_id: int) -> str:
    body = _MAIL.pack(key_id, message_id.to_bytes(6))
    raw = body + _mac(keys.tracking[key_id], purpose, body, _MAIL_MAC)
    return "".join([_base32(int.from_bytes(raw[at : at + 5])) for at in range(0, len(raw), 5)])


def _base32(bits: int) -> str:
    """Return 40 bits as 8 lower-case characters (RFC 4648, section 6), in half the time of the standard library."""
    pairs = _BASE32_PAIRS
    return pairs[bits >> 30] + pairs[bits >> 20 & 1023] + pairs[bits >> 10 & 1023] + pairs[bits & 1023]


_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_BASE32_PAIRS = tuple(first + second for first in _BASE32 for second in _BASE32)


def _read_mail_token(keys: Keys, purpose: bytes, text: str) -> int:
    try:
        raw = base64.b32decode(text.upper().encode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise UntrustedRequestError("not one of our tokens") from error
    body = _checked(raw, keys.tracking, purpose, _MAIL.size, _MAIL_MAC)
    return int.from_bytes(_MAIL.unpack(body)[1])


def _encode(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).decode()


_URL_SAFE = bytes.maketrans(b"+/", b"-_")  # RFC 4648, section 5
_PLAIN_BASE64 = str.maketrans("-_", "+/")


def _verified(token: str, keys: dict[int, bytes], purpose: bytes, size: int, mac_size: int) -> bytes:
    if len(token) * 3 != (size + mac_size) * 4:  # the decoder would overlook padding, so one token had several forms
        raise UntrustedRequestError("not one of our tokens")
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise UntrustedRequestError("not one of our tokens") from error
    return _checked(raw, keys, purpose, size, mac_size)


def _checked(raw: bytes, keys: dict[int, bytes], purpose: bytes, size: int, mac_size: int) -> bytes:
    body, mac = raw[:size], raw[size:]
    key = keys.get(raw[0]) if len(raw) == size + mac_size else None
    if key is None or not hmac.compare_digest(mac, _mac(key, purpose, body, mac_size)):
        raise UntrustedRequestError("not one of our tokens")
    return body


def _mac(key: bytes, purpose: bytes, body: bytes, size: int) -> bytes:
    mac = _hasher(key, purpose, size).copy()
    mac.update(body)
    return mac.digest()


@lru_cache(256)
def _hasher(key: bytes, purpose: bytes, size: int) -> "hashlib.blake2b":
    """Return the state after the key has gone in: a copy of it is quicker than a new one."""
    return hashlib.blake2b(key=key, digest_size=size, person=purpose)


def new_keys() -> Keys:
    """Return fresh random keys."""
    return Keys(
        suppression=secrets.token_bytes(32),
        session=secrets.token_bytes(32),
        tracking={1: secrets.token_bytes(32)},
        manage={1: secrets.token_bytes(32)},
    )


def dump_keys(keys: Keys) -> str:
    """Return `keys` as the JSON text that `parse_keys` reads."""
    return json.dumps(
        {
            "suppression": keys.suppression.hex(),
            "session": keys.session.hex(),
            "tracking": {str(number): key.hex() for number, key in keys.tracking.items()},
            "manage": {str(number): key.hex() for number, key in keys.manage.items()},
        },
        indent=1,
    )


def parse_keys(text: str) -> Keys:
    """Return the keys in a JSON text; SetupError where it is not what `dump_keys` writes."""
    try:
        data = json.loads(text)
        return Keys(
            suppression=bytes.fromhex(data["suppression"]),
            session=bytes.fromhex(data["session"]),
            tracking={int(number): bytes.fromhex(key) for number, key in data["tracking"].items()},
            manage={int(number): bytes.fromhex(key) for number, key in data["manage"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError("the secret keys cannot be read", mend="restore the key file from a backup") from error


def load_keys(path: Path) -> Keys:
    """Return the keys in the file at `path`, made on the first run with mode 0600."""
    try:
        return parse_keys(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return _create_keys(path)


def _create_keys(path: Path) -> Keys:
    """Write fresh keys, whole or not at all; where another process was quicker, its keys count."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(dump_keys(new_keys()), encoding="ascii")
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return parse_keys(path.read_text(encoding="ascii"))
