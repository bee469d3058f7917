"""Public ids: what may stand in a URL of the UI. Contacts are named by signed tokens instead (tokens.py)."""

import secrets
import uuid
from time import time_ns

_VARIANT = "89ab" * 4
_BLOCK = 0xFFFFFF


def new_public_id() -> uuid.UUID:
    """Return a random UUID (RFC 9562, version 4)."""
    return uuid.uuid4()


def new_ledger_id() -> int:
    """Return a random 62-bit number that names a person in the consent ledger and nowhere else."""
    return secrets.randbits(62)


def new_public_ids(count: int) -> list[str]:
    """Return random UUIDs as hex for many rows (RFC 9562, version 7): neighbors in an index, so quick to add."""
    head = f"{time_ns() // 1_000_000:012x}7"
    noise = secrets.token_hex(10 * count)
    return [
        f"{head}{noise[at : at + 3]}{_VARIANT[int(noise[at + 3], 16)]}{noise[at + 4 : at + 19]}"
        for at in range(0, 20 * count, 20)
    ]


def new_ledger_ids(count: int) -> list[int]:
    """Return random numbers for many people at once: a secret block, walked through in steps of a secret width.

    So an index takes them as near neighbors, and their order is not that of the people.
    """
    block, step, start = secrets.randbits(62) & ~_BLOCK, secrets.randbits(24) | 1, secrets.randbits(24)
    return [block + ((number * step + start) & _BLOCK) for number in range(count)]
