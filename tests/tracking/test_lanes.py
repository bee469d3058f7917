"""Two lanes share a spool on PostgreSQL: each mail is in one, each goes on where it was, a crash loses nothing."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from bench.rig import make_context
from mailer.context import Context
from mailer.schema.tracking import Hit, SpoolPosition
from mailer.tracking import queries, service
from mailer.tracking.ingest import look_at_spool
from mailer.tracking.lanes import EVERY, file_of, lane_of, list_lanes, reached_by_all
from mailer.tracking.records import DamagedRecordError, RawHit, iter_hits, pack_hit
from mailer.tracking.spool import host_id, list_segments
from tests.support.postgres import start_postgres
from tests.tracking.sent import Sent

HITS = [RawHit(1.0 + number, 1, 1, number * 7, 0, 0, "192.0.2.1", "x" * number) for number in range(30)]
DATA = b"".join(map(pack_hit, HITS))
LANES = list_lanes(is_sqlite=False)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_each_hit_is_in_one_lane_and_each_mail_in_one() -> None:
    read = [[hit for hit, _ in iter_hits(DATA, lane)] for lane in LANES]

    assert Counter(hit for hits in read for hit in hits) == Counter(HITS)
    assert [{lane_of(hit.message_id) for hit in hits} for hits in read] == [{0}, {1}]
    assert [hit for hit, _ in iter_hits(DATA, EVERY)] == HITS


def test_whatever_is_damaged_one_of_the_lanes_sees_it() -> None:
    for place in range(len(DATA)):
        data = bytearray(DATA)
        data[place] ^= 0x41
        assert _is_seen(bytes(data)), place


def _is_seen(data: bytes) -> bool:
    read: list[RawHit] = []
    for lane in LANES:
        try:
            read += [hit for hit, _ in iter_hits(data, lane)]
        except DamagedRecordError:
            return True
    return len(read) < len(HITS) and set(read) <= set(HITS)  # a length that leads beyond the end: a torn tail


def test_a_file_is_read_as_far_as_its_slowest_lane() -> None:
    first, second = (lane.place("a.hits") for lane in LANES)

    assert reached_by_all(LANES, {}, "a.hits") == 0
    assert reached_by_all(LANES, {first: 9}, "a.hits") == 0
    assert reached_by_all(LANES, {first: 9, second: 5}, "a.hits") == 5
    assert reached_by_all((EVERY,), {"a.hits": 7}, "a.hits") == 7
    assert {file_of(first), file_of(second), file_of(EVERY.place("a.hits"))} == {"a.hits"}


@on_postgresql
def test_a_file_begun_before_there_were_lanes_is_gone_on_with(sent: Sent) -> None:
    for second in (100, 200, 300):
        sent.hit(second)
    (segment,) = list_segments(sent.ctx.settings.spool_dir)
    third = segment.size() // 3
    with sent.ctx.write() as session:
        host = host_id(sent.ctx.settings.spool_dir)
        session.add(SpoolPosition(host=host, file=segment.name, offset=third))

    assert sent.take_in() == 2
    assert sent.take_in() == 0
    sent.writer.close()
    assert sent.take_in() == 0
    with sent.ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(SpoolPosition)) == 0


def test_nothing_waits_once_all_lanes_have_read(sent: Sent) -> None:
    sent.hit(100)
    assert look_at_spool(sent.ctx).waiting_bytes > 0

    sent.take_in()

    assert look_at_spool(sent.ctx).waiting_bytes == 0


@on_postgresql
def test_a_mail_is_judged_by_one_transaction_at_a_time(sent: Sent) -> None:
    """Of two that judge it side by side, neither would see the other's hits."""
    with sent.ctx.write() as judging:
        queries.lock_mails(judging, [2, 4])
        with sent.ctx.write() as another:
            queries.lock_mails(another, [3])
        with sent.ctx.write() as another:
            another.execute(text("SET LOCAL lock_timeout = 100"))
            with pytest.raises(OperationalError, match="lock timeout"):
                queries.lock_mails(another, [1, 6])


def test_a_file_goes_only_when_a_crash_can_no_longer_take_its_rows_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_postgres(durable=True)
    try:
        server.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")  # who does not wait for the disk waits that long
        server.crash()
        server.launch()
        sent = Sent(make_context(server.url(server.create()), tmp_path))
        for second in range(100, 300):
            sent.hit(second)
        sent.writer.close()
        monkeypatch.setattr(service, "forget_file", lambda *_: server.crash())
        assert sent.take_in() == 200
        assert list_segments(sent.ctx.settings.spool_dir) == []

        server.launch()
        sent.ctx.database.dispose()
        assert _count(sent.ctx) == 200
        sent.ctx.database.dispose()
    finally:
        server.stop()


def _count(ctx: Context) -> int:
    with ctx.read() as session:
        return session.scalar(select(func.count()).select_from(Hit)) or 0
