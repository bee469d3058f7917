"""E-mail addresses as values: check, normal form, keyed hash, mailbox provider. Pure.

`check_address` is email-validator's verdict; plain ASCII addresses take a short path that gives the same answer
(tests/test_addresses.py compares the two on random input).
"""

import hashlib
import re
from dataclasses import dataclass

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

_PLAIN = re.compile(
    r"(?P<local>[a-z0-9_](?:[a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*))"
    r"@(?P<domain>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24})",
    re.IGNORECASE | re.ASCII,
)
_MAX_LOCAL = 64
_MAX_PLAIN = 200


@dataclass(frozen=True, slots=True)
class Address:
    """A valid address. `email` is the normal form: case-folded, the domain as A-labels (RFC 5890)."""

    email: str
    domain: str

    @property
    def local(self) -> str:
        """The part before the at sign."""
        return self.email[: -len(self.domain) - 1]

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
    match = _PLAIN.fullmatch(text) if len(text) <= _MAX_PLAIN else None
    if match is None or len(match["local"]) > _MAX_LOCAL:
        return None
    domain = match["domain"].lower()
    if "--" in domain or domain.rpartition(".")[2] in _SPECIAL_TOP or domain.endswith(_SPECIAL_TAILS):
        return None
    return Address(f"{match['local'].lower()}@{domain}", domain)


_SPECIAL_TOP = frozenset(name for name in SPECIAL_USE if "." not in name)
_SPECIAL_TAILS = tuple(name for name in SPECIAL_USE if "." in name)


def _validated_address(text: str) -> Address:
    try:
        valid = validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from error
    domain = valid.ascii_domain.lower()
    return Address(f"{valid.local_part.lower()}@{domain}", domain)


def hash_address(email: str, key: bytes) -> bytes:
    """Return the 16-byte keyed hash by which an address is known after it was erased."""
    return hashlib.blake2b(email.encode(), key=key, digest_size=16, person=b"address").digest()


def mask_address(email: str) -> str:
    """Return `email` as public pages show it: `a…@example.com`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"
