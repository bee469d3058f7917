"""The endpoint answers without a database, changes nothing on GET and HEAD, and gives every bad token the same 404."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from mailer import tokens
from mailer.context import Context
from mailer.tracking.endpoint import PIXEL, TrackingEndpoint
from mailer.tracking.link_map import LinkMap, LinkTable, Target
from mailer.tracking.queries import Run
from mailer.tracking.records import GET, HEAD, POST, PREFETCH, RawHit, iter_hits
from mailer.tracking.spool import SpoolWriter, list_segments

TARGET = "https://example.com/søk?q=1&b=%20#x"
CONFIRM = "https://example.com/seminar"


@dataclass
class Answer:
    status: str
    headers: dict[str, str]
    body: bytes


class Site:
    """The endpoint with a map that is filled by hand."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.links = LinkMap(ctx)
        targets = {
            (9, 0): Target(TARGET, "Search", is_confirm=False),
            (9, 1): Target(CONFIRM, "Sign <up>", is_confirm=True),
            (9, 2): Target(CONFIRM, "Map & way", is_confirm=False, is_page=True, text="Platform 2\n<b>Hall</b> & café"),
            (9, 3): Target(CONFIRM, "Join", is_confirm=True, text="See you on <Thursday>"),
            (9, 4): Target(CONFIRM, "Tell us", is_confirm=False, is_form=True),
        }
        self.links._table = LinkTable((Run(1, 100, 9),), (1,), targets)
        self.spool = SpoolWriter(ctx.settings.spool_dir)
        self.endpoint = TrackingEndpoint(
            ctx.keys,
            self.spool,
            self.links,
            behind=self.behind,
            recipient_of=lambda _: "ada@example.org",
            form_base="https://www.example.org",
        )

    @staticmethod
    def behind(environ, start_response):  # noqa: ARG004 - PEP 3333
        start_response("200 OK", [])
        return [b"pages"]

    def ask(self, path: str, method: str = "GET", **environ: str) -> Answer:
        answer: list[object] = []
        given = {"PATH_INFO": path, "REQUEST_METHOD": method, "REMOTE_ADDR": "192.0.2.7", **environ}
        body = b"".join(self.endpoint(given, lambda status, headers: answer.extend((status, headers))))
        status, headers = answer
        assert len(headers) == len(dict(headers))
        return Answer(str(status), dict(headers), body)

    def hits(self) -> list[RawHit]:
        return [
            hit for one in list_segments(self.ctx.settings.spool_dir) for hit, _ in iter_hits(one.path.read_bytes())
        ]

    def pixel(self, message_id: int = 42) -> str:
        return f"/o/{tokens.track_token(self.ctx.keys, tokens.OPEN, message_id)}.gif"

    def link(self, number: int, message_id: int = 42) -> str:
        return f"/c/{tokens.track_token(self.ctx.keys, tokens.CLICK, message_id, number)}"


@pytest.fixture
def site(ctx: Context) -> Iterator[Site]:
    made = Site(ctx)
    yield made
    made.spool.close()


def test_an_open_is_kept_and_answered_with_a_pixel(site: Site) -> None:
    answer = site.ask(site.pixel(), HTTP_USER_AGENT="Mozilla/5.0 (X11)", HTTP_SEC_PURPOSE="prefetch;prerender")

    assert (answer.status, answer.body, answer.headers["Content-Type"]) == ("200 OK", PIXEL, "image/gif")
    assert "no-store" in answer.headers["Cache-Control"]
    (hit,) = site.hits()
    assert (hit.kind, hit.method, hit.message_id, hit.ip, hit.user_agent, hit.flags) == (
        tokens.OPEN, GET, 42, "192.0.2.7", "Mozilla/5.0 (X11)", PREFETCH,
    )  # fmt: skip


def test_a_redirect_is_byte_equal_to_the_stored_target(site: Site) -> None:
    answer = site.ask(site.link(0))

    assert answer.status == "302 Found"
    assert answer.headers["Location"].encode("latin-1") == TARGET.encode()
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert [(hit.kind, hit.link) for hit in site.hits()] == [(tokens.CLICK, 0)]


@pytest.mark.parametrize("number", [0, 1])
def test_head_has_the_head_of_get_and_is_logged_as_head(site: Site, number: int) -> None:
    get, head = site.ask(site.link(number)), site.ask(site.link(number), "HEAD")

    assert head.body == b""
    assert (head.status, head.headers.keys()) == (get.status, get.headers.keys())
    assert [hit.method for hit in site.hits()] == [GET, HEAD]


