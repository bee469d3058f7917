"""How often somebody may submit: by address, IP, network and mail domain, and a breaker for each form and for all.

One Lua script looks at everything and counts only what passes all of it, so two requests cannot both be the last. Each
limit is a sliding window of two buckets: the present one and what still reaches in from the one before. Keys and values
hold keyed hashes, never an address or an IP. Without Redis nothing passes (LimiterAwayError), and the page says so.
"""

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from mailer.addresses import FREEMAIL_DOMAINS, Address
from mailer.forms.nonce import MAX_AGE
from mailer.statuses import SignUpRefusal
from mailer.tokens import Keys

WINDOW_SECONDS = 600
REST_SECONDS = 900
"""How long a form rests once its breaker has tripped."""
ADDRESS_POSTS, ADDRESS_SECONDS = 3, 3600
FREEMAIL_FACTOR = 10
"""A mailbox provider has so many times the people of a company."""
ALL_FORMS_FACTOR = 5
_PREFIX = "mailer:forms:"
_REFUSED = _PREFIX + "refused"

_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1])
local used_for = redis.call('GET', KEYS[1])
if used_for then return used_for == ARGV[3] and 'replayed' or 'again' end
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('EXISTS', KEYS[3]) == 1 then return 'breaker' end
local counted = {}
for i = 4, #KEYS do
  local name, limit, span = ARGV[3 * (i - 4) + 4], tonumber(ARGV[3 * (i - 4) + 5]), tonumber(ARGV[3 * (i - 4) + 6])
  local slot = math.floor(now / span)
  local here, before = KEYS[i] .. ':' .. slot, KEYS[i] .. ':' .. (slot - 1)
  local rest = 1 - (now % span) / span
  local seen = tonumber(redis.call('GET', here) or 0) + rest * tonumber(redis.call('GET', before) or 0)
  if limit > 0 and seen + 1 > limit then
    if name == 'form' or name == 'all' then
      redis.call('SET', name == 'form' and KEYS[2] or KEYS[3], '1', 'EX', ARGV[2])
      return 'tripped'
    end
    return name
  end
  counted[#counted + 1] = {here, span}
end
for _, one in ipairs(counted) do
  redis.call('INCR', one[1])
  redis.call('EXPIRE', one[1], 2 * one[2])
end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[1])
return ''
"""


class LimiterAwayError(Exception):
    """Redis does not answer: nobody can say how often this visitor was here."""


@dataclass(frozen=True)
class Allowance:
    """How many sign-ups in ten minutes, from the workspace's limits; 0 is no limit."""

    ip: int
    network: int
    domain: int
    form: int


@dataclass(frozen=True)
class Verdict:
    """Why a submission does not count; None where it does.

    `has_tripped`: the breaker went off by this very one. `is_other`: its nonce was used for another address.
    """

    refusal: SignUpRefusal | None
    has_tripped: bool = False
    is_other: bool = False


def take_turn(
    client: "redis.Redis", keys: Keys, form_id: int, *, serial: bytes, address: Address, ip: str, allowance: Allowance
) -> Verdict:
    """Count a submission if it may pass, all or nothing; LimiterAwayError without Redis."""
    limits: Sequence[tuple[str, str, int, int]] = (
        ("form", str(form_id), allowance.form, WINDOW_SECONDS),
        ("all", "", allowance.form * ALL_FORMS_FACTOR, WINDOW_SECONDS),
        (SignUpRefusal.ADDRESS_LIMIT, address.email, ADDRESS_POSTS, ADDRESS_SECONDS),
        (SignUpRefusal.IP_LIMIT, ip, allowance.ip, WINDOW_SECONDS),
        (SignUpRefusal.NETWORK_LIMIT, network_of(ip), allowance.network, WINDOW_SECONDS),
        (SignUpRefusal.DOMAIN_LIMIT, address.domain, _domain_limit(address.domain, allowance), WINDOW_SECONDS),
    )
    names = [
        f"{_PREFIX}nonce:{serial.hex()}",
        f"{_PREFIX}tripped:{form_id}",
        f"{_PREFIX}tripped:all",
        *(f"{_PREFIX}{name}:{_digest(keys, name, value)}" for name, value, _, _ in limits),
    ]
    used_for = _digest(keys, "nonce", address.email)
    values: list[str | int] = [int(MAX_AGE.total_seconds()), REST_SECONDS, used_for]
    for name, _, limit, span in limits:
        values += (name, limit, span)
    try:
        said = client.eval(_SCRIPT, len(names), *names, *values)
    except RedisError as error:
        raise LimiterAwayError from error
    word = said.decode() if isinstance(said, bytes) else str(said)
    if word == "tripped":
        return Verdict(SignUpRefusal.BREAKER, has_tripped=True)
    if word == "again":
        return Verdict(SignUpRefusal.REPLAYED, is_other=True)
    return Verdict(SignUpRefusal(word) if word else None)


def note_refusal(client: "redis.Redis", form_id: int, reason: SignUpRefusal) -> None:
    """Count somebody who was turned away; a background job writes the counts down. Without Redis it is forgotten."""
    try:
        client.hincrby(_REFUSED, f"{form_id}:{reason}", 1)
    except RedisError:
        return


def collect_refusals(client: "redis.Redis") -> dict[tuple[int, str], int]:
    """Return what `note_refusal` counted since the last call, by form and reason; empty without Redis."""
    try:
        with client.pipeline(transaction=True) as pipe:
            pipe.hgetall(_REFUSED)
            pipe.delete(_REFUSED)
            counted: Mapping[bytes, bytes] = pipe.execute()[0]
    except RedisError:
        return {}
    found: dict[tuple[int, str], int] = {}
    for key, count in counted.items():
        form_id, _, reason = key.decode().partition(":")
        found[int(form_id), reason] = int(count)
    return found


def release_breaker(client: "redis.Redis", form_id: int) -> None:
    """Let a form that tripped take sign-ups again at once."""
    try:
        client.delete(f"{_PREFIX}tripped:{form_id}", f"{_PREFIX}tripped:all")
    except RedisError as error:
        raise LimiterAwayError from error


def network_of(ip: str) -> str:
    """Return the network of an IP, /24 or /48; the text itself where it is no IP."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))  # noqa: PLR2004


def _domain_limit(domain: str, allowance: Allowance) -> int:
    return allowance.domain * (FREEMAIL_FACTOR if domain in FREEMAIL_DOMAINS else 1)


def _digest(keys: Keys, kind: str, value: str) -> str:
    return hashlib.blake2b(f"{kind}:{value}".encode(), key=keys.session[:64], digest_size=12).hexdigest()
