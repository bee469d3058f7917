"""Token buckets shared by all workers: Redis, one Lua script. Without Redis: one mail a second a worker."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from mailer.log import get_logger

log = get_logger("throttle")

_PREFIX = "mailer:rate:"
_TAKE = """
local now = redis.call('TIME')
local at = tonumber(now[1]) + tonumber(now[2]) / 1000000
local wanted = tonumber(ARGV[1])
local granted, wait = wanted, 0
local levels = {}
for i, key in ipairs(KEYS) do
  local rate = tonumber(ARGV[1 + i])
  local burst = math.max(1, rate)
  local row = redis.call('HMGET', key, 'level', 'at')
  local level = tonumber(row[1]) or math.min(burst, 1)
  local elapsed = math.max(0, at - (tonumber(row[2]) or at))
  level = math.min(burst, level + elapsed * rate)
  levels[i] = level
  granted = math.min(granted, math.floor(level))
  if level < 1 then wait = math.max(wait, (1 - level) / rate) end
end
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'level', tostring(levels[i] - granted), 'at', string.format('%.6f', at))
  redis.call('EXPIRE', key, 3600)
end
return {granted, tostring(wait)}
"""


@dataclass(frozen=True)
class Bucket:
    """One limit: `name` is what it counts (`sending:7`, `relay`), `rate` is in mails a second."""

    name: str
    rate: float


@dataclass(frozen=True)
class Grant:
    """How many mails may go now, and how long to wait where none may."""

    count: int
    wait_seconds: float


class Throttle:
    """Takes tokens from every bucket at once, or from none."""

    def __init__(self, client: "redis.Redis") -> None:
        self._script = client.register_script(_TAKE)
        self._last_alone = 0.0

    def take(self, buckets: Sequence[Bucket], wanted: int) -> Grant:
        """Take up to `wanted` tokens, as many as the scarcest bucket has."""
        keys = [_PREFIX + bucket.name for bucket in buckets]
        try:
            count, wait = self._script(keys=keys, args=[wanted, *(bucket.rate for bucket in buckets)])
        except (RedisError, OSError) as error:
            log.warning("limiter_away", error=type(error).__name__)
            return self._alone()
        return Grant(int(count), float(wait))

    def _alone(self) -> Grant:
        """One mail a second while the shared limiter is away."""
        now = time.monotonic()
        if now - self._last_alone < 1:
            return Grant(0, 1 - (now - self._last_alone))
        self._last_alone = now
        return Grant(1, 0)