def test_a_link_that_asks_first_shows_one_button_and_no_outside_request(site: Site) -> None:
    site.links._is_fresh = True

    page = site.ask(site.link(1))

    text = page.body.decode()
    assert page.status == "200 OK"
    assert text.count("<button") == 1
    assert 'method="post"' in text
    assert "Sign &lt;up&gt;" in text
    assert "a…@example.com".replace(".com", ".org") in text
    assert "ada@" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert "<script" not in text
    policy = page.headers["Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy


def test_the_button_is_logged_as_post_and_leads_on(site: Site) -> None:
    done = site.ask(site.link(1), "POST")

    assert done.status == "200 OK"
    assert f'href="{CONFIRM}"' in done.body.decode()
    assert [hit.method for hit in site.hits()] == [POST]


def test_a_confirm_page_works_while_the_database_is_away(site: Site) -> None:
    assert not site.links.is_fresh

    assert "ada" not in site.ask(site.link(1)).body.decode()


def test_every_bad_token_gets_the_same_404_and_leaves_no_trace(site: Site) -> None:
    good = site.link(0)
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    view = tokens.track_token(site.ctx.keys, tokens.VIEW, 42)
    opened = tokens.track_token(site.ctx.keys, tokens.OPEN, 42)
    bad = [flipped, good[:-1], good + "A", "/c/", "/c/x", f"/c/{view}", f"/c/{opened}", f"/o/{good[3:]}.gif", "/o/.gif",
           "/c/\xff\xfe", good + "/x", f"/c/{'A' * 5_000}"]  # fmt: skip

    answers = [site.ask(path) for path in bad]

    assert {answer.status for answer in answers} == {"404 Not Found"}
    assert len({(answer.body, tuple(answer.headers.items())) for answer in answers}) == 1
    assert site.hits() == []


def test_a_link_never_seen_is_asked_for_again_later(site: Site) -> None:
    for path in (site.link(0, message_id=5_000), site.link(7)):
        answer = site.ask(path)
        assert answer.status == "503 Service Unavailable"
        assert answer.headers["Retry-After"] == "5"
    assert site.hits() == []


@pytest.mark.parametrize(
    ("path", "method"), [("pixel", "POST"), ("plain", "POST"), ("plain", "DELETE"), ("confirm", "PUT")]
)
def test_other_methods_are_refused(site: Site, path: str, method: str) -> None:
    paths = {"pixel": site.pixel(), "plain": site.link(0), "confirm": site.link(1)}

    answer = site.ask(paths[path], method)

    assert answer.status == "405 Method Not Allowed"
    assert "GET" in answer.headers["Allow"]
    assert site.hits() == []


def test_everything_else_goes_to_the_pages_behind(site: Site) -> None:
    assert site.ask("/").body == b"pages"
    assert site.ask("/o/picture.png").body == b"pages"


def test_a_proxy_on_this_host_is_believed_and_nobody_else(site: Site) -> None:
    site.ask(site.pixel(), HTTP_X_FORWARDED_FOR="203.0.113.9")
    site.ask(site.pixel(), HTTP_X_FORWARDED_FOR="spoofed, 203.0.113.9", REMOTE_ADDR="127.0.0.1")

    assert [hit.ip for hit in site.hits()] == ["192.0.2.7", "203.0.113.9"]


def test_a_spool_that_fails_costs_a_reader_nothing_and_a_press_of_the_button_is_refused(site: Site) -> None:
    site.ctx.settings.spool_dir.parent.mkdir(exist_ok=True)
    site.ctx.settings.spool_dir.rmdir() if site.ctx.settings.spool_dir.exists() else None
    site.ctx.settings.spool_dir.write_text("a file where the folder should be")

    assert site.ask(site.link(0)).status == "302 Found"
    assert site.ask(site.pixel()).body == PIXEL
    assert site.ask(site.link(1), "POST").status == "503 Service Unavailable"


def test_a_page_of_text_is_shown_instead_of_a_redirect_and_nothing_in_it_is_markup(site: Site) -> None:
    answer = site.ask(site.link(2))

    assert answer.status == "200 OK"
    assert "Platform 2\n&lt;b&gt;Hall&lt;/b&gt; &amp; café" in answer.body.decode()
    assert "Map &amp; way" in answer.body.decode()
    assert f'href="{CONFIRM}"' in answer.body.decode()
    assert "<form" not in answer.body.decode()
    assert [(hit.kind, hit.method) for hit in site.hits()] == [(tokens.CLICK, GET)]


def test_a_page_of_text_has_no_button_to_press(site: Site) -> None:
    assert site.ask(site.link(2), "POST").status.startswith("405")
    assert site.ask(site.link(2), "HEAD").body == b""


def test_a_press_is_thanked_for_in_the_marketers_words(site: Site) -> None:
    assert "Thursday" not in site.ask(site.link(3)).body.decode()
    assert "See you on &lt;Thursday&gt;" in site.ask(site.link(3), "POST").body.decode()


def test_a_link_to_a_form_leads_to_the_host_of_the_pages_with_its_token(site: Site) -> None:
    answers = [site.ask(site.link(4), method) for method in ("GET", "HEAD")]

    token = site.link(4).removeprefix("/c/")
    assert [(answer.status, answer.headers["Location"]) for answer in answers] == [
        ("302 Found", f"https://www.example.org/f/m/{token}")
    ] * 2
    assert answers[0].headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answers[0].headers["Cache-Control"]
    assert [hit.link for hit in site.hits()] == [4, 4]
    assert site.ask(site.link(4), "POST").status.startswith("405")


def test_a_link_to_a_form_leads_to_its_own_target_where_the_host_of_the_pages_is_not_known(site: Site) -> None:
    site.endpoint = TrackingEndpoint(site.ctx.keys, site.spool, site.links)

    assert site.ask(site.link(4)).headers["Location"] == CONFIRM
