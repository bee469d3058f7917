"""Where links lead is known without the database: polled, kept on disk, never wrong."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from mailer.context import Context
from mailer.schema.content import TrackedLink
from mailer.schema.delivery import Message, Sending
from mailer.tracking.link_map import LinkMap, LinkTable, merge_runs
from mailer.tracking.queries import Run
from tests.support.forms import make_form
from tests.support.make import make_reader, make_sending, make_topic


def send(ctx: Context, people: int = 3) -> tuple[list[int], TrackedLink]:
    with ctx.write() as session:
        topic = make_topic(session)
        contacts = [make_reader(session, topic, key=ctx.keys.suppression) for _ in range(people)]
        sending = make_sending(session, ctx, contacts, topic)
        ids = session.scalars(select(Message.id).where(Message.sending_id == sending.id).order_by(Message.id)).all()
        link = session.scalars(
            select(TrackedLink).where(TrackedLink.content_version_id == sending.content_version_id)
        ).first()
        assert link is not None
        return list(ids), link


def test_a_poll_brings_links_of_every_message(ctx: Context) -> None:
    links = LinkMap(ctx)
    first, link = send(ctx)
    links.poll()
    second, other = send(ctx)
    links.poll()

    for ids, row in ((first, link), (second, other)):
        for message_id in ids:
            target = links.find(message_id, row.ordinal)
            assert target is not None
            assert target.url == row.url
    assert links.find(max(second) + 1, 0) is None
    assert links.find(first[0], 99) is None


def test_messages_that_committed_late_are_found_once_their_sending_runs(ctx: Context) -> None:
    """Two preparations may commit in another order than their ids: here the first poll misses a whole sending."""
    links = LinkMap(ctx)
    ids, link = send(ctx)
    links._last_message = ids[-1] + 5_000
    links.poll()

    assert links.find(ids[0], link.ordinal) is not None


def test_a_message_of_a_sending_in_preparation_is_found_by_its_id(ctx: Context) -> None:
    ids, link = send(ctx)
    with ctx.write() as session:
        session.scalars(select(Sending)).one().state = "preparing"
    links = LinkMap(ctx)
    links.poll()

    assert links.find(ids[0], link.ordinal) is not None


def test_a_request_waits_for_the_poll_that_brings_its_link(ctx: Context) -> None:
    links = LinkMap(ctx, poll_seconds=30)
    links.start()
    try:
        deadline = time.monotonic() + 10
        while not links.is_fresh and time.monotonic() < deadline:
            time.sleep(0.01)
        ids, link = send(ctx)
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(links.find(ids[0], link.ordinal, wait_seconds=10)))
        thread.start()
        thread.join()
    finally:
        links.stop()

    assert found[0] is not None


def test_the_snapshot_answers_while_the_database_is_away(ctx: Context, make_ctx) -> None:
    ids, link = send(ctx)
    with ctx.write() as session:
        row = session.get_one(TrackedLink, link.id)
        row.response, row.page_text = "page", "Hall B"
    links = LinkMap(ctx)
    links.poll()
    links.save_snapshot()

    later = LinkMap(make_ctx())
    later.load_snapshot()

    target = later.find(ids[1], link.ordinal)
    assert target is not None
    assert (target.url, target.is_page, target.text) == (link.url, True, "Hall B")
    assert not later.is_fresh


def test_a_link_that_opens_a_form_is_known_as_one_after_a_restart_too(ctx: Context, make_ctx) -> None:
    form = make_form(ctx)
    ids, link = send(ctx)
    with ctx.write() as session:
        row = session.get_one(TrackedLink, link.id)
        row.response, row.form_id = "form", form.id
    links = LinkMap(ctx)
    links.poll()
    links.save_snapshot()

    later = LinkMap(make_ctx())
    later.load_snapshot()

    assert [(found.is_form, found.is_page) for one in (links, later) if (found := one.find(ids[1], link.ordinal))] == [
        (True, False)
    ] * 2


def test_a_damaged_snapshot_is_an_empty_one(ctx: Context) -> None:
    links = LinkMap(ctx)
    links._path.parent.mkdir(parents=True)
    for text in ("", "{", "[]", '{"runs": [[1]], "targets": [], "last": [0, 0, 0]}', '{"runs": [], "targets": []}'):
        links._path.write_text(text)
        links.load_snapshot()
        assert links.find(1, 0) is None


def test_a_target_that_is_no_web_address_is_never_answered(ctx: Context) -> None:
    ids, link = send(ctx)
    for url in (
        "javascript:alert(1)",
        "//evil.example",
        "https://x.example/\r\nSet-Cookie: a=b",
        "https:\\\\evil.example",
    ):
        with ctx.write() as session:
            session.get_one(TrackedLink, link.id).url = url
        links = LinkMap(ctx)
        links.poll()
        assert links.find(ids[0], link.ordinal) is None


@given(st.lists(st.integers(1, 60), unique=True, max_size=40), st.integers(0, 40))
def test_runs_say_of_every_id_what_the_rows_say(ids: list[int], split: int) -> None:
    rows = {message_id: message_id % 3 for message_id in ids}
    singles = [Run(message_id, message_id, version) for message_id, version in rows.items()]

    runs = merge_runs(merge_runs([], singles[:split]), singles)

    table = LinkTable(runs, tuple(run.first for run in runs))
    assert {one: table.version_of(one) for one in range(70)} == {one: rows.get(one) for one in range(70)}
