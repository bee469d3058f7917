"""Human, proxy or machine: the table of INTERFACES, case by case."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.statuses import HitClass
from mailer.tracking.machines import Hit, find_burst, judge_hit

SENT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.5000)"
GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
HUMAN, PROXY, MACHINE = HitClass.HUMAN, HitClass.PROXY, HitClass.MACHINE


def hit(agent: str, *, is_open: bool = True, after: float = 600, method: str = "GET", **more: object) -> Hit:
    values = {"sent_at": SENT, "link": 0, **more}
    return Hit(at=SENT + timedelta(seconds=after), is_open=is_open, method=method, user_agent=agent, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_hit", "hit_class", "reason"),
    [
        (hit(FIREFOX), HUMAN, ""),
        (hit(IPHONE), HUMAN, ""),
        (hit(OUTLOOK), HUMAN, ""),
        (hit(GOOGLE), HUMAN, "via_proxy"),
        (hit(YAHOO), HUMAN, "via_proxy"),
        (hit("Mozilla/5.0"), PROXY, "apple_privacy"),
        (hit(GMAIL_PREFETCH), PROXY, "gmail_prefetch"),
        (hit(FIREFOX, is_prefetch=True), PROXY, "prefetch"),
        (hit(FIREFOX, is_open=False), HUMAN, ""),
        (hit(FIREFOX, is_open=False, method="POST"), HUMAN, ""),
        (hit(FIREFOX, after=5), HUMAN, ""),
        (hit(FIREFOX, after=4.9), MACHINE, "too_fast"),
        (hit(FIREFOX, after=-3), MACHINE, "too_fast"),
        (hit(FIREFOX, method="HEAD"), MACHINE, "head"),
        (hit(FIREFOX, is_open=False, method="HEAD"), MACHINE, "head"),
        (hit(""), MACHINE, "scanner"),
        (hit("Barracuda Sentinel (EE)", is_open=False), MACHINE, "scanner"),
        (hit("Mozilla/5.0 (compatible; Googlebot/2.1)", is_open=False), MACHINE, "scanner"),
        (hit("python-requests/2.32", is_open=False), MACHINE, "scanner"),
        (hit("Mozilla/5.0 (X11) HeadlessChrome/120.0", is_open=False), MACHINE, "scanner"),
        (hit("Mozilla/5.0", is_open=False), MACHINE, "prefetch"),
        (hit(GOOGLE, is_open=False), MACHINE, "prefetch"),
        (hit(FIREFOX, sent_at=None), MACHINE, "not_sent"),
    ],
)
def test_a_hit_is_judged(given_hit: Hit, hit_class: HitClass, reason: str) -> None:
    verdict = judge_hit(given_hit)

    assert (verdict.hit_class, verdict.reason) == (hit_class, reason)


def clicks(*pairs: tuple[float, int]) -> list[tuple[datetime, int]]:
    return [(SENT + timedelta(seconds=second), link) for second, link in pairs]


@pytest.mark.parametrize(
    ("given_clicks", "burst"),
    [
        (clicks(), set()),
        (clicks((0, 1), (1, 2)), set()),
        (clicks((0, 1), (1, 2), (2, 3)), {0, 1, 2}),
        (clicks((0, 1), (1, 1), (2, 1), (3, 2)), set()),
        (clicks((0, 1), (5, 2), (10, 3)), {0, 1, 2}),
        (clicks((0, 1), (5, 2), (10.1, 3)), set()),
        (clicks((10, 3), (0, 1), (5, 2)), {0, 1, 2}),
        (clicks((0, 1), (9, 2), (10, 3), (18, 1), (60, 1)), {0, 1, 2, 3}),
    ],
)
def test_three_links_within_ten_seconds_are_a_burst(given_clicks: list[tuple[datetime, int]], burst: set[int]) -> None:
    assert find_burst(given_clicks) == burst


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), max_size=20))
def test_a_burst_is_what_the_plain_definition_says(pairs: list[tuple[int, int]]) -> None:
    expected = set()
    for start, _ in pairs:
        window = [index for index, (at, _) in enumerate(pairs) if start <= at <= start + 10]
        if len({pairs[index][1] for index in window}) >= 3:
            expected.update(window)

    assert find_burst(clicks(*pairs)) == expected
