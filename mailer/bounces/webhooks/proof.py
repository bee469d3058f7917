"""How a provider proves that a call is its own: shared secrets, HMACs, public keys. Pure.

Each provider's file has `verify(call, door)`, which raises UntrustedRequestError for a call that does not prove it.
Comparisons take the same time wherever they differ.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mailer.bounces.webhooks.call import Call
from mailer.errors import UntrustedRequestError


@dataclass(frozen=True)
class Door:
    """What we know about an endpoint: its address as the provider has it, and the secrets shared with the provider.

    `certificate` returns the certificate (PEM) at an address of the provider's; only Amazon's needs it.
    """

    url: str
    now: datetime
    key: str = ""
    username: str = ""
    password: str = ""
    certificate: Callable[[str], bytes] | None = None


def distrust(why: str) -> UntrustedRequestError:
    """Return the error of a call that does not prove itself."""
    return UntrustedRequestError(why, mend="compare the key of the endpoint with that of the provider")


def verify_password(call: Call, door: Door) -> None:
    """Check HTTP Basic authentication (RFC 7617), or a bearer token that is the password (RFC 6750)."""
    scheme, _, given = call.headers.get("authorization", "").partition(" ")
    expected = f"{door.username}:{door.password}".encode()
    if scheme.lower() == "basic":
        if _same(_decode(given.strip()), expected):
            return
    elif scheme.lower() == "bearer" and _same(given.strip().encode(), door.password.encode()):
        return
    raise distrust("name and password do not fit")


def verify_hmac(given: str, key: bytes, signed: bytes, *, algorithm: str = "sha256", is_hex: bool = True) -> None:
    """Check an HMAC (RFC 2104), written in hexadecimal or base64."""
    mac = hmac.new(key, signed, getattr(hashlib, algorithm))
    expected = mac.hexdigest() if is_hex else base64.b64encode(mac.digest()).decode()
    shown = given.strip().lower() if is_hex else given.strip()
    if not key or not _same(shown.encode("utf-8", "replace"), expected.encode()):
        raise distrust("the signature does not fit")


def _same(first: bytes, second: bytes) -> bool:
    return bool(second.strip(b":")) and hmac.compare_digest(first, second)


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def decode_base64(text: str) -> bytes:
    """Return bytes in base64; UntrustedRequestError where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise distrust("the signature is not base64") from error
