"""Who made a hit: a person's display, a prefetch that proves nothing, or a machine (INTERFACES: States). Pure.

Every verdict names its reason, and may be revised: a click that looked human is a machine's once the same mail sees
three different links within ten seconds.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer.statuses import HitClass

BURST_LINKS = 3
BURST_SPAN = timedelta(seconds=10)
TOO_FAST = timedelta(seconds=5)

_SCANNERS = re.compile(
    r"bot\b|crawl|spider|scan(?!dinav)|preview|barracuda|proofpoint|mimecast|symantec|messagelabs|fireeye|trellix"
    r"|trend ?micro|sophos|forcepoint|ironport|cloudmark|zscaler|fortinet|fortiguard|mcafee|bitdefender|kaspersky"
    r"|\bavast\b|\beset\b|safelinks|existence discovery|virustotal|urlscan|safe ?browsing|google-safety"
    r"|facebookexternalhit|whatsapp|skypeuri|slack-?img|python-|python/|urllib|aiohttp|httpx|curl/|wget/"
    r"|go-http-client|libwww|lwp::|java/|jakarta|apache-httpclient|headless|phantomjs|puppeteer|playwright"
    r"|node-fetch|axios/|undici|guzzle|okhttp/0|check_http|monitor|validator|linkcheck",
    re.IGNORECASE,
)
_DISPLAY_PROXIES = re.compile(r"googleimageproxy|ggpht\.com|yahoomailproxy", re.IGNORECASE)
# Gmail's prefetch agent claims to be this one browser, and Apple's mail privacy no browser at all.
_GMAIL_PREFETCH = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
_APPLE_PRIVACY = "Mozilla/5.0"


@dataclass(frozen=True, slots=True)
class Hit:
    """One request. `sent_at` is when the mail was handed over (the gate, where no reply is known); None: never."""

    at: datetime
    is_open: bool
    method: str
    link: int
    user_agent: str
    sent_at: datetime | None
    is_prefetch: bool = False


@dataclass(frozen=True, slots=True)
class HitVerdict:
    """The class and a word of docs/reference/vocabulary.md for the reason; empty for a plain human hit."""

    hit_class: HitClass
    reason: str = ""


def judge_hit(hit: Hit) -> HitVerdict:
    """Return the verdict of one hit by itself; `find_burst` looks at several."""
    agent = hit.user_agent.strip()
    if hit.method == "HEAD":
        return HitVerdict(HitClass.MACHINE, "head")
    if hit.sent_at is None:
        return HitVerdict(HitClass.MACHINE, "not_sent")
    if hit.at - hit.sent_at < TOO_FAST:
        return HitVerdict(HitClass.MACHINE, "too_fast")
    if not agent or _SCANNERS.search(agent):
        return HitVerdict(HitClass.MACHINE, "scanner")
    return _judge_open(hit, agent) if hit.is_open else _judge_click(hit, agent)


def _judge_open(hit: Hit, agent: str) -> HitVerdict:
    if _DISPLAY_PROXIES.search(agent):
        return HitVerdict(HitClass.HUMAN, "via_proxy")
    if agent == _APPLE_PRIVACY:
        return HitVerdict(HitClass.PROXY, "apple_privacy")
    if _GMAIL_PREFETCH in agent:
        return HitVerdict(HitClass.PROXY, "gmail_prefetch")
    if hit.is_prefetch:
        return HitVerdict(HitClass.PROXY, "prefetch")
    return HitVerdict(HitClass.HUMAN)


def _judge_click(hit: Hit, agent: str) -> HitVerdict:
    """Image proxies and prefetches follow no link for a person."""
    if agent == _APPLE_PRIVACY or _GMAIL_PREFETCH in agent or _DISPLAY_PROXIES.search(agent) or hit.is_prefetch:
        return HitVerdict(HitClass.MACHINE, "prefetch")
    return HitVerdict(HitClass.HUMAN)


def find_burst(clicks: Sequence[tuple[datetime, int]]) -> set[int]:
    """Return the indexes of clicks of one mail that belong to a burst: three or more links within ten seconds.

    `clicks` are (at, link) in any order; the result holds every click of every window that is a burst.
    """
    order = sorted(range(len(clicks)), key=lambda index: clicks[index][0])
    burst: set[int] = set()
    inside: Counter[int] = Counter()  # links of the window that ends at the click looked at
    first = marked = 0
    for last, index in enumerate(order):
        at, link = clicks[index]
        inside[link] += 1
        while at - clicks[order[first]][0] > BURST_SPAN:
            gone = clicks[order[first]][1]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        if len(inside) >= BURST_LINKS:
            burst.update(order[max(first, marked) : last + 1])
            marked = last + 1
    return burst
