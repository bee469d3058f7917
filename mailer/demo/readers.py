"""Readers and scanners: real HTTP requests to the links found in captured mails. Nothing outside is ever asked."""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from lxml import html

from mailer.errors import SetupError

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE_PRIVACY = "Mozilla/5.0"
SCANNER = "Mozilla/5.0 (compatible; Mimecast URL Protect; scanner)"
SLOW_SCANNER = "Mozilla/5.0 (compatible; Barracuda Sentinel; link scan)"
_AT_ONCE = 8
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ReceivedMail:
    """A captured mail as its reader sees it."""

    to: str
    message_id: str
    pixel: str
    links: tuple[tuple[str, str], ...]
    one_click: str

    def link(self, text: str) -> str:
        """Return the address behind the words of a link."""
        for shown, url in self.links:
            if text in shown:
                return url
        raise SetupError(f"the mail to a reader has no link “{text}”")


def read_mail(raw: bytes, to: str) -> ReceivedMail:
    """Return the parts of a raw mail that a reader or scanner acts on."""
    parsed = message_from_bytes(raw, policy=policy.default)
    body = parsed.get_body(("html",))
    page = html.document_fromstring(body.get_content() if body else "<p></p>")
    links = [(" ".join(anchor.text_content().split()), anchor.get("href", "")) for anchor in page.iter("a")]
    pixels = [image.get("src", "") for image in page.iter("img") if "/o/" in image.get("src", "")]
    return ReceivedMail(
        to=to,
        message_id=str(parsed["Message-ID"]),
        pixel=pixels[0] if pixels else "",
        links=tuple((text, url) for text, url in links if url.startswith("http")),
        one_click=str(parsed["List-Unsubscribe"] or "").partition("<")[2].partition(">")[0],
    )


class _Stay(HTTPRedirectHandler):
    """A reader's click ends at the redirect: where it leads is outside."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


_opener = build_opener(_Stay)
_tracked: list[str] = []


def count_tracked_requests() -> int:
    """Return how many requests to pixels and links were made: as many hits must be taken in."""
    return len(_tracked)


def ask(url: str, *, agent: str, method: str = "GET", form: dict[str, str] | None = None) -> int:
    """Make one request to our own pages and return the status."""
    if urlsplit(url).hostname not in _LOOPBACK:
        raise SetupError("the demonstration asks nobody outside this machine")
    if urlsplit(url).path.startswith(("/o/", "/c/")):
        _tracked.append(url)
    data = urlencode(form).encode() if form is not None else None
    request = Request(url, data=data, method="POST" if data is not None else method, headers={"User-Agent": agent})  # noqa: S310 - loopback, checked
    try:
        with _opener.open(request, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def _fetch(url: str, *, agent: str, method: str = "GET") -> None:
    """Ask for what a mail holds, if it is ours: a mail may have no pixel, and links that lead outside by themselves."""
    if urlsplit(url).hostname in _LOOPBACK:
        ask(url, agent=agent, method=method)


@dataclass
class Script:
    """Who does what, by address; drawn once, before anything is sent."""

    refused: list[str] = field(default_factory=list)
    bounced: list[str] = field(default_factory=list)
    soft: list[str] = field(default_factory=list)
    complaining: list[str] = field(default_factory=list)
    openers: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)
    clickers: list[str] = field(default_factory=list)
    joiners: list[str] = field(default_factory=list)
    one_click: list[str] = field(default_factory=list)
    by_page: list[str] = field(default_factory=list)
    scanned: list[str] = field(default_factory=list)
    scanned_late: list[str] = field(default_factory=list)


def draw_script(recipients: Sequence[str]) -> Script:
    """Return the parts of a play for these recipients; nobody has two parts."""
    dice = random.Random(7)
    left = sorted(recipients)
    dice.shuffle(left)
    size = len(left)
    script = Script()
    parts = (
        ("refused", max(3, size // 150)), ("bounced", max(3, size // 150)), ("soft", max(3, size // 100)),
        ("complaining", 1), ("one_click", max(2, size // 300)), ("by_page", max(2, size // 400)),
        ("scanned", max(3, size // 40)), ("scanned_late", max(3, size // 60)), ("private", max(3, size // 20)),
        ("joiners", max(4, size // 16)), ("clickers", max(4, size // 14)), ("openers", size // 5),
    )  # fmt: skip
    for name, count in parts:
        setattr(script, name, left[:count])
        left = left[count:]
    return script


def play(parts: Iterable[Callable[[], object]], told: Callable[[int], None]) -> None:
    """Run the requests of many readers, a few at a time; `told` gets how many are done."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, _ in enumerate(pool.map(lambda part: part(), parts), start=1):
            told(done)


def open_mail(mail: ReceivedMail, number: int) -> None:
    """Look at a mail: a browser, a phone, or Gmail's image proxy fetches the pixel, where there is one."""
    _fetch(mail.pixel, agent=(BROWSER, PHONE, GMAIL)[number % 3])


def prefetch(mail: ReceivedMail) -> None:
    """Apple's mail privacy fetches the pixel whether anybody looks or not: it proves nothing."""
    _fetch(mail.pixel, agent=APPLE_PRIVACY)


def click_programme(mail: ReceivedMail, text: str) -> None:
    """Open the mail and follow a link that redirects; one that leads outside by itself is followed unseen."""
    _fetch(mail.pixel, agent=BROWSER)
    _fetch(mail.link(text), agent=BROWSER)


def sign_up(mail: ReceivedMail, text: str) -> None:
    """Open the mail, follow the link that asks first, and press its button."""
    _fetch(mail.pixel, agent=PHONE)
    url = mail.link(text)
    ask(url, agent=PHONE)
    ask(url, agent=PHONE, form={"confirm": "yes"})


def scan(mail: ReceivedMail) -> None:
    """A mail scanner fetches everything at once, by HEAD and by GET: pixel, links, unsubscribe page."""
    for url in (mail.pixel, *(url for _, url in mail.links), mail.one_click):
        _fetch(url, agent=SCANNER, method="HEAD")
        _fetch(url, agent=SCANNER)


def scan_late(mail: ReceivedMail, text: str) -> None:
    """Another scanner takes one link, long after."""
    ask(mail.link(text), agent=SLOW_SCANNER)


def unsubscribe_at_once(mail: ReceivedMail) -> int:
    """The mail program's button (RFC 8058)."""
    return ask(mail.one_click, agent="Mail/1.0", form={"List-Unsubscribe": "One-Click"})


def unsubscribe_by_page(mail: ReceivedMail) -> int:
    """The link in the mail, and the button of its page."""
    url = mail.link("Unsubscribe")
    ask(url, agent=BROWSER)
    return ask(url, agent=BROWSER, form={"what": "topic"})
