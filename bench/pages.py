"""Pages of staff and the pages that contacts see, over HTTP from the real web process, with a large database behind it.

`python -m bench.pages [--database URL|postgresql] [--size N] [--runs N]`. Beside them the plain way: a list of contacts
in a Flask route with ORM objects, a count and OFFSET, half-way down. The last line is as in docs/reference
(Benchmarks). A database that holds people already is asked as it is, so that a file can be kept for several runs.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, render_template_string
from sqlalchemy import func, select

from bench.rig import make_context, open_database, print_line
from bench.segments_data import LISTS, fill
from mailer.accounts.passwords import hash_password
from mailer.context import Context
from mailer.schema.accounts import Staff
from mailer.schema.campaigns import Campaign
from mailer.schema.contacts import Address, Contact
from mailer.schema.segments import Segment
from mailer.segments import service as segments
from tests.support.make import make_staff, make_workspace
from tests.support.valkey import run_valkey

PASSWORD = "a long enough password"
EMAIL = "bench@example.com"
RULE = {"all": [{"field": "city", "op": "equals", "value": "City 17"}]}
PAGE = 50
_PLAIN = """<table>{% for contact in contacts %}<tr><td>{{ contact.first_name }} {{ contact.last_name }}</td>
<td>{{ emails[contact.address_id] }}</td><td>{{ contact.city }}</td></tr>{% endfor %}</table>{{ count }} contacts"""


class Visitor:
    """One connection to the web process, signed in."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=120)
        self._cookies = SimpleCookie()

    def get(self, path: str) -> str:
        """Return a page.

        Raises:
            RuntimeError: any answer but 200.
        """
        status, text = self._ask("GET", path)
        if status != 200:
            raise RuntimeError(f"{path}: {status}")
        return text

    def sign_in(self) -> None:
        """Sign in through the page."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/sign-in"))
        assert token is not None
        form = urlencode({"csrf_token": token[1], "email": EMAIL, "password": PASSWORD})
        status, text = self._ask("POST", "/sign-in", form)
        assert status == 303, text

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{name}={one.value}" for name, one in self._cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._http.request(method, path, body, headers)
        answer = self._http.getresponse()
        for value in answer.headers.get_all("Set-Cookie") or ():
            self._cookies.load(value)
        return answer.status, answer.read().decode()


@contextmanager
def run_web(ctx: Context, redis_url: str) -> Iterator[Visitor]:
    """Run the web process for a block; yield somebody who has signed in."""
    environment = {
        "MAILER_DATA_DIR": str(ctx.settings.data_dir),
        "MAILER_DATABASE_URL": ctx.settings.database_url or "",
        "MAILER_REDIS_URL": redis_url,
        "MAILER_PUBLIC_URL": ctx.settings.public_url or "",
        "MAILER_BOUNCE_DOMAIN": "bounce.localhost",
    }
    inherited = dict(os.environ)  # noqa: TID251 - for the child
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mailer.cli.main", "run", "web", "--port", str(port)]
    with subprocess.Popen(command, env=inherited | environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield _wait_for(port)
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int) -> Visitor:
    deadline = time.monotonic() + 60
    while True:
        visitor = Visitor(port)
        try:
            visitor.sign_in()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return visitor


def list_pages(ctx: Context) -> dict[str, str]:
    """Return the address of each page by name: lists at their start and half-way down, searches, one of each thing."""
    with ctx.read() as session:
        total = session.scalar(select(func.count()).select_from(Contact)) or 0
        half = total // 2
        contact = session.get_one(Contact, half)
        email = session.scalars(select(Address.email).where(Address.id == contact.address_id)).one()
        campaign = session.scalars(select(Campaign).order_by(Campaign.id)).all()[6]
        named = {one.name: one.public_id for one in session.scalars(select(Segment))}
    report, people = f"/campaigns/{campaign.public_id}", f"/contacts/{contact.public_id}"
    return {
        "sign_in": "/sign-in",
        "dashboard": "/dashboard",
        "contacts": "/contacts",
        "contacts_half_way": f"/contacts?after={half}",
        "contacts_search_address": f"/contacts?q={email}",
        "contacts_search_name": "/contacts?q=Last4711",
        "contact": people,
        "contact_mails": f"{people}?kind=mail",
        "contact_edit": f"{people}/edit",
        "proof": f"/proof/{contact.public_id}",
        "segments": "/segments",
        "segment_dynamic": f"/segments/{named['City']}",
        "segment_static": f"/segments/{named[LISTS[0]]}",
        "segment_members": f"/segments/{named[LISTS[0]]}/members",
        "segment_count": f"/segments/{named['City']}/count",
        "campaigns": "/campaigns",
        "campaign": report,
        "campaign_live": f"{report}/live",
        "campaign_plot": f"{report}/plot",
        "campaign_messages": f"{report}/messages",
        "follow_ups": "/follow-ups",
        "bounces": "/bounces",
        "suppressions": "/suppressions",
        "deliverability": "/deliverability",
        "operations": "/operations",
        "imports": "/imports",
        "forms": "/forms",
        "privacy": "/privacy",
        "retention": "/privacy/retention",
        "audit": "/audit",
        "metrics": "/metrics",
        "readyz": "/readyz",
    }


def time_pages(visitor: Visitor, pages: Mapping[str, str], runs: int) -> dict[str, dict[str, float]]:
    """Return for each page the first answer, the median and the slowest of the following ones, in ms, and its KB."""
    figures = {}
    for name, path in pages.items():
        first, text = _time(lambda path=path: visitor.get(path))  # type: ignore[misc]
        times = [_time(lambda path=path: visitor.get(path))[0] for _ in range(runs)]  # type: ignore[misc]
        figures[name] = {
            "first_ms": round(first, 1),
            "p50_ms": round(statistics.median(times), 1),
            "max_ms": round(max(times), 1),
            "kb": round(len(text.encode()) / 1024, 1),
        }
        print(f"{name:26} {figures[name]}", file=sys.stderr)
    return figures


def _time(work: Callable[[], str]) -> tuple[float, str]:
    started = time.perf_counter()
    text = work()
    return (time.perf_counter() - started) * 1e3, text


def time_plain(ctx: Context, runs: int) -> float:
    """Return the median, in ms, of the plain list of contacts, half-way down."""
    app = Flask(__name__)

    @app.get("/contacts")
    def contacts() -> str:
        with ctx.read() as session:
            count = session.scalar(select(func.count()).select_from(Contact)) or 0
            rows = session.scalars(select(Contact).order_by(Contact.created_at.desc()).offset(count // 2).limit(PAGE))
            shown = list(rows)
            emails = {row.address_id: session.get_one(Address, row.address_id).email for row in shown}
            return render_template_string(_PLAIN, contacts=shown, emails=emails, count=count)

    client = app.test_client()
    return statistics.median([_time(lambda: client.get("/contacts").text)[0] for _ in range(runs)])


def prepare(ctx: Context, size: int) -> None:
    """Fill the database, and add who signs in and a segment by rule."""
    fill(ctx, size)
    with ctx.write() as session:
        if session.scalar(select(Staff.id).where(Staff.email == EMAIL)) is not None:
            return
        make_workspace(session)
        make_staff(session, email=EMAIL, password_hash=hash_password(PASSWORD), must_change_password=False)
    segments.create_dynamic(ctx, "City", RULE)


def main() -> None:
    """Run the benchmark and print its last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", default="")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailer-bench-")))
        ctx = make_context(open_database(arguments.database, folder, stack), folder)
        stack.callback(ctx.database.dispose)
        prepare(ctx, arguments.size)
        pages = list_pages(ctx)
        plain = time_plain(ctx, arguments.runs)
        visitor = stack.enter_context(run_web(ctx, stack.enter_context(run_valkey())))
        figures = time_pages(visitor, pages, arguments.runs)
    medians = {name: one["p50_ms"] for name, one in figures.items()}
    slowest = max(medians, key=lambda name: medians[name])
    summary = {"contacts": arguments.size, "slowest": slowest, "slowest_p50_ms": medians[slowest], "pages": figures}
    reference = {"contacts_half_way_ms": round(plain, 1)}
    print_line(
        "pages", summary | {"database": ctx.database.engine.name}, reference, plain / medians["contacts_half_way"]
    )


if __name__ == "__main__":
    main()
