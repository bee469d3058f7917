"""Looks and bulk tasks in real processes: killed with SIGKILL at any point, and by a real Celery worker."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import func, select, update

from mailer.clock import utc_now
from mailer.context import Context
from mailer.jobs import CeleryBell, broker_url
from mailer.schema.contacts import Contact
from mailer.schema.followups import FollowUp
from mailer.schema.segments import BulkMember, BulkTask, Segment, SegmentEvent, SegmentWatch, SegmentWatchMember
from mailer.segments import service
from mailer.segments.bulk.service import start_bulk_task
from mailer.segments.history.look import look
from mailer.segments.history.watch import watch
from mailer.statuses import BulkKind
from tests.support.installation import wait_until
from tests.support.make import make_contact, make_staff, make_workspace

PEOPLE = 90


@pytest.fixture
def segment(ctx: Context) -> Segment:
    with ctx.write() as session:
        make_workspace(session)
        make_staff(session, role="sales")
        for _ in range(PEOPLE):
            make_contact(session, city="Oslo")
    rule = {"version": 1, "all": [{"field": "city", "op": "equals", "value": "Oslo"}]}
    return service.create_dynamic(ctx, "Oslo", rule)


@pytest.fixture
def spawn(ctx: Context, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        url = ctx.database.url.render_as_string(hide_password=False)
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.bulk_worker", url, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def count(ctx: Context, query: Any) -> int:
    with ctx.read() as session:
        return session.scalar(query) or 0


def test_task_and_look_of_killed_processes_are_done_once(
    ctx: Context, segment: Segment, spawn: Callable[[], subprocess.Popen[str]], request: pytest.FixtureRequest
) -> None:
    chance = random.Random(11)
    watch(ctx, segment.id)
    look(ctx, segment.id)
    with ctx.write() as session:
        for _ in range(PEOPLE):
            make_contact(session, city="Rome")
    everybody = service.create_dynamic(
        ctx, "All", {"version": 1, "all": [{"field": "created_at", "op": "after", "value": "2000-01-01"}]}
    )
    calls = start_bulk_task(ctx, everybody.id, BulkKind.FOLLOW_UPS, {"title": "Call", "due_on": "2026-12-01"})
    moves = start_bulk_task(ctx, everybody.id, BulkKind.SET_FIELD, {"field": "city", "value": "Rome"})
    with ctx.write() as session:
        session.execute(update(Contact).where(Contact.id % 2 == 0).values(country="Norway"))
        session.execute(update(SegmentWatch).values(due_at=utc_now()))

    for _ in range(3 * request.config.getoption("--trials")):
        children = [spawn(), spawn()]
        time.sleep(chance.uniform(0.02, 0.4))
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        with ctx.write() as session:
            session.execute(update(SegmentWatch).values(due_at=utc_now()))
    spawn()
    unfinished = select(func.count()).select_from(BulkTask).where(BulkTask.status != "finished")
    wait_until("both tasks end", lambda: not count(ctx, unfinished))
    with ctx.write() as session:
        session.execute(update(SegmentWatch).values(due_at=utc_now()))
    known = select(func.count()).select_from(SegmentWatchMember)
    wait_until("the look finds nobody", lambda: not count(ctx, known))

    with ctx.read() as session:
        tasks = {task.id: task for task in session.scalars(select(BulkTask))}
        told = session.execute(select(SegmentEvent.contact_id, SegmentEvent.kind)).all()
        called = list(session.scalars(select(FollowUp.contact_id)))
        waiting = session.scalar(select(func.count()).where(BulkMember.outcome == "waiting"))
    assert (tasks[calls.id].total, tasks[calls.id].changed_count) == (2 * PEOPLE, 2 * PEOPLE)
    assert (tasks[moves.id].changed_count, tasks[moves.id].unchanged_count) == (PEOPLE, PEOPLE)
    assert len(called) == len(set(called)) == 2 * PEOPLE
    assert len(told) == len(set(told)) == PEOPLE
    assert {kind for _, kind in told} == {"left"}
    assert waiting == 0


def test_celery_worker_runs_what_is_rung_for(ctx: Context, segment: Segment, redis_url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "MAILER_DATA_DIR": str(tmp_path),
        "MAILER_DATABASE_URL": ctx.database.url.render_as_string(hide_password=False),
        "MAILER_REDIS_URL": redis_url,
        "MAILER_PUBLIC_URL": "http://127.0.0.1:8000",
        "MAILER_BOUNCE_DOMAIN": "bounce.localhost",
        "MAILER_SMTP_URL": "smtp://127.0.0.1:9",
    }
    ctx.settings = ctx.settings.model_copy(update={"redis_url": redis_url})
    ctx.bell = CeleryBell(ctx.settings)
    worker = subprocess.Popen(
        [sys.executable, "-m", "mailer.supervisor.celery_process", "run", "work"], env=environment
    )
    try:
        control = Celery(broker=broker_url(redis_url)).control
        wait_until("the worker", lambda: control.ping(timeout=0.5), 60)
        watch(ctx, segment.id)
        task = start_bulk_task(ctx, segment.id, BulkKind.ADD_TAG, {"tag": "fair"})

        ready = select(func.count()).select_from(SegmentWatch).where(SegmentWatch.members == PEOPLE)
        wait_until("the first look", lambda: count(ctx, ready), 25)
        done = (
            select(func.count()).select_from(BulkTask).where(BulkTask.id == task.id, BulkTask.changed_count == PEOPLE)
        )
        wait_until("the bulk task", lambda: count(ctx, done), 25)
    finally:
        worker.terminate()
        worker.wait(timeout=30)
