"""Traces of a person in Redis or Valkey: names and values of keys, looked through one by one.

Nothing of ours puts an address there (names of keys are ids, mailbox providers and keyed hashes); this is the proof.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from mailer.context import Context
from mailer.privacy.person import Person

_PAGE = 500
_Client = Any


def clean_cache(ctx: Context, person: Person) -> tuple[int, bool]:
    """Delete keys, members and elements that hold the person; return how many, and whether the server answered.

    A private Valkey that does not run keeps nothing: it writes no file.
    """
    socket = urlsplit(ctx.settings.redis_url)
    if socket.scheme == "unix" and not Path(socket.path).exists():
        return 0, True
    try:
        return _clean(ctx.redis, person), True
    except RedisError:
        return 0, False


def _clean(client: _Client, person: Person) -> int:
    gone = 0
    for key in client.scan_iter(count=_PAGE):
        if person.is_in_bytes(key):
            gone += client.delete(key)
            continue
        handle = _KINDS.get(client.type(key))
        gone += handle(client, key, person) if handle else 0
    return gone


def _clean_string(client: _Client, key: bytes, person: Person) -> int:
    return int(client.delete(key)) if person.is_in_bytes(client.get(key) or b"") else 0


def _clean_hash(client: _Client, key: bytes, person: Person) -> int:
    found = [name for name, value in client.hgetall(key).items() if _holds(person, (name, value))]
    return int(client.hdel(key, *found)) if found else 0


def _clean_list(client: _Client, key: bytes, person: Person) -> int:
    return sum(client.lrem(key, 0, value) for value in set(client.lrange(key, 0, -1)) if _holds(person, (value,)))


def _clean_set(client: _Client, key: bytes, person: Person) -> int:
    found = [value for value in client.smembers(key) if _holds(person, (value,))]
    return int(client.srem(key, *found)) if found else 0


def _clean_sorted(client: _Client, key: bytes, person: Person) -> int:
    found = [value for value in client.zrange(key, 0, -1) if _holds(person, (value,))]
    return int(client.zrem(key, *found)) if found else 0


def _clean_stream(client: _Client, key: bytes, person: Person) -> int:
    entries = client.xrange(key)
    found = [number for number, values in entries if _holds(person, (*values.keys(), *values.values()))]
    return int(client.xdel(key, *found)) if found else 0


def _holds(person: Person, values: Iterable[bytes]) -> bool:
    return any(person.is_in_bytes(value) for value in values)


_KINDS: dict[bytes, Callable[[_Client, bytes, Person], int]] = {
    b"string": _clean_string,
    b"hash": _clean_hash,
    b"list": _clean_list,
    b"set": _clean_set,
    b"zset": _clean_sorted,
    b"stream": _clean_stream,
}
