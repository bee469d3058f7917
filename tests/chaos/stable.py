"""A stable of workers: one process that imports everything once and forks real workers on demand, quick to replace.

`python -m tests.chaos.stable`: reads orders from standard input, one JSON object a line, and answers each with the
process id of the worker it started: `{"role": "send", "settings": {…}, "notes": PATH, …}`. It ends with its standard
input and takes its workers with it. Orders may carry `fault` (probes.py), `without` (a guard to remove, guards.py),
`constants` (`{"module:NAME": seconds}`), `offset` (seconds that the worker's business clock is ahead), `memory_mb` and
`file_mb` (limits of the process).
"""

import ctypes
import importlib
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from mailer.actions.service import run_due
from mailer.bounces.service import process_reports
from mailer.consent import service as consent
from mailer.consent.service import Cause
from mailer.context import Context
from mailer.delivery.loop import reap_now, send_due
from mailer.errors import ConflictError
from mailer.reputation.service import check_rates
from mailer.schema.contacts import Contact
from mailer.schema.delivery import Message
from mailer.tracking.ingest import run_ingest
from tests.chaos.guards import remove_guard
from tests.chaos.probes import Probe, install
from tests.chaos.scene import open_context

_stopping: list[bool] = []
QUICK = {
    "mailer.delivery.claim:LEASE": 2.0,
    "mailer.delivery.engine:RENEW_SECONDS": 0.5,
    "mailer.delivery.desk:DATABASE_AWAY_SECONDS": 1.0,
    "mailer.delivery.fleet:AWAY_SECONDS": 1.0,
    "mailer.delivery.policy:_LATER": 1.0,
    "mailer.tracking.ingest:_REST_SECONDS": 0.2,
}


def is_stopping() -> bool:
    """Whether this worker was asked to end."""
    return bool(_stopping)


def send(ctx: Context, _probe: Probe, _order: dict[str, Any]) -> None:
    """Send what is due, again and again, as the tasks of a send worker do."""
    while not is_stopping():
        try:
            if not send_due(ctx, seconds=60, is_stopping=is_stopping).batches:
                time.sleep(0.05)
        except DBAPIError:
            time.sleep(0.1)  # the task failed; the next tick tries again


def reap(ctx: Context, _probe: Probe, order: dict[str, Any]) -> None:
    """Set right what dead workers left."""
    while not is_stopping():
        with suppress(DBAPIError):
            reap_now(ctx)
        time.sleep(order.get("every", 0.2))


def judge(ctx: Context, _probe: Probe, _order: dict[str, Any]) -> None:
    """Look at every sending's rates, again and again."""
    while not is_stopping():
        with suppress(DBAPIError):
            check_rates(ctx)


def leave(ctx: Context, probe: Probe, order: dict[str, Any]) -> None:
    """Withdraw the permission of people of a sending at random, `per_second` of them, until `share` of them left."""
    chance = random.Random(order["seed"])
    with ctx.read() as session:
        contacts = list(session.scalars(select(Message.contact_id).where(Message.sending_id == order["sending"])))
    chance.shuffle(contacts)
    for contact_id in contacts[: int(len(contacts) * order["share"])]:
        while not _withdraw(ctx, contact_id):
            time.sleep(0.05)
        probe.note("withdrawn", contact=contact_id, at=time.time_ns())
        time.sleep(1 / order["per_second"])


def _withdraw(ctx: Context, contact_id: int | None) -> bool:
    try:
        with ctx.write() as session:
            contact = session.get_one(Contact, contact_id)
            consent.withdraw_all(session, [contact], Cause(source="chaos", channel="test"))
    except DBAPIError:
        return False
    return True


def ingest(ctx: Context, _probe: Probe, _order: dict[str, Any]) -> None:
    """Be the ingest process; the one before may not have let go yet."""
    while not is_stopping():
        try:
            run_ingest(ctx)
        except ConflictError:
            time.sleep(0.01)


def act(ctx: Context, _probe: Probe, _order: dict[str, Any]) -> None:
    """Run what clicks asked for, again and again."""
    while not is_stopping():
        with suppress(DBAPIError):
            run_due(ctx)
        time.sleep(0.01)


def read(ctx: Context, _probe: Probe, _order: dict[str, Any]) -> None:
    """Read the reports that came back, again and again."""
    while not is_stopping():
        with suppress(DBAPIError):
            process_reports(ctx)
        time.sleep(0.01)


ROLES: dict[str, Callable[[Context, Probe, dict[str, Any]], None]] = {
    "send": send,
    "reap": reap,
    "judge": judge,
    "leave": leave,
    "ingest": ingest,
    "act": act,
    "read": read,
}


def work(order: dict[str, Any]) -> None:
    """Be one worker, in a process of its own."""
    signal.signal(signal.SIGTERM, lambda *_: _stopping.append(True))
    for name, seconds in {**QUICK, **order.get("constants", {})}.items():
        set_constant(name, seconds)
    if order.get("memory_mb"):
        resource.setrlimit(resource.RLIMIT_AS, (order["memory_mb"] << 20,) * 2)
    if order.get("file_mb"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(order["file_mb"] * 1024 * 1024),) * 2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    probe = Probe(order["notes"], order.get("fault", ""))
    if order.get("without"):
        remove_guard(order["without"])
    install(probe)
    ctx = open_context(order["settings"])
    ctx.clock.offset = timedelta(seconds=order.get("offset", 0))
    ROLES[order["role"]](ctx, probe, order)


def set_constant(name: str, seconds: float) -> None:
    """Set a constant of the product for this process; times keep their type."""
    where, _, what = name.partition(":")
    module = importlib.import_module(where)
    known = getattr(module, what)
    setattr(module, what, timedelta(seconds=seconds) if isinstance(known, timedelta) else type(known)(seconds))
    if what == "_LATER":
        module._STEPS = ()


def main() -> None:
    """Fork a worker for each order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _be_worker(order, parent)
        print(pid, flush=True)


def _be_worker(order: dict[str, Any], parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the stable
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        if os.getppid() == parent:
            os.close(0)
            said = os.open(order["notes"] + ".said", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.dup2(said, 1)
            os.dup2(said, 2)
            work(order)
            code = 0
    except BaseException as error:  # noqa: BLE001 - the last words of a process
        print(f"worker ended: {error!r}", file=sys.stderr, flush=True)
    os._exit(code)


if __name__ == "__main__":
    main()
