"""One request to the tracking endpoint as bytes and back. Pure.

A record is framed as length, CRC-32 and payload, so that a reader knows a torn tail from a whole record.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mailer.tracking.lanes import EVERY, Lane

MAX_AGENT = 500
MAX_IP = 45
_FRAME = struct.Struct(">HI")
_HEAD = struct.Struct(">dBBBQHB")
FRAME_BYTES = _FRAME.size
MAX_RECORD_BYTES = FRAME_BYTES + _HEAD.size + MAX_IP + MAX_AGENT
GET, HEAD, POST = 1, 2, 3
METHOD_NAMES = {GET: "GET", HEAD: "HEAD", POST: "POST"}
PREFETCH = 1  # the request said that nobody is looking (Sec-Purpose)


class DamagedRecordError(Exception):
    """A whole record whose check sum is wrong: not a torn tail, but damage."""


class RawHit(NamedTuple):
    """What a request said. `at` is seconds since 1970; `kind` as in tokens.py; `flags` may hold PREFETCH."""

    at: float
    kind: int
    method: int
    message_id: int
    link: int
    flags: int
    ip: str
    user_agent: str


def pack_hit(hit: RawHit) -> bytes:
    """Return the framed record; overlong text is cut."""
    ip = hit.ip.encode("utf-8", "replace")[:MAX_IP]
    agent = hit.user_agent.encode("utf-8", "replace")[:MAX_AGENT]
    head = _HEAD.pack(hit.at, hit.kind, hit.method, hit.flags, hit.message_id, hit.link, len(ip))
    payload = head + ip + agent
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def iter_hits(data: bytes, lane: Lane = EVERY) -> Iterator[tuple[RawHit, int]]:
    """Yield (hit, offset of its end) for each whole record of a lane; stop at a torn tail.

    Raises:
        DamagedRecordError: a record is whole and its check sum is wrong.
    """
    for hit, end in iter_records(data, lane):
        if hit is not None:
            yield hit, end


def iter_records(data: bytes, lane: Lane = EVERY) -> Iterator[tuple[RawHit | None, int]]:
    """Yield (hit, offset of its end) for each whole record, None for hits of another lane; stop at a torn tail.

    Raises:
        DamagedRecordError: a record is whole and its check sum is wrong. Those of other lanes are theirs to check.
    """
    number, parts = lane
    offset, length = 0, len(data)
    while (start := offset + FRAME_BYTES) <= length:
        size, crc = _FRAME.unpack_from(data, offset)
        offset = start + size
        if offset > length or (size == 0 and crc == 0):
            return  # torn, or the zeros that a power cut leaves at the end of a file
        if size < _HEAD.size:
            raise DamagedRecordError(f"at byte {start - FRAME_BYTES}")
        at, kind, method, flags, message_id, link, ip_size = _HEAD.unpack_from(data, start)
        if message_id % parts != number:
            yield None, offset
            continue
        if zlib.crc32(data[start:offset]) != crc:
            raise DamagedRecordError(f"at byte {start - FRAME_BYTES}")
        agent = start + _HEAD.size + ip_size
        ip, user_agent = _text(data[start + _HEAD.size : agent]), _text(data[agent:offset])
        yield RawHit(at, kind, method, message_id, link, flags, ip, user_agent), offset


@lru_cache(8_192)
def _text(raw: bytes) -> str:
    """Return text, the same object for what many requests have in common."""
    return raw.decode("utf-8", "replace")
