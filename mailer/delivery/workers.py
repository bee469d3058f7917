"""Heart-beats of send workers: a key in Redis with a short life, so that "no worker is alive" can be said."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import redis
from redis.exceptions import RedisError

from mailer.clock import utc_now

_PREFIX = "mailer:worker:"
ALIVE_SECONDS = 20
BEAT_SECONDS = 5


@dataclass(frozen=True)
class Worker:
    """A send worker that lived a moment ago; `doing` is what it said it does."""

    name: str
    at: datetime
    doing: str


def beat(client: "redis.Redis", doing: str = "") -> None:
    """Say that this process lives; at least every 5 s. Never raises: who cannot say so has worse troubles."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    try:
        client.set(_PREFIX + name, json.dumps({"at": utc_now().isoformat(), "doing": doing}), ex=ALIVE_SECONDS)
    except (RedisError, OSError):
        return


def list_workers(client: "redis.Redis") -> list[Worker]:
    """Return the send workers that live, by name.

    Raises:
        RedisError, OSError: nobody can say.
    """
    return sorted(_iter_workers(client), key=lambda worker: worker.name)


def _iter_workers(client: "redis.Redis") -> Iterator[Worker]:
    for key in client.scan_iter(_PREFIX + "*", count=1000):
        value = client.get(key)
        if value is not None:
            said = json.loads(value)
            name = key.decode() if isinstance(key, bytes) else str(key)
            yield Worker(name.removeprefix(_PREFIX), datetime.fromisoformat(said["at"]), said["doing"])


def count_workers(client: "redis.Redis") -> int:
    """Return how many send workers live, at least 1: whoever asks is one. 1 where nobody can say."""
    try:
        return max(1, sum(1 for _ in client.scan_iter(_PREFIX + "*", count=1000)))
    except (RedisError, OSError):
        return 1
