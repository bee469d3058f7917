"""Readers and scanners as requests, and what the rules make of them; docs/reference/human-or-machine.md shows it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailer.tracking.evidence import find_network
from mailer.tracking.machines import Hit, judge_mail

SENT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.5000)"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
OPEN = -1
HOME = "192.0.2.10"


@dataclass(frozen=True)
class Ask:
    """A request `after` seconds: the pixel (`link` OPEN) or a link."""

    after: float
    link: int = OPEN
    agent: str = FIREFOX
    method: str = "GET"
    ip: str = HOME
    is_prefetch: bool = False


@dataclass(frozen=True)
class Simulated:
    """Somebody or something that reads a mail with six links, and the classes that come out."""

    name: str
    asks: tuple[Ask, ...]
    expected: frozenset[str]


def _walk(
    agent: str, *, start: float, gap: float, links: int = 6, head: bool = False, ip: str = HOME
) -> tuple[Ask, ...]:
    asks: list[Ask] = []
    for link in range(links):
        at = start + link * gap
        if head:
            asks.append(Ask(at, link, agent, "HEAD", ip))
        asks.append(Ask(at + 0.05, link, agent, "GET", ip))
    return tuple(asks)


def _is(*words: str) -> frozenset[str]:
    return frozenset(words)


SIMULATED: tuple[Simulated, ...] = (
    Simulated("a person: opens, and clicks a link a minute later", (Ask(600), Ask(660, 2)), _is("human")),
    Simulated(
        "a person on a phone, quick: eight seconds after hand-over",
        (Ask(8, agent=IPHONE), Ask(12, 0, IPHONE)),
        _is("human"),
    ),
    Simulated("a person in Outlook who clicks in Chrome", (Ask(900, agent=OUTLOOK), Ask(930, 1, CHROME)), _is("human")),
    Simulated("a person in Gmail who clicks in Chrome", (Ask(300, agent=GMAIL), Ask(320, 0, CHROME)), _is("human")),
    Simulated("a person in Yahoo mail", (Ask(300, agent=YAHOO),), _is("human")),
    Simulated("a person who compares two links", (Ask(300), Ask(310, 1), Ask(313, 3)), _is("human")),
    Simulated(
        "a person who takes every link in half an hour, up and down",
        tuple(Ask(600 + 300 * n, link) for n, link in enumerate((2, 0, 5, 1, 3, 4))),
        _is("human"),
    ),
    Simulated(
        "a person who presses the button of a link that asks first",
        (Ask(600, 1), Ask(604, 1, method="POST")),
        _is("human"),
    ),
    Simulated(
        "a person who presses a button while a scanner runs",
        (*_walk(CHROME, start=600, gap=0.5, ip="209.222.80.4"), Ask(602, 1, method="POST")),
        _is("human", "machine"),
    ),
    Simulated("Apple's mail privacy, with nobody looking", (Ask(40, agent="Mozilla/5.0"),), _is("proxy")),
    Simulated(
        "Apple's mail privacy, and later a click in Safari",
        (Ask(40, agent="Mozilla/5.0"), Ask(4000, 1, IPHONE)),
        _is("proxy", "human"),
    ),
    Simulated("Gmail's prefetch agent", (Ask(20, agent=PREFETCH),), _is("proxy")),
    Simulated("a browser that prefetches (Sec-Purpose)", (Ask(60, is_prefetch=True),), _is("proxy")),
    Simulated(
        "a scanner that names itself",
        (Ask(60, agent="Barracuda Sentinel (EE)"), Ask(61, 0, "Barracuda Sentinel (EE)")),
        _is("machine"),
    ),
    Simulated("a scanner within five seconds, as a browser", (Ask(2, agent=CHROME), Ask(3, 0, CHROME)), _is("machine")),
    Simulated("a scanner that takes all links at once, as a browser", _walk(CHROME, start=90, gap=0.2), _is("machine")),
    Simulated(
        "a scanner that asks by HEAD and GET, one link only",
        (Ask(90, 0, CHROME, "HEAD"), Ask(91, 0, CHROME)),
        _is("machine"),
    ),
    Simulated(
        "a scanner that asks by HEAD and GET from two addresses under two names",
        (Ask(90, 0, CHROME, "HEAD"), Ask(92, 0, FIREFOX, ip="192.0.2.77")),
        _is("machine"),
    ),
    Simulated(
        "a slow scanner, down the mail, a link every twelve seconds", _walk(CHROME, start=90, gap=12), _is("machine")
    ),
    Simulated(
        "a scanner from an address of its maker, as a browser", (Ask(90, 0, CHROME, ip="209.222.80.4"),), _is("machine")
    ),
    Simulated("a mail filter at Microsoft, as a browser", (Ask(45, agent=CHROME, ip="40.107.1.2"),), _is("machine")),
    Simulated("a library without a name of its own", (Ask(90, 0, "python-requests/2.32"),), _is("machine")),
    Simulated("a program that says nothing of itself", (Ask(90, agent=""),), _is("machine")),
    Simulated("an image proxy that follows a link", (Ask(90, 0, GMAIL),), _is("machine")),
    Simulated(
        "a slow scanner that takes one link at random, as a browser at home", (Ask(120, 3, CHROME),), _is("human")
    ),
)
"""The last one cannot be told from a person by what it asks: so the confirm page and the quarantine."""


def judge(who: Simulated) -> list[tuple[Ask, str, str]]:
    """Return each request with its class and reasons; HEADs, which become nothing, too."""
    hits = [
        Hit(
            at=SENT + timedelta(seconds=ask.after),
            is_open=ask.link == OPEN,
            method=ask.method,
            link=max(ask.link, 0),
            user_agent=ask.agent,
            sent_at=SENT,
            is_prefetch=ask.is_prefetch,
            network=find_network(ask.ip),
        )
        for ask in who.asks
    ]
    return [
        (ask, verdict.hit_class.value, verdict.reasons) for ask, verdict in zip(who.asks, judge_mail(hits), strict=True)
    ]
