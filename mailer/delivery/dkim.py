"""Sign mails with the keys of their domain (RFC 6376, RFC 8301, RFC 8463): relaxed/relaxed, no `l=`. Pure.

Each signed header is named once more in `h=` than it stands in the mail, so that nobody can add a second From or
Subject below a valid signature (RFC 6376, section 5.4). The Date header is signed and says when, so there is no `t=`.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

RSA, ED25519 = "rsa", "ed25519"
RSA_BITS = 2048  # RFC 8301, section 3.2: at least 1024, should be 2048; a longer one costs and fits few DNS tools
SIGNED = (
    b"From", b"Date", b"Subject", b"To", b"Message-ID", b"MIME-Version", b"Content-Type", b"Reply-To",
    b"List-Id", b"List-Unsubscribe", b"List-Unsubscribe-Post", b"Feedback-ID",
)  # fmt: skip
_CRLF = b"\r\n"
_LINE = 70
_NAMES = tuple((name, name.lower()) for name in SIGNED)


@dataclass(frozen=True)
class SigningKey:
    """A private key and the selector that its public half is published under."""

    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The word for `k=` of the DNS record."""
        return RSA if isinstance(self.private, RSAPrivateKey) else ED25519

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`: RSASSA-PKCS1-v1_5, or Ed25519 of the SHA-256 (RFC 8463, section 3)."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, PKCS1v15(), SHA256())
        return self.private.sign(hashlib.sha256(data).digest())


@dataclass(frozen=True)
class Signer:
    """Signs mails as `domain` (A-labels) with each of `keys`."""

    domain: str
    keys: tuple[SigningKey, ...]

    def sign(self, mail: bytes) -> bytes:
        """Return one DKIM-Signature header for each key, to be put in front of `mail`.

        `mail` is what will be on the wire less dot-stuffing: CRLF line ends, an empty line before the body.

        Raises:
            ValueError: it has no From, or no body.
        """
        head, separator, body = mail.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError("a mail without an empty line after its headers")
        headers = _canonical_headers(head)
        if b"from" not in headers:
            raise ValueError("a mail without From")
        digest = base64.b64encode(hashlib.sha256(canonical_body(body)).digest())
        chosen: list[bytes] = []
        names: list[bytes] = []
        for name, lowered in _NAMES:
            found = headers.get(lowered)
            if found is not None:
                chosen += reversed(found)  # the lowest of several is signed first (RFC 6376, section 5.4.2)
                names += [name] * (len(found) + 1)
        signed = _CRLF.join(chosen) + _CRLF
        listed = tuple(names)
        return b"".join(self._signature(key, listed, digest, signed) for key in self.keys)

    def _signature(self, key: SigningKey, names: tuple[bytes, ...], digest: bytes, signed: bytes) -> bytes:
        before, canonical = _frame(self.domain, key.selector, key.algorithm, names)
        made = base64.b64encode(key.sign(signed + canonical % digest))
        return before % digest + _folded(made) + _CRLF


@lru_cache(maxsize=256)
def _frame(domain: str, selector: str, algorithm: str, names: tuple[bytes, ...]) -> tuple[bytes, bytes]:
    """Return the header up to the signature, and its relaxed form; `%s` stands where the body's hash goes."""
    tags = [
        b"DKIM-Signature: v=1; a=%s-sha256; c=relaxed/relaxed;" % algorithm.encode("ascii"),
        b"d=%s; s=%s;" % (domain.encode("ascii"), selector.encode("ascii")),
        *_name_lines(names),
        b"bh=%s;",
        b"b=",
    ]
    return b"\r\n ".join(tags), b"dkim-signature:" + b" ".join(tags).partition(b": ")[2]


def _name_lines(names: Iterable[bytes]) -> list[bytes]:
    """Return the `h=` tag as lines of sensible length; white space may stand around its colons."""
    lines, line = [], b"h="
    for name in names:
        if len(line) + len(name) >= _LINE:
            lines.append(line)
            line = b""
        line += name + b":"
    return [*lines, line[:-1] + b";"]


def _folded(signature: bytes) -> bytes:
    return b"\r\n ".join([signature[at : at + _LINE] for at in range(0, len(signature), _LINE)])


def _canonical_headers(head: bytes) -> dict[bytes, list[bytes]]:
    """Return the headers in relaxed form by lower-case name, from top to bottom (RFC 6376, section 3.4.2)."""
    text = _single_spaced(head.replace(b"\r\n\t", b"\t").replace(b"\r\n ", b" "))
    found: dict[bytes, list[bytes]] = {}
    for line in text.split(_CRLF):
        name, _, value = line.partition(b":")
        key = name.rstrip(b" ").lower()
        found.setdefault(key, []).append(key + b":" + value.strip(b" "))
    return found


def canonical_body(body: bytes) -> bytes:
    """Return `body` in relaxed form (RFC 6376, section 3.4.4); what is in that form already is not copied."""
    if not body.endswith(_CRLF):
        body += _CRLF  # as SMTP will
    body = _single_spaced(body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", _CRLF)
    if body.endswith(b"\r\n\r\n") or body == _CRLF:
        body = body.rstrip(_CRLF)  # no bare CR or LF is on the wire
        return body + _CRLF if body else b""
    return body


def _single_spaced(text: bytes) -> bytes:
    """Return `text` with each run of spaces and tabs as one space; runs shrink by half with each pass."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def generate_key(algorithm: str) -> bytes:
    """Return a fresh private key as PKCS #8 DER; RSA takes about 0.1 s."""
    private: RSAPrivateKey | Ed25519PrivateKey
    if algorithm == ED25519:
        private = Ed25519PrivateKey.generate()
    else:
        private = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load_key(selector: str, der: bytes) -> SigningKey:
    """Return the key in PKCS #8 DER. ValueError where it is none of ours."""
    private = load_der_private_key(der, password=None)
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("a key of an unknown kind")  # noqa: TRY004 - bad bytes, not a wrong argument
    return SigningKey(selector, private)


def public_text(key: SigningKey) -> str:
    """Return the public half as the `p=` tag carries it: base64 of SubjectPublicKeyInfo, or of Ed25519's 32 bytes."""
    public = key.private.public_key()
    if key.algorithm == ED25519:
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(raw).decode("ascii")


def key_record(algorithm: str, public: str) -> str:
    """Return the TXT record that verifiers read (RFC 6376, section 3.6.1)."""
    return f"v=DKIM1; k={algorithm}; p={public}"


def missing_from_signature(header: bytes, wanted: Sequence[bytes] = SIGNED) -> list[bytes]:
    """Return which of `wanted` the `h=` tag of a DKIM-Signature header does not name: what a lint before sending asks.

    Mailbox providers honor one-click unsubscribing only where both of its headers are signed (RFC 8058, section 4).
    """
    match = re.search(rb";\s*h=([^;]*)", header)
    named = {name.strip().lower() for name in match[1].split(b":")} if match else set()
    return [name for name in wanted if name.lower() not in named]
