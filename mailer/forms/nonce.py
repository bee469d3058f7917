"""The signed word in a form's page: which form, when it was shown, and a serial number that counts once. Pure.

It shows that somebody was given the page and took the time to read it. No cookie and no session is needed.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer.tokens import Keys

MIN_FILL = timedelta(seconds=2)
"""Nobody reads a form, types an address and ticks a box in less."""
MAX_AGE = timedelta(hours=12)
_BODY = struct.Struct(">6s5s8s")
_MAC = 16


@dataclass(frozen=True)
class Nonce:
    """What a nonce says; `serial` is counted once. `issued_at` is exact to a tenth of a second."""

    form_id: int
    issued_at: datetime
    serial: bytes


def make_nonce(keys: Keys, form_id: int, issued_at: datetime) -> str:
    """Return 47 base64url characters for a page of a form that is shown from `issued_at` on."""
    tenths = int(issued_at.timestamp() * 10)
    body = _BODY.pack(form_id.to_bytes(6), tenths.to_bytes(5), secrets.token_bytes(8))
    return base64.urlsafe_b64encode(body + _mac(keys, body)).rstrip(b"=").decode()


def read_nonce(keys: Keys, text: str, form_id: int, *, now: datetime) -> Nonce | None:
    """Return what a nonce says; None where it is not ours, of another form, or from the future."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    if len(raw) != _BODY.size + _MAC or not hmac.compare_digest(mac, _mac(keys, body)):
        return None
    form, tenths, serial = _BODY.unpack(body)
    issued_at = datetime.fromtimestamp(int.from_bytes(tenths) / 10, now.tzinfo)
    if int.from_bytes(form) != form_id or issued_at > now + timedelta(minutes=1):
        return None
    return Nonce(form_id, issued_at, serial)


def _mac(keys: Keys, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=keys.session[:64], digest_size=_MAC, person=b"form-nonce").digest()
