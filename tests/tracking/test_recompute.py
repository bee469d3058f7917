"""Verdicts computed anew: events, engagement and waiting actions follow; a kill costs nothing."""

import subprocess
import sys
import threading

import pytest
from sqlalchemy import func, select, update

from mailer.context import Context
from mailer.schema.delivery import Engagement, Event, Message
from mailer.schema.tracking import Hit, VerdictRun
from mailer.tracking import queries, recompute
from mailer.tracking.machines import RULES_VERSION
from mailer.tracking.recompute import continue_recompute, get_run, recompute_due, start_recompute
from mailer.workspace.service import ensure_workspace
from tests.tracking.sent import FIREFOX, Sent


def judge_otherwise(ctx: Context, hit_class: str, reason: str) -> None:
    """Make all verdicts those of older rules."""
    with ctx.write() as session:
        values = {"hit_class": hit_class, "reason": reason}
        session.execute(update(Hit).values(rules=1, program="", device="", seconds_after=None, **values))
        session.execute(update(Event).values(**values))
        session.execute(update(Engagement).values(last_open_at=None, last_human_open_at=None, last_click_at=None))


def recomputed(ctx: Context) -> tuple[int, int]:
    run = continue_recompute(ctx, start_recompute(ctx))
    assert run.is_done
    return run.hits, run.changed


def test_a_persons_hits_that_older_rules_took_for_a_machines_come_back(sent: Sent) -> None:
    sent.hit(100)
    sent.hit(160, 1)
    sent.take_in()
    judge_otherwise(sent.ctx, "machine", "scanner")

    assert recomputed(sent.ctx) == (2, 2)

    assert sent.events() == [("open", "human", ""), ("click", "human", "")]
    assert None not in sent.engagement()
    with sent.ctx.read() as session:
        hits = session.scalars(select(Hit)).all()
    assert {(hit.rules, hit.program, hit.device) for hit in hits} == {(RULES_VERSION, "Firefox on Linux", "computer")}
    assert {round(hit.seconds_after or 0) for hit in hits} == {100, 160}


def test_engagement_is_made_where_there_was_none(sent: Sent) -> None:
    sent.hit(100, agent="Barracuda")
    sent.take_in()
    with sent.ctx.write() as session:
        assert session.scalar(select(func.count()).select_from(Engagement)) == 0
        session.execute(update(Hit).values(user_agent=FIREFOX))

    assert recomputed(sent.ctx) == (1, 1)

    assert sent.engagement()[0] is not None


def test_a_click_that_is_a_machines_now_voids_what_waits(sent: Sent) -> None:
    sent.hit(100, 1)
    sent.take_in()
    assert sent.runs() == ["pending"]
    with sent.ctx.write() as session:
        session.execute(update(Hit).values(user_agent="Barracuda"))

    assert recomputed(sent.ctx) == (1, 1)

    assert sent.events() == [("click", "machine", "scanner")]
    assert sent.runs() == ["void"]
    assert sent.engagement() == (None, None)


def test_what_a_person_asked_for_too_is_not_voided(sent: Sent) -> None:
    sent.hit(100, 1, agent="Barracuda")
    sent.hit(200, 1)
    sent.take_in()
    judge_otherwise(sent.ctx, "human", "")

    recomputed(sent.ctx)

    assert [event[1] for event in sent.events()] == ["machine", "human"]
    assert sent.runs() == ["pending"]


def test_the_verdict_of_somebody_who_was_erased_stands(sent: Sent) -> None:
    sent.hit(100)
    sent.take_in()
    with sent.ctx.write() as session:
        hit = session.scalars(select(Hit)).one()
        hit.ip = hit.user_agent = ""
        message = session.get_one(Message, sent.message_id)
        message.contact_id = None

    assert recomputed(sent.ctx) == (1, 0)

    assert sent.events() == [("open", "human", "")]


def test_a_worker_begins_by_itself_where_rules_are_new_and_once(sent: Sent) -> None:
    recompute_due(sent.ctx)
    with sent.ctx.read() as session:
        assert session.scalars(select(VerdictRun)).all() == []
    sent.hit(100)
    sent.take_in()
    judge_otherwise(sent.ctx, "machine", "scanner")

    recompute_due(sent.ctx)
    recompute_due(sent.ctx)

    assert sent.events() == [("open", "human", "")]
    with sent.ctx.read() as session:
        assert [run.rules for run in session.scalars(select(VerdictRun))] == [RULES_VERSION]


def test_pages_go_on_where_the_last_one_ended(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [Sent(sent.ctx) for _ in range(4)]
    for one in (sent, *others):
        one.hit(100)
        one.hit(130)
        one.writer.close()
    sent.take_in()
    judge_otherwise(sent.ctx, "machine", "scanner")
    monkeypatch.setattr(recompute, "PAGE_HITS", 2)

    run_id = start_recompute(sent.ctx)
    first = continue_recompute(sent.ctx, run_id, seconds=0)
    last = continue_recompute(sent.ctx, run_id)

    assert (first.hits, first.is_done) == (2, False)
    assert (last.hits, last.changed, last.is_done) == (10, 10, True)


def test_kill_9_in_the_middle_loses_and_doubles_nothing(sent: Sent, tmp_path) -> None:
    others = [Sent(sent.ctx) for _ in range(25)]
    for one in (sent, *others):
        one.hit(100)
        one.writer.close()
    sent.take_in()
    judge_otherwise(sent.ctx, "machine", "scanner")
    ensure_workspace(sent.ctx)
    run_id = start_recompute(sent.ctx)
    code = (
        "import sys\n"
        "from mailer.context import Context\n"
        "from mailer.database import Database\n"
        "from mailer.jobs import SilentBell\n"
        "from mailer.settings import Settings\n"
        "from mailer.tokens import new_keys\n"
        "from mailer.tracking import recompute\n"
        "recompute.PAGE_HITS = 1\n"
        "settings = Settings(data_dir=sys.argv[1], database_url=sys.argv[2])\n"
        "ctx = Context(settings=settings, database=Database(sys.argv[2]), keys=new_keys(), bell=SilentBell())\n"
        "print('go', flush=True)\n"
        "recompute.continue_recompute(ctx, int(sys.argv[3]))\n"
    )
    url = sent.ctx.database.url.render_as_string(hide_password=False)
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), url, str(run_id)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"go\n"
    threading.Event().wait(0.03)
    child.kill()
    child.wait()
    child.stdout.close()

    last = continue_recompute(sent.ctx, run_id)

    assert (last.hits, last.changed, last.is_done) == (26, 26, True)
    with sent.ctx.read() as session:
        assert set(session.scalars(select(Event.hit_class))) == {"human"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nobody_judges_old_hits_while_new_ones_are_taken_in(sent: Sent) -> None:
    """A page that is being written is not seen yet: a verdict without it would be written over that with it."""
    sent.hit(100)
    sent.take_in()
    run_id = start_recompute(sent.ctx)
    judging = threading.Thread(target=continue_recompute, args=(sent.ctx, run_id))
    with sent.ctx.write() as taking_in:
        queries.lock_mails(taking_in, [sent.message_id])
        with sent.ctx.write() as another:
            queries.lock_mails(another, [sent.message_id + 1])  # other mails are taken in side by side
        judging.start()
        judging.join(0.4)
        assert judging.is_alive()
    judging.join(10)

    assert not judging.is_alive()
    assert get_run(sent.ctx, run_id).is_done
