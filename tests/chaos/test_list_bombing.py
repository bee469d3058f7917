"""A form under fire: ten thousand posts for one victim, and somebody with a stopwatch who wants to know who is known.

The short forms are tests/forms/test_handle.py and test_public_pages.py; these run with `make chaos` only.
"""

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from mailer.context import Context
from mailer.delivery.loop import send_due
from mailer.forms.handle import handle_sign_ups
from mailer.schema.consent import Consent
from mailer.schema.forms import Form
from mailer.workspace.service import open_workspace
from tests.support.client import make_client
from tests.support.forms import list_rows, make_form, sign_up
from tests.support.make import make_reader, make_topic
from tests.support.sink import Sink

POSTS = 10_000
SAMPLES = 500
VICTIM = "victim@example.com"


@pytest.mark.parametrize("form_of", ["long"])
def test_ten_thousand_posts_for_one_victim_are_one_mail(sending_ctx: Context, sink: Sink, form_of: str) -> None:
    ctx = sending_ctx
    forms = [make_form(ctx) for _ in range(5)]
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            handle_sign_ups(ctx)
            time.sleep(0.2)

    def post(part: int) -> set[tuple[int, str]]:
        client = make_client(ctx)
        answers = set()
        for n in range(part, POSTS, 4):
            ip = f"{10 + n % 200}.{n // 200}.{n % 7}.{n % 250}"
            answer = sign_up(client, ctx, forms[n % 5], VICTIM, ip=ip)
            answers.add((answer.status_code, answer.location.replace(str(forms[n % 5].public_id), "FORM")))
        return answers

    worker = threading.Thread(target=work)
    worker.start()
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = set().union(*pool.map(post, range(4)))
    print(f"{POSTS / (time.monotonic() - started):.0f} posts/s")
    over.set()
    worker.join()
    handle_sign_ups(ctx)
    send_due(ctx, seconds=20)

    assert answers == {(303, "/f/FORM/done")}
    assert sink.recipients == [VICTIM]
    assert len(list_rows(ctx)) == 3


@pytest.mark.parametrize("form_of", ["long"])
@pytest.mark.parametrize("is_double", [True, False])
def test_known_and_unknown_addresses_are_answered_in_the_same_time(
    make_ctx: Callable[..., Context], redis_url: str, is_double: bool, form_of: str
) -> None:
    """PROOF: |difference of the medians| under 5 ms over 500 samples each, taken in turns."""
    ctx = make_ctx(redis_url=redis_url)
    ctx.redis.flushdb()
    form: Form = make_form(ctx, double_opt_in=is_double)
    with ctx.write() as session:
        limits = ("signup_ip", "signup_network", "signup_domain", "signup_form")
        open_workspace(session).limits = dict.fromkeys(limits, 0)
        topic = make_topic(session)
        for n in range(SAMPLES):
            make_reader(session, topic, f"known{n}@example.com", key=ctx.keys.suppression)
    client = make_client(ctx)
    spent: dict[str, list[float]] = {"known": [], "stranger": []}

    for n in range(SAMPLES):
        for kind in sorted(spent, reverse=n % 2 == 0):
            started = time.perf_counter()
            assert sign_up(client, ctx, form, f"{kind}{n}@example.com").status_code == 303
            spent[kind].append(time.perf_counter() - started)

    known, stranger = (statistics.median(spent[kind]) for kind in ("known", "stranger"))
    print(f"median known {known * 1000:.2f} ms, stranger {stranger * 1000:.2f} ms")
    assert abs(known - stranger) < 0.005
    with ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(Consent)) == SAMPLES
