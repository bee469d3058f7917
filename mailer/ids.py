"""Public ids: what may stand in a URL of the UI. Contacts are named by signed tokens instead (tokens.py)."""

import secrets
import uuid


def new_public_id() -> uuid.UUID:
    """Return a random UUID (RFC 9562, version 4)."""
    return uuid.uuid4()


def new_ledger_id() -> int:
    """Return a random 62-bit number that names a person in the consent ledger and nowhere else."""
    return secrets.randbits(62)
