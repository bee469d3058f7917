"""Who made a hit: a person's display, a prefetch that proves nothing, or a machine (INTERFACES: States). Pure.

One set of rules, numbered: `judge_hit` looks at one request, `judge_mail` at all requests of one mail, since a click
that looked human is a machine's once the same mail sees three links within ten seconds. Every verdict names its
reasons, and is revised when later hits, or later rules, say otherwise (docs/reference/human-or-machine.md).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from mailer.statuses import HitClass
from mailer.tracking.evidence import FILTERS

RULES_VERSION = 2
"""Raise it with every change of what follows: stored verdicts are then computed anew."""

BURST_LINKS = 3
BURST_SPAN = timedelta(seconds=10)
ORDER_LINKS = 4
ORDER_GAP = timedelta(seconds=30)
TOO_FAST = timedelta(seconds=5)
HEAD_SPAN = timedelta(seconds=10)

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
_REMEMBERED = 4_096


class Hit(NamedTuple):
    """One request. `sent_at` is when the mail was handed over (the gate, where no reply is known); None: never.

    `network` is a name of evidence.py; `is_open`: the pixel, else a link; `method` GET, HEAD or POST; `stands`: the
    verdict of a hit whose evidence is gone, because its person was erased.
    """

    at: datetime
    is_open: bool
    method: str
    link: int
    user_agent: str
    sent_at: datetime | None
    is_prefetch: bool = False
    network: str = ""
    stands: "HitVerdict | None" = None


@dataclass(frozen=True, slots=True)
class HitVerdict:
    """The class and the reasons for it, words of RULES parted by spaces, the weightiest first; none: plainly human."""

    hit_class: HitClass
    reasons: str = ""

    @property
    def reason(self) -> str:
        """The weightiest reason."""
        return self.reasons.partition(" ")[0]


class Seen(NamedTuple):
    """What rules about one request look at; when it came is down to two words, so that an answer can be kept."""

    agent: str
    is_open: bool
    method: str
    is_prefetch: bool
    network: str
    is_sent: bool
    is_quick: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes a hit of a class. `of` is "open", "click" (links) or "both"; `holds` is None for rules over a mail."""

    word: str
    hit_class: HitClass
    of: str
    says: str
    holds: Callable[[Seen, str], bool] | None = None


@lru_cache(_REMEMBERED)
def _names_scanner(agent: str) -> bool:
    return not agent or bool(_SCANNERS.search(agent))


@lru_cache(_REMEMBERED)
def _names_proxy(agent: str) -> bool:
    return bool(_DISPLAY_PROXIES.search(agent))


def _is_fetched_ahead(hit: Seen, agent: str) -> bool:
    """Image proxies and prefetches follow no link for a person."""
    return hit.is_prefetch or agent == _APPLE_PRIVACY or _GMAIL_PREFETCH in agent or _names_proxy(agent)


MACHINE, PROXY, HUMAN = HitClass.MACHINE, HitClass.PROXY, HitClass.HUMAN
RULES: tuple[Rule, ...] = (
    Rule("head", MACHINE, "both", "asked by HEAD: no mail program or browser of a person does",
         lambda hit, _: hit.method == "HEAD"),
    Rule("not_sent", MACHINE, "both", "asked for before the mail was handed over", lambda hit, _: not hit.is_sent),
    Rule("too_fast", MACHINE, "both", f"less than {TOO_FAST.seconds} seconds after hand-over",
         lambda hit, _: hit.is_quick),
    Rule("scanner", MACHINE, "both", "the user agent names a scanner, robot, library or monitor, or is empty",
         lambda _, agent: _names_scanner(agent)),
    Rule("filter_network", MACHINE, "both", "from an address of a service that filters mail: nobody reads there",
         lambda hit, _: hit.network in FILTERS),
    Rule("many_links", MACHINE, "click",
         f"one of {BURST_LINKS} or more different links of the mail within {BURST_SPAN.seconds} seconds; presses of"
         " buttons are counted apart"),
    Rule("head_first", MACHINE, "both",
         f"a HEAD for the same thing came up to {HEAD_SPAN.seconds} seconds before; presses of a button stand"),
    Rule("in_order", MACHINE, "click",
         f"one of {ORDER_LINKS} or more links asked for in the order of the mail, never {ORDER_GAP.seconds} seconds"
         " apart"),
    Rule("prefetch", MACHINE, "click", "a link asked for by an image proxy or a prefetch", _is_fetched_ahead),
    Rule("apple_privacy", PROXY, "open", "Apple's mail privacy loads every picture, seen or not",
         lambda _, agent: agent == _APPLE_PRIVACY),
    Rule("gmail_prefetch", PROXY, "open", "Gmail's prefetch agent", lambda _, agent: _GMAIL_PREFETCH in agent),
    Rule("prefetch", PROXY, "open", "the request says that nobody looks (Sec-Purpose)",
         lambda hit, _: hit.is_prefetch),
    Rule("via_proxy", HUMAN, "open", "through Gmail's or Yahoo's proxy, which fetches on display: a person, no device",
         lambda _, agent: _names_proxy(agent)),
)  # fmt: skip
"""In order of weight: the first that holds decides the class; others of that class that hold are reasons, too."""
_SINGLE = {
    is_open: [
        (rule.word, rule.hit_class, rule.holds)
        for rule in RULES
        if rule.holds is not None and rule.of in ("both", "open" if is_open else "click")
    ]
    for is_open in (True, False)
}
_GROUP_WORDS = [rule.word for rule in RULES if rule.holds is None]
_WEIGHT = {rule.word: number for number, rule in enumerate(RULES) if rule.hit_class is MACHINE}
_PLAIN = HitVerdict(HUMAN)


