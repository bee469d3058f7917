"""Hits count exactly once; people's clicks act after their quarantine, machines' never."""

import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select, update

from mailer.accounts import control
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun
from mailer.schema.delivery import Event, Message
from mailer.schema.tracking import Hit, SpoolPosition
from mailer.tracking import queries, service
from mailer.tracking.ingest import ingest_until
from mailer.tracking.records import GET, HEAD, POST, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter, list_segments
from mailer.workspace.service import ensure_workspace
from tests.tracking.sent import FIREFOX, Sent


def test_a_persons_open_and_click_become_events_and_a_waiting_action(sent: Sent) -> None:
    sent.hit(100)
    sent.hit(110, 1)

    assert sent.take_in() == 2

    assert sent.events() == [("open", "human", ""), ("click", "human", "")]
    assert sent.runs() == ["pending"]
    assert None not in sent.engagement()
    with sent.ctx.read() as session:
        run = session.scalars(select(ActionRun)).one()
        assert run.due_at > utc_now()


def test_the_same_spool_is_never_taken_in_twice(sent: Sent) -> None:
    sent.hit(100)
    assert [sent.take_in(), sent.take_in()] == [1, 0]
    sent.hit(101)
    assert sent.take_in() == 1
    assert len(sent.events()) == 2


def test_a_segment_goes_when_it_is_read_and_its_writer_is_gone(sent: Sent) -> None:
    sent.hit(100)
    sent.take_in()
    assert len(list_segments(sent.ctx.settings.spool_dir)) == 1
    sent.writer.close()

    sent.take_in()

    assert list_segments(sent.ctx.settings.spool_dir) == []
    with sent.ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(SpoolPosition)) == 0


def test_head_is_kept_as_a_raw_hit_and_nothing_else(sent: Sent) -> None:
    sent.hit(100, method=HEAD)
    sent.hit(100, 1, method=HEAD)

    sent.take_in()

    assert (sent.events(), sent.runs()) == ([], [])
    with sent.ctx.read() as session:
        assert session.scalars(select(Hit.reason)).all() == ["head", "head"]


def test_three_links_at_once_are_a_machine_and_cause_nothing(sent: Sent) -> None:
    for number, second in enumerate((100, 101, 102)):
        sent.hit(second, number)

    sent.take_in()

    assert sent.events() == [("click", "machine", "many_links")] * 3
    assert sent.runs() == []
    assert sent.engagement()[1] is None


def test_a_click_judged_human_is_revised_when_the_burst_goes_on(sent: Sent) -> None:
    sent.hit(100, 0)
    sent.take_in()
    assert sent.runs() == ["pending"]

    sent.hit(103, 1)
    sent.take_in()
    sent.hit(106, 2)
    sent.take_in()

    assert sent.events() == [("click", "machine", "many_links")] * 3
    assert sent.runs() == ["void", "void"]
    assert sent.engagement()[1] is None
    with sent.ctx.read() as session:
        assert set(session.scalars(select(Hit.hit_class))) == {"machine"}


def test_a_person_who_clicks_after_a_burst_is_heard(sent: Sent) -> None:
    for number, second in enumerate((100, 101, 102)):
        sent.hit(second, number)
    sent.take_in()

    sent.hit(300, 0)
    sent.take_in()

    assert sent.events()[-1] == ("click", "human", "")
    assert sent.runs() == ["pending"]


@pytest.mark.parametrize(("second", "agent"), [(2, FIREFOX), (600, "Barracuda Sentinel"), (600, "")])
def test_a_scanners_click_causes_nothing(sent: Sent, second: float, agent: str) -> None:
    sent.hit(second, 1, agent=agent)

    sent.take_in()

    assert [event[1] for event in sent.events()] == ["machine"]
    assert sent.runs() == []


def test_a_link_that_asks_first_acts_on_its_button_only(ctx: Context) -> None:
    sent = Sent(ctx, response="confirm")
    sent.hit(100, 1)
    sent.take_in()
    assert sent.runs() == []

    sent.hit(110, 1, method=POST)
    sent.take_in()

    assert sent.events() == [("click", "human", ""), ("click", "human", "confirmed")]
    assert sent.runs() == ["pending"]
    sent.writer.close()


def test_an_action_runs_once_for_a_contact_and_link(sent: Sent) -> None:
    for second in (100, 200, 300):
        sent.hit(second, 1)

    sent.take_in()

    assert sent.runs() == ["pending"]


def test_hits_of_messages_that_are_gone_are_passed_over(sent: Sent) -> None:
    sent.writer.append(pack_hit(RawHit(utc_now().timestamp(), 1, GET, 10**9, 0, 0, "", FIREFOX)))
    sent.hit(100)

    assert sent.take_in() == 2
    assert len(sent.events()) == 1


def test_an_ip_is_cut_at_once_where_none_is_to_be_kept(sent: Sent) -> None:
    ensure_workspace(sent.ctx)
    control.change_settings(sent.ctx, limits={"keep_ip_days": "0"}, by=None)
    sent.hit(100)

    sent.take_in()

    with sent.ctx.read() as session:
        assert session.scalars(select(Hit.ip)).all() == ["192.0.2.0/24"]


def test_a_later_press_is_not_undone_by_a_scanner_on_the_same_link(ctx: Context) -> None:
    sent = Sent(ctx, response="confirm")
    sent.hit(100, 1)
    sent.hit(102, 1, method=POST)
    sent.take_in()
    assert sent.runs() == ["pending"]
    for number, second in enumerate((103, 104, 105)):
        sent.hit(second, number)
        sent.take_in()

    assert sent.runs() == ["pending"]
    sent.writer.close()


