"""Seal small secrets that lie in the database: relay passwords, private keys. AES-256-GCM (NIST SP 800-38D).

The key is derived (HKDF, RFC 5869) from the installation's suppression key, the one key that never rotates: a sealed
row must stay readable for as long as it lies there, and whoever rotates the token keys because a link leaked must not
lose the relays. The database alone, or a backup of it, therefore gives no secret away; database and key file do.
What the secret is for (`context`) is part of the seal, so that one row's secret cannot be moved into another's place.
"""

import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailer.errors import SetupError
from mailer.tokens import Keys

_VERSION = b"\x01"
_MARK, _NONCE, _TAG = 4, 12, 16
_HEAD = len(_VERSION) + _MARK


def seal(keys: Keys, context: str, plain: bytes) -> bytes:
    """Return `plain` sealed for `context`: version, mark of the key, nonce, cipher text and tag (33 bytes longer)."""
    key, mark = _derive(keys.suppression)
    nonce = secrets.token_bytes(_NONCE)
    return _VERSION + mark + nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unseal(keys: Keys, context: str, sealed: bytes) -> bytes:
    """Return what `seal` was given.

    Raises:
        SetupError: the key file is not the one that it was sealed with, or the bytes were changed or moved.
    """
    key, mark = _derive(keys.suppression)
    if len(sealed) < _HEAD + _NONCE + _TAG or sealed[:1] != _VERSION:
        raise SetupError("a stored secret is damaged", mend="restore the database from a backup")
    if sealed[1:_HEAD] != mark:
        raise SetupError(
            "a stored secret was sealed with other secret keys than this installation has",
            mend="bring back the key file that belongs to this database (MAILER_SECRET_KEYS)",
        )
    nonce, body = sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
    try:
        return AESGCM(key).decrypt(nonce, body, context.encode())
    except InvalidTag as error:
        raise SetupError("a stored secret is damaged", mend="restore the database from a backup") from error


@lru_cache(maxsize=4)
def _derive(secret: bytes) -> tuple[bytes, bytes]:
    """Return the sealing key and the mark by which a foreign key file is told from damage."""
    derived = HKDF(algorithm=SHA256(), length=32 + _MARK, salt=None, info=b"mailer sealing 1").derive(secret)
    return derived[:32], derived[32:]