def judge_hit(hit: Hit) -> HitVerdict:
    """Return the verdict of one hit by itself; `judge_mail` looks at several."""
    if hit.stands is not None:
        return hit.stands
    sent_at = hit.sent_at
    is_quick = sent_at is not None and hit.at - sent_at < TOO_FAST
    seen = Seen(hit.user_agent, hit.is_open, hit.method, hit.is_prefetch, hit.network, sent_at is not None, is_quick)
    return _judge(seen)


@lru_cache(_REMEMBERED)
def _judge(seen: Seen) -> HitVerdict:
    agent = seen.agent.strip()
    found: list[str] = []
    decided: HitClass | None = None
    for word, hit_class, holds in _SINGLE[seen.is_open]:
        if (decided is None or hit_class is decided) and holds(seen, agent):
            decided = hit_class
            found.append(word)
    return HitVerdict(decided, " ".join(found)) if decided else _PLAIN


def judge_mail(hits: Sequence[Hit]) -> list[HitVerdict]:
    """Return the verdicts of all hits of one mail, in the order given; their order does not matter."""
    if len(hits) == 1:
        return [judge_hit(hits[0])]
    together: dict[int, list[str]] = defaultdict(list)
    for word, indexes in zip(_GROUP_WORDS, (_find_bursts(hits), _find_after_head(hits), find_order(hits)), strict=True):
        for index in indexes:
            together[index].append(word)
    return [_with_reasons(judge_hit(hit), together.get(index, [])) for index, hit in enumerate(hits)]


def _with_reasons(verdict: HitVerdict, words: list[str]) -> HitVerdict:
    if not words:
        return verdict
    own = verdict.reasons.split() if verdict.hit_class is MACHINE else []
    return HitVerdict(MACHINE, " ".join(sorted({*own, *words}, key=_WEIGHT.__getitem__)))


def _find_bursts(hits: Sequence[Hit]) -> set[int]:
    found: set[int] = set()
    for is_press in (True, False):
        mine = [index for index, hit in enumerate(hits) if not hit.is_open and (hit.method == "POST") is is_press]
        if len(mine) >= BURST_LINKS:
            found |= {mine[place] for place in find_burst([(hits[index].at, hits[index].link) for index in mine])}
    return found


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


def _find_after_head(hits: Sequence[Hit]) -> Iterator[int]:
    """Yield GETs for something that a HEAD asked about just before."""
    heads: dict[tuple[bool, int], list[datetime]] = defaultdict(list)
    for hit in hits:
        if hit.method == "HEAD":
            heads[hit.is_open, hit.link].append(hit.at)
    if not heads:
        return
    for index, hit in enumerate(hits):
        asked = heads.get((hit.is_open, hit.link), ()) if hit.method == "GET" else ()
        if any(timedelta() <= hit.at - at <= HEAD_SPAN for at in asked):
            yield index


def find_order(hits: Sequence[Hit]) -> set[int]:
    """Return the indexes of GETs that walk down the links of a mail: each link the next one below, without a pause."""
    order = sorted(
        (index for index, hit in enumerate(hits) if not hit.is_open and hit.method == "GET"),
        key=lambda index: (hits[index].at, hits[index].link),
    )
    found: set[int] = set()
    walk: list[int] = []
    for index in order:
        hit = hits[index]
        if walk and (hit.at - hits[walk[-1]].at > ORDER_GAP or hit.link != hits[walk[-1]].link + 1):
            walk = []
        walk.append(index)
        if len(walk) >= ORDER_LINKS:
            found.update(walk)
    return found
