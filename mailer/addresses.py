"""E-mail addresses as values: check, normal form, keyed hash, mailbox provider. Pure.

`check_address` is email-validator's verdict; plain ASCII addresses take a short path that gives the same answer
(tests/test_addresses.py compares the two on random input).
"""

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from email_validator import SPECIAL_USE_DOMAIN_NAMES as SPECIAL_USE
from email_validator import EmailNotValidError, validate_email

ROLE_LOCAL_PARTS = frozenset(
    {
        "abuse",
        "postmaster",
        "noreply",
        "no-reply",
        "mailer-daemon",
        "hostmaster",
        "webmaster",
        "root",
        "bounce",
        "bounces",
    }
)
SHARED_LOCAL_PARTS = frozenset({"info", "sales", "office", "contact", "support", "admin", "kontakt", "post"})

PROVIDERS = {
    "gmail.com": "google", "googlemail.com": "google",
    "outlook.com": "microsoft", "hotmail.com": "microsoft", "live.com": "microsoft", "msn.com": "microsoft",
    "yahoo.com": "yahoo", "ymail.com": "yahoo", "aol.com": "yahoo", "yahoo.co.uk": "yahoo",
    "icloud.com": "apple", "me.com": "apple", "mac.com": "apple",
}  # fmt: skip
FREEMAIL_DOMAINS = frozenset(PROVIDERS) | {
    "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "hotmail.co.uk", "hotmail.de", "hotmail.es", "hotmail.fr",
    "hotmail.it", "hotmail.no", "hotmail.se", "libero.it", "live.co.uk", "live.no", "live.se", "mail.com", "mail.ru",
    "online.no", "orange.fr", "outlook.de", "outlook.fr", "proton.me", "protonmail.com", "qq.com", "rocketmail.com",
    "seznam.cz", "t-online.de", "web.de", "wp.pl", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.it", "yandex.com",
    "yandex.ru", "163.com",
}  # fmt: skip
"""Where anybody gets a mailbox: nobody may send a newsletter from there."""
PROVIDER_NAMES = ("google", "microsoft", "yahoo", "apple", "other")

_PLAIN_LOCAL = re.compile(r"[a-z0-9_][a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*", re.ASCII)
_PLAIN_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}", re.ASCII)
_MAX_LOCAL = 64
_MAX_PLAIN = 200


class Address(NamedTuple):
    """A valid address: `email` is `local@domain` in normal form, case-folded, the domain as A-labels (RFC 5890)."""

    email: str
    local: str
    domain: str

    @property
    def provider(self) -> str:
        """The mailbox provider by domain; `other` where the domain is not in the static map."""
        return PROVIDERS.get(self.domain, "other")


class AddressError(ValueError):
    """Not an address that mail can be sent to; the message says why."""


def check_address(text: str) -> Address:
    """Return the address in `text`, surrounding white space ignored.

    Raises:
        AddressError: not valid (RFC 5321, RFC 6531), a reserved domain, or a role address that must not be mailed.
    """
    text = text.strip()
    address = _plain_address(text) or _validated_address(text)
    if address.local in ROLE_LOCAL_PARTS:
        raise AddressError(f"{address.local}@ is a role address; it must not be mailed")
    return address


def _plain_address(text: str) -> Address | None:
    """Return the address where `text` is of the plainest kind, else None: let the library judge."""
    if len(text) > _MAX_PLAIN or not text.isascii():
        return None
    email = text.lower()
    local, _, domain = email.rpartition("@")
    if len(local) > _MAX_LOCAL or not _is_plain_domain(domain) or not _PLAIN_LOCAL.fullmatch(local):
        return None
    return Address(email, local, domain)


@lru_cache(10_000)
def _is_plain_domain(domain: str) -> bool:
    if "--" in domain or not _PLAIN_DOMAIN.fullmatch(domain):
        return False
    return domain.rpartition(".")[2] not in _SPECIAL_TOP and not domain.endswith(_SPECIAL_TAILS)


_SPECIAL_TOP = frozenset(name for name in SPECIAL_USE if "." not in name)
_SPECIAL_TAILS = tuple(name for name in SPECIAL_USE if "." in name)


def _validated_address(text: str) -> Address:
    try:
        valid = validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from error
    domain = valid.ascii_domain.lower()
    local = valid.local_part.lower()
    return Address(f"{local}@{domain}", local, domain)


def hash_address(email: str, key: bytes) -> bytes:
    """Return the 16-byte keyed hash by which an address is known after it was erased."""
    return hashlib.blake2b(email.encode(), key=key, digest_size=16, person=b"address").digest()


def domain_of(email: str) -> str:
    """Return the domain of an address in lower case; empty where it has none."""
    return email.rpartition("@")[2].lower() if "@" in email else ""


def mask_address(email: str) -> str:
    """Return `email` as public pages show it: `a…@example.com`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"
