"""The signer of a sender's mails: the active keys of its sending domain, unsealed."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.delivery.dkim import Signer, load_key
from mailer.delivery.domain_queries import find_signing_domain
from mailer.schema.transports import DkimKey
from mailer.sealing import unseal
from mailer.tokens import Keys


def load_signer(session: Session, keys: Keys, from_email: str) -> Signer | None:
    """Return what signs mails from an address, RSA first; None where no key of its domain is in use.

    Raises:
        SetupError: the keys were sealed with another key file.
    """
    row = find_signing_domain(session, from_email)
    if row is None:
        return None
    active = session.scalars(
        select(DkimKey)
        .where(DkimKey.domain_id == row.id, DkimKey.is_active)
        .order_by(DkimKey.algorithm.desc(), DkimKey.id)
    )
    context = seal_context(row.domain)
    loaded = tuple(load_key(key.selector, unseal(keys, context, key.private_key)) for key in active)
    return Signer(row.domain, loaded) if loaded else None


def seal_context(domain: str) -> str:
    """Return what a private key of `domain` is sealed for."""
    return f"dkim {domain}"
