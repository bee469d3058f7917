"""When background work was last done: a key in Redis that each tick renews, so that dead workers can be told."""

from datetime import datetime

import redis
from redis.exceptions import RedisError

from mailer.clock import utc_now

_KEY = "mailer:beat:work"
SILENT_SECONDS = 60.0
_KEPT_SECONDS = 7 * 86_400


def beat(client: "redis.Redis") -> None:
    """Say that background work is being done. Never raises: who cannot say so has worse troubles."""
    try:
        client.set(_KEY, utc_now().isoformat(), ex=_KEPT_SECONDS)
    except (RedisError, OSError):
        return


def last_beat(client: "redis.Redis") -> datetime | None:
    """Return when background work was last done; None where nobody knows or Redis is away."""
    try:
        said = client.get(_KEY)
    except (RedisError, OSError):
        return None
    text = said.decode() if isinstance(said, bytes) else said
    return datetime.fromisoformat(str(text)) if text else None
