"""Counts of segments over a million contacts, five million events and half a million purchases.

Beside them the plain way: each line asked by itself, the sets of ids put together in Python.
`python -m bench.segments [--database URL|postgresql] [--size N]`. The last line is as in docs/reference (Benchmarks). A
database that holds people already is asked as it is, so that a file can be kept for several runs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.rig import make_context, open_database, peak_rss_mb, print_line
from bench.segments_data import LISTS, fill
from mailer.context import Context
from mailer.segments import queries, service
from mailer.segments.indexes import create_index
from mailer.statuses import SegmentOperation

RUNS = 5
_DAYS_90 = {"op": "this_and_previous", "n": 90, "unit": "day"}
_OPENED = {"field": "opened", "op": "did", "value": {"period": _DAYS_90}}
_NOT_CLICKED = {"field": "clicked", "op": "did_not", "value": {"campaign": "Campaign 7"}}
_BOUGHT = {"kind": "purchase", "period": {"op": "previous", "n": 12, "unit": "month"}}
RULES: Mapping[str, Mapping[str, Any]] = {
    "attribute": {"all": [{"field": "city", "op": "equals", "value": "City 17"}]},
    "attribute_fifth": {"all": [{"field": "country", "op": "equals", "value": "Norway"}]},
    "own_field": {"all": [{"field": "score", "op": ">=", "value": 95}]},
    "behavior": {"all": [_OPENED, _NOT_CLICKED]},
    "bought_much": {
        "all": [{"field": "activity", "op": "has", "value": {**_BOUGHT, "sum": {"op": ">", "value": 200_000}}}]
    },
    "bought_nothing": {"all": [{"field": "activity", "op": "has_not", "value": _BOUGHT}]},
    "in_list": {"all": [{"field": "segment", "op": "in", "value": [LISTS[0]]}]},
}
INDEXED = ("city", "country", "score")


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
        for field in INDEXED:
            create_index(ctx, field)
        sources = _sources(ctx)
        measured = {kind: _measure(ctx, source) for kind, source in sources.items()}
        reference = _measure_plain(ctx)
        ctx.database.dispose()
    database = ctx.database.engine.name
    figures = {"contacts": arguments.size, **measured, "peak_rss_mb": peak_rss_mb(), "database": database}
    print_line("segments", figures, reference, reference["median_ms"] / measured["behavior"]["median_ms"])


def _sources(ctx: Context) -> dict[str, queries.Source]:
    """Return what is counted: the rules, and (list and opened) without those who clicked campaign 7."""
    with ctx.read() as session:
        made = {segment.name: segment for segment in queries.list_segments(session)}
        found: dict[str, queries.Source] = {kind: queries.read_rule(session, rule) for kind, rule in RULES.items()}
    if "Result" not in made:
        service.create_dynamic(ctx, "Opened", {"all": [_OPENED]})
        service.create_dynamic(ctx, "Clicked", {"all": [{**_NOT_CLICKED, "op": "did"}]})
        service.create_combined(ctx, "Both", SegmentOperation.INTERSECTION, [LISTS[0], "Opened"])
        service.create_combined(ctx, "Result", SegmentOperation.ONLY_FIRST, ["Both", "Clicked"])
    with ctx.read() as session:
        found["combined"] = queries.get_segment(session, "Result")
    return found


def _measure(ctx: Context, source: queries.Source) -> dict[str, float]:
    today = ctx.clock.today("UTC")

    def count() -> int:
        with ctx.read() as session:
            return queries.count_members(session, source, today)

    return _timed(count)


def _timed(count: Callable[[], int]) -> dict[str, float]:
    members, times = 0, []
    for _ in range(RUNS):
        started = time.perf_counter()
        members = count()
        times.append((time.perf_counter() - started) * 1000)
    return {"members": members, "median_ms": round(statistics.median(times), 1), "best_ms": round(min(times), 1)}


def _measure_plain(ctx: Context) -> dict[str, float]:
    """Count the behavior rule as two lists of ids that Python puts together."""
    today = ctx.clock.today("UTC")

    def ids(line: Mapping[str, Any]) -> set[int]:
        with ctx.read() as session:
            return set(
                session.scalars(queries.members_select(session, queries.read_rule(session, {"all": [line]}), today))
            )

    return _timed(lambda: len(ids(_OPENED) - ids({**_NOT_CLICKED, "op": "did"})))


if __name__ == "__main__":
    main()
