"""A spool that is full costs hits, never a reader an answer nor the disk; the operator sees both that and a delay."""

from pathlib import Path

import pytest

from mailer.clock import utc_now
from mailer.context import Context
from mailer.doctor.service import examine
from mailer.reports.metrics import collect_metrics
from mailer.tracking.endpoint import TrackingEndpoint
from mailer.tracking.ingest import ingest_once, look_at_spool
from mailer.tracking.records import RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter, find_refused
from tests.tracking.sent import Sent
from tests.tracking.test_endpoint import Site

RECORD = pack_hit(RawHit(1_700_000_000.0, 1, 1, 42, 0, 0, "192.0.2.1", "Mozilla/5.0"))
ROOM = 10 * len(RECORD)


def small_writer(folder: Path) -> SpoolWriter:
    """A writer of segments of ten records, two of them at most."""
    return SpoolWriter(folder, durable=False, segment_bytes=ROOM, limit_bytes=2 * ROOM)


def append_until_full(writer: SpoolWriter) -> int:
    """Append until the writer refuses; return how many records it took."""
    for done in range(1_000):
        try:
            writer.append(RECORD)
        except OSError:
            return done
    raise AssertionError("it took everything")


def test_a_full_spool_takes_no_more_and_counts_what_it_refuses(tmp_path: Path) -> None:
    writer = small_writer(tmp_path)

    assert append_until_full(writer) == 20
    with pytest.raises(OSError, match="spool is full"):
        writer.append(RECORD)

    refused = find_refused(tmp_path)
    assert refused is not None
    assert refused.count == 2
    assert (utc_now() - refused.last_at).total_seconds() < 60
    writer.close()


def test_a_reader_is_answered_while_the_spool_is_full_but_a_press_is_asked_again(ctx: Context) -> None:
    site = Site(ctx)
    site.spool = small_writer(ctx.settings.spool_dir)
    site.endpoint = TrackingEndpoint(ctx.keys, site.spool, site.links)
    append_until_full(site.spool)

    assert site.ask(site.pixel()).status == "200 OK"
    assert site.ask(site.link(0)).status == "302 Found"
    assert site.ask(site.link(1), "POST").status.startswith("503")
    site.spool.close()


def test_a_spool_that_was_taken_in_has_room_again(sent: Sent) -> None:
    sent.writer.close()
    folder = sent.ctx.settings.spool_dir
    writer = small_writer(folder)
    append_until_full(writer)

    ingest_once(sent.ctx)
    writer._full_until = 0.0  # it looks once a second
    writer.append(RECORD)

    writer.close()


def test_the_operator_sees_what_waits_and_what_was_lost(sent: Sent) -> None:
    sent.hit(100)
    state = look_at_spool(sent.ctx)
    assert state.waiting_bytes > 0
    assert state.oldest_at is not None
    assert state.refused is None
    append_until_full(full := small_writer(sent.ctx.settings.spool_dir))
    full.close()

    found = {finding.check: finding for finding in examine(sent.ctx.settings)}
    with sent.ctx.read() as session:
        metrics = {family.name: family.samples.get(()) for family in collect_metrics(session, sent.ctx)}

    assert not found["tracking spool"].is_ok
    assert "ingest" in found["tracking spool"].mend
    assert not found["lost hits"].is_ok
    assert "MAILER_SPOOL_LIMIT_MB" in found["lost hits"].mend
    assert metrics["mailer_hits_lost"] == 1
    assert (metrics["mailer_spool_age_seconds"] or 0) > 300


def test_a_spool_that_is_read_to_its_end_waits_for_nothing(sent: Sent) -> None:
    sent.hit(100)
    sent.take_in()

    state = look_at_spool(sent.ctx)

    assert (state.waiting_bytes, state.oldest_at, state.damaged) == (0, None, [])
