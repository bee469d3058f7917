"""Token buckets shared by all workers: Redis, one Lua script. Without Redis: one mail a second a worker.

A bucket that Redis does not know holds one token, not a burst, so that a flush or restart lets nothing through twice; a
day's budget that it does not know gives nothing until it is told what was used up already. Where several sendings wait
for the same bucket they are served in the order in which they came, so that a giant and a small one take turns.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from mailer.log import get_logger

log = get_logger("throttle")

SLOWEST = 0.2
"""Mails a second that back-off never goes below."""
DEBOUNCE_SECONDS = 10
"""Replies to mails sent before a halving say nothing new."""
_PREFIX, _QUEUE = "mailer:rate:", "mailer:turn:"
_UNSEEDED_WAIT = 2.0

# A bucket's row: `level` tokens at the time `at`; `flow` mails a second lately; while it is slowed down, `cap` mails a
# second since `cap_at`, growing by 10 % a minute up to `top`.
_COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function read(key, rate)
  local row = redis.call('HMGET', key, 'level', 'at', 'cap', 'cap_at', 'top', 'flow')
  local one = {rate = rate, capped = false, top = tonumber(row[5])}
  local elapsed = math.max(0, now - (tonumber(row[2]) or now))
  one.flow = (tonumber(row[6]) or 0) * math.exp(-elapsed / 10)
  if row[3] then
    local grown = tonumber(row[3]) * 1.1 ^ ((now - tonumber(row[4])) / 60)
    if grown < one.top and (rate == 0 or grown < rate) then one.rate, one.capped = grown, true end
    one.cap_at = tonumber(row[4])
  end
  if one.rate == 0 then
    one.level = 1e9
  else
    local burst = math.max(1, one.rate)
    one.level = math.min(burst, (tonumber(row[1]) or 1) + elapsed * one.rate)
  end
  return one
end
"""

_TAKE = (
    _COMMON
    + """
local wanted, asker = tonumber(ARGV[1]), ARGV[2]
local granted, wait, scarce, seen = wanted, 0, 0, {}
for i = 1, #KEYS / 2 do
  local key, queue, kind = KEYS[2 * i - 1], KEYS[2 * i], ARGV[3 * i]
  local limit, pause = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local one
  if kind == 'budget' then
    local spent = tonumber(redis.call('GET', key) or false)
    one = {level = spent and limit - spent or 0, pause = spent and pause or UNSEEDED}
    one.ahead = 0
  else
    one = read(key, limit)
    one.ahead = 0
    if asker ~= '' and one.rate > 0 then
      local mine, waiting = nil, redis.call('HGETALL', queue)
      for n = 1, #waiting, 2 do
        if waiting[n] == asker then mine = tonumber(string.match(waiting[n + 1], '^[^:]+')) end
      end
      for n = 1, #waiting, 2 do
        local came, lasts = string.match(waiting[n + 1], '^([^:]+):(.+)$')
        if tonumber(lasts) < now then
          redis.call('HDEL', queue, waiting[n])
        elseif waiting[n] ~= asker and tonumber(came) < (mine or now) then
          one.ahead = one.ahead + 1
        end
      end
      one.came = mine or now
    end
  end
  seen[i] = one
  local free = math.floor(one.level - one.ahead)
  if free < granted then granted, scarce = math.max(0, free), i end
  if free < 1 then
    wait = math.max(wait, one.pause or (1 + one.ahead - one.level) / one.rate)
  end
end
for i = 1, #KEYS / 2 do
  local key, queue, kind, one = KEYS[2 * i - 1], KEYS[2 * i], ARGV[3 * i], seen[i]
  if kind == 'budget' then
    if granted > 0 then redis.call('INCRBY', key, granted) end
  else
    redis.call('HSET', key, 'level', tostring(one.level - granted), 'at', string.format('%.6f', now),
      'flow', tostring(one.flow + granted / 10))
    if not one.capped and one.top then redis.call('HDEL', key, 'cap', 'cap_at', 'top') end
    redis.call('EXPIRE', key, one.capped and 14400 or 3600)
    if one.came then
      if math.floor(one.level - one.ahead) < 1 then
        redis.call('HSET', queue, asker, string.format('%.6f:%.6f', one.came, now + wait + 5))
        redis.call('EXPIRE', queue, 60)
      else
        redis.call('HDEL', queue, asker)
      end
    end
  end
end
return {granted, tostring(wait), scarce}
"""
).replace("UNSEEDED", str(_UNSEEDED_WAIT))

_BACK_OFF = (
    _COMMON
    + """
local rate, slowest, debounce = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local one = read(KEYS[1], rate)
if one.capped and now - one.cap_at < debounce then return tostring(one.rate) end
local from = one.rate
if from == 0 then from = math.max(one.flow, 2 * slowest) end
local cap = math.max(slowest, from / 2)
local top = one.capped and one.top or math.max(from, cap)
redis.call('HSET', KEYS[1], 'cap', tostring(cap), 'cap_at', string.format('%.6f', now), 'top', tostring(top),
  'level', tostring(math.min(one.level, 1)), 'at', string.format('%.6f', now), 'flow', tostring(one.flow))
redis.call('EXPIRE', KEYS[1], 14400)
return tostring(cap)
"""
)

_GIVE_BACK = """
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    if ARGV[i + 1] == 'budget' then
      redis.call('DECRBY', KEYS[i], ARGV[1])
    else
      redis.call('HINCRBYFLOAT', KEYS[i], 'level', ARGV[1])
    end
  end
end
"""

