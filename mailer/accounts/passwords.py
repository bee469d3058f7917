"""Passwords: argon2id hashes (RFC 9106) and one-time passwords. Pure but for chance."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailer.errors import InputError

MIN_LENGTH = 10
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=2)
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=2$4n89PzOMJqvApg5duMVxdg$icQpPcOzWQCRck32EUyohVIXnOaWABH07mT9qjgQzsw"
"""What a password that nobody knows made, with the costs above; made at import it cost every process 64 MB."""


def new_password() -> str:
    """Return a one-time password: four groups of four characters that nobody mixes up, 80 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def hash_password(password: str) -> str:
    """Return the hash to store."""
    return _hasher.hash(password)


def is_password(password: str, stored: str | None) -> bool:
    """Return whether `password` made `stored`; with None it takes as long and is False."""
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def check_new_password(password: str, *, email: str) -> None:
    """InputError where the password is too short or says the address."""
    if len(password) < MIN_LENGTH:
        raise InputError(f"too short: at least {MIN_LENGTH} characters", where="password", mend="three words do well")
    if password.strip().lower() in (email, email.partition("@")[0]):
        raise InputError("this is your address", where="password", mend="choose something only you know")
