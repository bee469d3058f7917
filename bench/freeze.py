"""The freeze of an audience into message rows, every refused contact with its reason; beside it plain ORM rows.

`python -m bench.freeze [--database URL|postgresql] [--size N]`. The last line is as in docs/reference (Benchmarks). A
database that holds people already is asked as it is, so that a file can be kept for several runs.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import delete, func, select

from bench.rig import make_context, open_database, peak_rss_mb, print_line
from bench.segments_data import fill
from mailer.campaigns import audience, prepare
from mailer.clock import utc_now
from mailer.context import Context
from mailer.schema.campaigns import Campaign, CampaignSegment
from mailer.schema.consent import Topic
from mailer.schema.delivery import Message, SendBatch
from mailer.schema.workspace import Sender
from mailer.segments import service as segments
from mailer.statuses import MessageState, SendingState
from tests.support.make import STARTER_MJML

REFERENCE_ROWS = 20_000
_RULE = {"none": [{"field": "city", "op": "is_one_of", "value": [f"City {number}" for number in range(20)]}]}


def make_campaign(ctx: Context) -> int:
    """Make a campaign to all but a twentieth of the contacts, launched and not prepared yet, and return its id."""
    name, now = f"Nearly all {time.time_ns()}", utc_now()
    segment_id = segments.create_dynamic(ctx, name, _RULE).id
    with ctx.write() as session:
        campaign = Campaign(
            name=name, subject="News", mjml=STARTER_MJML, status=SendingState.PREPARING.value, created_at=now,
            sender_id=session.scalar(select(Sender.id)), topic_id=session.scalar(select(Topic.id)), updated_at=now,
        )  # fmt: skip
        session.add(campaign)
        session.flush()
        session.add(CampaignSegment(campaign_id=campaign.id, segment_id=segment_id, mode="include"))
    return campaign.id


def run(ctx: Context, campaign_id: int) -> tuple[int, int, float]:
    """Prepare the campaign whole; return rows, how many of them are to be sent, seconds."""
    started = time.perf_counter()
    assert prepare.prepare(ctx, campaign_id)
    seconds = time.perf_counter() - started
    with ctx.read() as session:
        sending_id = session.get_one(Campaign, campaign_id).sending_id
        query = select(Message.state, func.count()).where(Message.sending_id == sending_id).group_by(Message.state)
        counted: dict[str, int] = {state: count for state, count in session.execute(query)}
    return sum(counted.values()), counted[MessageState.QUEUED.value], seconds


def run_reference(ctx: Context, campaign_id: int) -> float:
    """Write rows of the audience as objects, in transactions of a thousand; return rows a second."""
    with ctx.read() as session:
        campaign = session.get_one(Campaign, campaign_id)
        query = audience.audience_select(session, campaign, ctx.clock.today("UTC"), utc_now()).limit(REFERENCE_ROWS)
        rows = session.execute(query).all()
    started = time.perf_counter()
    for start in range(0, len(rows), 1000):
        with ctx.write() as session:
            session.add_all(_message(campaign.sending_id or 0, *row) for row in rows[start : start + 1000])
    return len(rows) / (time.perf_counter() - started)


def _message(sending_id: int, contact_id: int, address_id: int, _provider: str, reason: str | None) -> Message:
    state = MessageState.SKIPPED if reason else MessageState.QUEUED
    return Message(
        sending_id=sending_id, contact_id=contact_id, address_id=address_id, recipient_key=contact_id, occurrence=1,
        state=state.value, reason=reason or "",
    )  # fmt: skip


def forget(ctx: Context, campaign_id: int) -> None:
    """Take the rows away again, so that a kept database stays as it is."""
    with ctx.write() as session:
        campaign = session.get_one(Campaign, campaign_id)
        for table in (Message, SendBatch):
            session.execute(delete(table).where(table.sending_id == campaign.sending_id))
        campaign.status = SendingState.CANCELLED.value


def main() -> None:
    """Run the benchmark and print its last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", default="")
    parser.add_argument("--size", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ctx = make_context(open_database(arguments.database, folder, stack), folder)
        fill(ctx, arguments.size)
        campaign_id = make_campaign(ctx)
        rows, queued, seconds = run(ctx, campaign_id)
        rss = peak_rss_mb()
        reference = run_reference(ctx, campaign_id)
        forget(ctx, campaign_id)
        ctx.database.dispose()
    figures = {
        "rows_per_second": round(rows / seconds),
        "rows": rows,
        "queued": queued,
        "seconds": round(seconds, 2),
        "peak_rss_mb": rss,
        "database": ctx.database.engine.name,
    }
    plain = {"rows_per_second": round(reference), "rows": REFERENCE_ROWS}
    print_line("freeze", figures, plain, rows / seconds / reference)


if __name__ == "__main__":
    main()