def test_a_persons_earlier_click_is_not_undone_by_a_scanner_on_the_same_link(sent: Sent) -> None:
    sent.hit(100, 1)
    sent.take_in()
    sent.hit(200, 1)
    sent.take_in()
    for number, second in ((0, 201), (2, 202)):
        sent.hit(second, number)
        sent.take_in()

    assert [event[1] for event in sent.events()] == ["human", "machine", "machine", "machine"]
    assert sent.runs()[0] == "pending"


def test_hostile_evidence_is_kept_as_it_is(sent: Sent) -> None:
    sent.hit(100, agent="<script>\0\ud800'; DROP TABLE hit; --" + "x" * 1_000)

    sent.take_in()

    with sent.ctx.read() as session:
        agent = session.scalars(select(Hit.user_agent)).one()
    assert agent.startswith("<script>")
    assert len(agent.encode()) <= 500


def test_a_page_is_refused_where_another_offset_was_reached(sent: Sent) -> None:
    sent.hit(100)
    sent.take_in()

    with pytest.raises(Exception, match="somebody else"):
        service.take_in(sent.ctx, [], host="other", place="x", start=5, end=9)


def test_a_damaged_segment_is_set_aside_and_the_rest_goes_on(sent: Sent) -> None:
    sent.hit(100)
    sent.hit(101)
    sent.writer.close()
    (segment,) = list_segments(sent.ctx.settings.spool_dir)
    data = bytearray(segment.path.read_bytes())
    data[-3] ^= 0xFF
    segment.path.write_bytes(data)
    sent.writer = SpoolWriter(sent.ctx.settings.spool_dir)
    sent.hit(200)

    assert sent.take_in() == 2

    assert len(sent.events()) == 2
    assert len(list(sent.ctx.settings.spool_dir.glob("*.damaged"))) == 1


def test_a_database_that_is_away_costs_nothing_but_time(sent: Sent, make_ctx) -> None:
    sent.hit(100)
    away = make_ctx()
    stop = threading.Event()
    calls: list[int] = []

    def fail(*_: object, **__: object) -> None:
        calls.append(1)
        stop.set()
        raise OSError("away")

    away.read = fail
    ingest_until(away, stop)

    assert calls
    assert sent.take_in() == 1


def test_a_flood_on_one_mail_hides_no_other_mails_hits(
    sent: Sent, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    flooded = Sent(ctx)
    for number, second in enumerate((100, 101)):
        sent.hit(second, number)
    for second in range(100, 105):
        flooded.hit(second, 0)
    sent.take_in()
    monkeypatch.setattr(queries, "_MOST_HITS", 3)

    sent.hit(102, 2)
    sent.writer.append(pack_hit(flooded.raw_hit(110, 0)))  # in the same page
    sent.take_in()

    assert {hit_class for _, hit_class, _ in sent.events()} == {"machine"}
    flooded.writer.close()


def test_a_person_erased_while_a_page_is_judged_leaves_no_trace(sent: Sent) -> None:
    sent.hit(100)
    write = sent.ctx.write

    @contextmanager
    def erase_first():
        with write() as session:
            session.execute(update(Message).values(contact_id=None, address_id=None))
        with write() as session:
            yield session

    sent.ctx.write = erase_first

    assert sent.take_in() == 1

    with sent.ctx.read() as session:
        assert session.execute(select(Hit.ip, Hit.user_agent, Hit.program)).all() == [("", "", "")]
        assert session.scalars(select(Event.contact_id)).all() == [None]


def test_a_hit_of_another_host_while_a_page_is_judged_is_judged_beside_it(sent: Sent) -> None:
    for number, second in enumerate((100, 101)):
        sent.hit(second, number)
    write, others = sent.ctx.write, []

    @contextmanager
    def click_first():
        if not others:
            others.append(sent.raw_hit(102, 2))
            sent.ctx.write = write
            service.take_in(sent.ctx, others, host="other", place="x", start=0, end=1)
        with write() as session:
            yield session

    sent.ctx.write = click_first

    sent.take_in()

    assert {(hit_class, reason) for _, hit_class, reason in sent.events()} == {("machine", "many_links")}


def test_kill_9_of_ingest_counts_every_hit_once(sent: Sent, tmp_path) -> None:
    for second in range(400):
        sent.hit(100 + second)
    code = (
        "import sys\n"
        "from mailer.context import Context\n"
        "from mailer.database import Database\n"
        "from mailer.jobs import SilentBell\n"
        "from mailer.settings import Settings\n"
        "from mailer.tokens import new_keys\n"
        "from mailer.tracking import ingest\n"
        "ingest.PAGE_HITS = 3\n"
        "settings = Settings(data_dir=sys.argv[1], database_url=sys.argv[2])\n"
        "ctx = Context(settings=settings, database=Database(sys.argv[2]), keys=new_keys(), bell=SilentBell())\n"
        "print('go', flush=True)\n"
        "ingest.ingest_once(ctx)\n"
    )
    url = sent.ctx.database.url.render_as_string(hide_password=False)

    for delay in (0.02, 0.06, 0.1):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), url], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"go\n"
        threading.Event().wait(delay)
        child.kill()
        child.wait()
        child.stdout.close()
    sent.take_in()

    assert len(sent.events()) == 400
    with sent.ctx.read() as session:
        assert session.scalar(select(func.count()).select_from(Hit)) == 400
