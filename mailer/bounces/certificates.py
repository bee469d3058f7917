"""Certificates with which Amazon SNS signs: fetched from Amazon's hosts only, and kept for this process."""

from urllib.parse import urlsplit

from mailer.bounces.webhooks.ses import is_amazons
from mailer.errors import UntrustedRequestError
from mailer.outbound import OutboundRefusedError, fetch

_MAX_KEPT = 32
_OK = 200
_kept: dict[str, bytes] = {}


def fetch_certificate(url: str) -> bytes:
    """Return the certificate at `url`, in PEM.

    Raises:
        UntrustedRequestError: it is none of Amazon's addresses of certificates.
        OutboundFailedError: it could not be fetched now.
    """
    if url in _kept:
        return _kept[url]
    if not urlsplit(url).path.endswith(".pem"):
        raise UntrustedRequestError("that is no address of a certificate")
    keep_certificate(url, fetch_amazon(url))
    return _kept[url]


def keep_certificate(url: str, pem: bytes) -> None:
    """Remember a certificate; a handful is all there is."""
    if len(_kept) >= _MAX_KEPT:
        _kept.clear()
    _kept[url] = pem


def fetch_amazon(url: str) -> bytes:
    """Return what an address of SNS answers; raises as `fetch_certificate` does."""
    try:
        page = fetch(url, allowed_hosts=is_amazons)
    except OutboundRefusedError as error:
        raise UntrustedRequestError(error.message) from error
    if page.status != _OK:
        raise UntrustedRequestError(f"Amazon answered {page.status}")
    return page.body