_LOOK = (
    _COMMON
    + """
local found = {}
for i = 1, #KEYS do
  if ARGV[2 * i - 1] == 'budget' then
    local spent = redis.call('GET', KEYS[i])
    found[i] = {spent and tostring(tonumber(ARGV[2 * i]) - tonumber(spent)) or '0', '0', spent and 0 or 1}
  else
    local one = read(KEYS[i], tonumber(ARGV[2 * i]))
    found[i] = {tostring(one.level), tostring(one.rate), one.capped and 1 or 0}
  end
end
return found
"""
)


@dataclass(frozen=True)
class Bucket:
    """A limit: `name` is what it counts (`sending:7`, `relay:settings`), `rate` is in mails a second.

    `rate` None: as many as are wanted, as long as nothing slowed it down (`Throttle.back_off`).
    """

    name: str
    rate: float | None


@dataclass(frozen=True)
class Budget:
    """A number of mails for a day: at most `limit` under `name`, which says the day; the next one in `renews_in` s."""

    name: str
    limit: int
    renews_in: float


Limit = Bucket | Budget


@dataclass(frozen=True)
class Grant:
    """How many mails may go now; where none may, how long to wait, and the name of the limit that allowed least."""

    count: int
    wait_seconds: float
    scarce: str = ""


@dataclass(frozen=True)
class Level:
    """What a limit holds now: tokens, its present rate (None: no limit), whether it is slowed down."""

    name: str
    tokens: float
    rate: float | None
    is_slowed: bool


class Throttle:
    """Takes tokens from every bucket at once, or from none."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        self._take = client.register_script(_TAKE)
        self._back_off = client.register_script(_BACK_OFF)
        self._look = client.register_script(_LOOK)
        self._return = client.register_script(_GIVE_BACK)
        self._last_alone = self._last_told = float("-inf")
        self._slowed_at: dict[str, float] = {}

    def take(self, limits: Sequence[Limit], wanted: int, asker: str = "") -> Grant:
        """Take up to `wanted` tokens, as many as the scarcest limit has; without limits all of them, unasked.

        `asker` names the sending: those that wait for the same bucket are served in turn.
        """
        if not limits:
            return Grant(wanted, 0.0)
        keys = [key for limit in limits for key in (_PREFIX + limit.name, _QUEUE + limit.name)]
        try:
            count, wait, scarce = self._take(
                keys=keys, args=[wanted, asker, *(arg for one in limits for arg in _args(one))]
            )
        except (RedisError, OSError) as error:
            self._tell(error)
            return self._alone()
        return Grant(int(count), float(wait), limits[int(scarce) - 1].name if scarce else "")

    def give_back(self, limits: Sequence[Limit], count: int) -> None:
        """Return tokens that were taken and not used; never more than a burst is kept."""
        if not limits or count <= 0:
            return
        try:
            self._return(
                keys=[_PREFIX + limit.name for limit in limits], args=[count, *(_args(one)[0] for one in limits)]
            )
        except (RedisError, OSError) as error:
            self._tell(error)

    def back_off(self, bucket: Bucket) -> None:
        """Halve the rate of a bucket after 421 or 4.7.x; it grows by 10 % a minute again. Cheap to call often."""
        now = time.monotonic()
        if now - self._slowed_at.get(bucket.name, -DEBOUNCE_SECONDS) < DEBOUNCE_SECONDS:
            return
        self._slowed_at[bucket.name] = now
        try:
            rate = self._back_off(keys=[_PREFIX + bucket.name], args=[bucket.rate or 0, SLOWEST, DEBOUNCE_SECONDS])
        except (RedisError, OSError) as error:
            self._tell(error)
        else:
            log.info("slowed_down", bucket=bucket.name, rate_per_second=round(float(rate), 2))

    def look(self, limits: Sequence[Limit]) -> list[Level]:
        """Return what each limit holds, without taking.

        Raises:
            RedisError, OSError: the shared limiter is away.
        """
        if not limits:
            return []
        args = [arg for one in limits for arg in _args(one)[:2]]
        rows = self._look(keys=[_PREFIX + limit.name for limit in limits], args=args)
        return [
            Level(limit.name, float(tokens), float(rate) or None, bool(slowed))
            for limit, (tokens, rate, slowed) in zip(limits, rows, strict=True)
        ]

    def is_seeded(self, budget: Budget) -> bool:
        """Whether the day's budget is known; RedisError or OSError where the limiter is away."""
        return bool(self._client.exists(_PREFIX + budget.name))

    def seed(self, budget: Budget, spent: int) -> None:
        """Say what was used of a day's budget already, unless somebody has said so; raises as `is_seeded`."""
        self._client.set(_PREFIX + budget.name, spent, nx=True, ex=max(60, int(budget.renews_in) + 3600))

    def _alone(self) -> Grant:
        """One mail a second while the shared limiter is away."""
        now = time.monotonic()
        if now - self._last_alone < 1:
            return Grant(0, 1 - (now - self._last_alone), "limiter")
        self._last_alone = now
        return Grant(1, 0, "limiter")

    def _tell(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._last_told > DEBOUNCE_SECONDS:
            self._last_told = now
            log.warning("limiter_away", error=type(error).__name__)


def _args(limit: Limit) -> tuple[str, float, float]:
    if isinstance(limit, Budget):
        return "budget", limit.limit, limit.renews_in
    return "rate", limit.rate or 0, 0
