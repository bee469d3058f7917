"""Hits count exactly once; people's clicks act after their quarantine, machines' never."""

import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer import tokens
from mailer.accounts import control
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.actions import ActionRun
from mailer.schema.content import LinkAction, TrackedLink
from mailer.schema.delivery import Engagement, Event, Message
from mailer.schema.tracking import Hit, SpoolPosition
from mailer.statuses import MessageState
from mailer.tracking import service
from mailer.tracking.ingest import ingest_once, ingest_until
from mailer.tracking.records import GET, HEAD, POST, RawHit, pack_hit
from mailer.tracking.spool import SpoolWriter, list_segments
from mailer.workspace.service import ensure_workspace
from tests.support.make import make_reader, make_sending, make_topic

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
MJML = """<mjml><mj-body><mj-section><mj-column><mj-text>
<a href="https://example.com/a">a</a> <a href="https://example.com/b">b</a> <a href="https://example.com/c">c</a>
<a href="https://example.com/d">d</a> {{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a>
</mj-text></mj-column></mj-section></mj-body></mjml>"""


class Sent:
    """One mail with four links, handed over ten minutes ago; every link adds the reader to a segment."""

    def __init__(self, ctx: Context, *, response: str = "redirect") -> None:
        self.ctx = ctx
        self.sent_at = utc_now() - timedelta(minutes=10)
        with ctx.write() as session:
            topic = make_topic(session)
            contact = make_reader(session, topic, key=ctx.keys.suppression)
            sending = make_sending(session, ctx, [contact], topic, mjml=MJML)
            message = session.scalars(select(Message).where(Message.sending_id == sending.id)).one()
            message.state, message.accepted_at = MessageState.ACCEPTED.value, self.sent_at
            links = session.scalars(
                select(TrackedLink)
                .where(TrackedLink.content_version_id == sending.content_version_id)
                .order_by(TrackedLink.ordinal)
            ).all()
            for link in links:
                link.response = response
                action = LinkAction(tracked_link_id=link.id, ordinal=0, kind="add_to_segment", params={"segment_id": 1})
                session.add(action)
            self.message_id, self.contact_id = message.id, contact.id
            self.links = [link.ordinal for link in links]
        self.writer = SpoolWriter(ctx.settings.spool_dir)

    def hit(self, second: float, link: int | None = None, *, method: int = GET, agent: str = FIREFOX) -> None:
        """Spool a hit `second` seconds after hand-over: an open, or a click on a link."""
        at = (self.sent_at + timedelta(seconds=second)).timestamp()
        kind = tokens.OPEN if link is None else tokens.CLICK
        self.writer.append(pack_hit(RawHit(at, kind, method, self.message_id, link or 0, 0, "192.0.2.1", agent)))

    def take_in(self) -> int:
        return ingest_once(self.ctx)

    def events(self) -> list[tuple[str, str | None, str]]:
        with self.ctx.read() as session:
            rows = session.scalars(select(Event).where(Event.message_id == self.message_id).order_by(Event.id))
            return [(event.kind, event.hit_class, event.reason) for event in rows]

    def runs(self) -> list[str]:
        with self.ctx.read() as session:
            return list(session.scalars(select(ActionRun.state).order_by(ActionRun.id)))

    def engagement(self) -> tuple[datetime | None, datetime | None]:
        with self.ctx.read() as session:
            row = session.get(Engagement, self.contact_id)
            return (row.last_open_at, row.last_click_at) if row else (None, None)


@pytest.fixture
def sent(ctx: Context):
    made = Sent(ctx)
    yield made
    made.writer.close()


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
        service.take_in(sent.ctx, [], host="other", file="x", start=5, end=9)


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
