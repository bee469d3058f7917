"""Where every link leads, in memory: polled from the database every second, kept in a snapshot file for bad days.

A token names a message and the number of a link. Messages are known by runs of consecutive ids of one content version,
so ten million of them are a few thousand entries; links and runs never change once they are there. Reading needs no
lock: each poll puts a new table in place.
"""

import bisect
import hashlib
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from mailer.context import Context
from mailer.log import get_logger
from mailer.tracking import queries
from mailer.tracking.queries import LinkRow, Run

log = get_logger("tracking")
POLL_SECONDS = 1.0
_FAST_SECONDS = 0.05
_PAGE_IDS = 500_000
_OVERLAP = 1_000  # ids that a slower transaction may still bring
_SNAPSHOT_EVERY = 5.0
_TARGET = re.compile(r"https?://[^\x00-\x20\x7f\\]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """What a link does when it is opened. `url` is as stored; `is_confirm`: a page with one button comes first.

    `text`: what that page says once the button was pressed; with `is_page`, what a page says instead of a redirect.
    `is_form`: one of our forms is opened, by the host that answers pages.
    """

    url: str
    label: str
    is_confirm: bool
    is_page: bool = False
    text: str = ""
    is_form: bool = False


@dataclass(frozen=True)
class LinkTable:
    """An immutable state of the map."""

    runs: tuple[Run, ...] = ()
    firsts: tuple[int, ...] = ()
    targets: dict[tuple[int, int], Target] = field(default_factory=dict)

    def version_of(self, message_id: int) -> int | None:
        """Return the content version of a message, None where it was never seen."""
        place = bisect.bisect_right(self.firsts, message_id) - 1
        if place < 0 or message_id > self.runs[place].last:
            return None
        return self.runs[place].version_id

    def find(self, message_id: int, link: int) -> Target | None:
        """Return where a link leads, None where it was never seen."""
        version_id = self.version_of(message_id)
        return None if version_id is None else self.targets.get((version_id, link))


def merge_runs(old: Iterable[Run], new: Iterable[Run]) -> tuple[Run, ...]:
    """Return both as runs in order, neighbors and repeats joined. Pure."""
    merged: list[Run] = []
    for run in sorted([*old, *new], key=lambda one: (one.first, one.last)):
        before = merged[-1] if merged else None
        if before is not None and run.version_id == before.version_id and run.first <= before.last + 1:
            merged[-1] = Run(before.first, max(before.last, run.last), run.version_id)
        else:
            merged.append(run)
    return tuple(merged)


class LinkMap:
    """The map of this process, and the thread that keeps it fresh."""

    def __init__(self, ctx: Context, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._ctx = ctx
        self._poll_seconds = poll_seconds
        self._table = LinkTable()
        self._last_message = 0
        self._last_link = 0
        self._last_sending = 0
        self._missed: set[int] = set()
        self._is_fresh = False
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._path = _snapshot_path(ctx)
        self._is_unsaved = False
        self._rounds = 0

    # ------------------------------------------------------------------ reading

    @property
    def is_fresh(self) -> bool:
        """Whether the last poll reached the database."""
        return self._is_fresh

    def find(self, message_id: int, link: int, *, wait_seconds: float = 0.0) -> Target | None:
        """Return where a link leads; None where it is not known, even after the next poll."""
        target = self._table.find(message_id, link)
        if target is not None or wait_seconds <= 0:
            return target
        if self._thread is None or (self._rounds and not self._is_fresh):
            return None  # nobody polls, or in vain; a process that has just started waits for its first poll
        with self._changed:
            self._missed.add(message_id)
            self._wake.set()
            round_now = self._rounds
            self._changed.wait_for(
                lambda: self._rounds >= round_now + 2 or self._table.find(message_id, link) is not None,
                timeout=wait_seconds,
            )
        return self._table.find(message_id, link)

    # ------------------------------------------------------------------ polling

    def start(self) -> None:
        """Load the snapshot and begin to poll."""
        self.load_snapshot()
        self._thread = threading.Thread(target=self._run, name="link-map", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and save what it knows."""
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.save_snapshot()

    def _run(self) -> None:
        rounds_to_save = max(1, int(_SNAPSHOT_EVERY / self._poll_seconds))
        while not self._is_stopping:
            self.poll()
            if self._is_unsaved and self._rounds % rounds_to_save == 0:
                self.save_snapshot()
            if self._missed:
                self._wake.wait(_FAST_SECONDS)  # somebody waits for a link that this poll may have missed
            else:
                self._wake.wait(self._poll_seconds)
            self._wake.clear()

    def poll(self) -> None:
        """Take in what is new; a database that is away costs a log line, the map stays as it is."""
        try:
            self._take_in()
        except (SQLAlchemyError, OSError) as error:
            if self._is_fresh or not self._rounds:
                log.warning("link_map_not_polled", error=type(error).__name__)
            self._is_fresh = False
        else:
            self._is_fresh = True
        with self._changed:
            self._rounds += 1
            self._changed.notify_all()

    def _take_in(self) -> None:
        with self._changed:
            missed, self._missed = self._missed, set()
        with self._ctx.read() as session:
            last = queries.last_message_id(session)
            up_to = min(last, self._last_message + _PAGE_IDS)
            runs = queries.list_runs(session, above=max(0, self._last_message - _OVERLAP), up_to=up_to)
            for sending_id in queries.list_prepared_sendings(session, above=self._last_sending):
                runs += queries.list_runs_of_sending(session, sending_id)
                self._last_sending = sending_id
            if missed:
                runs += queries.list_runs_of_messages(session, missed)
            links = queries.list_links(session, above=max(0, self._last_link - _OVERLAP))
        self._last_message = max(self._last_message, up_to)
        self._add(runs, links)

    def _add(self, runs: list[Run], links: list[LinkRow]) -> None:
        old = self._table
        merged = merge_runs(old.runs, runs)
        targets = {(row.version_id, row.ordinal): _target(row) for row in links if _TARGET.fullmatch(row.url)}
        new = {key: target for key, target in targets.items() if key not in old.targets}
        if links:
            self._last_link = max(self._last_link, links[-1].id)
        if merged != old.runs or new:
            self._table = LinkTable(merged, tuple(run.first for run in merged), {**old.targets, **new})
            self._is_unsaved = True

    # ------------------------------------------------------------------ the snapshot

    def save_snapshot(self) -> None:
        """Write the map to disk, whole or not at all; a full disk costs a log line."""
        table = self._table
        data = {
            "last": [self._last_message, self._last_link, self._last_sending],
            "runs": [[run.first, run.last, run.version_id] for run in table.runs],
            "targets": [[*key, *astuple(target)] for key, target in table.targets.items()],
        }
        draft = self._path.with_suffix(f".{threading.get_ident()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.write_text(json.dumps(data), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            log.warning("link_map_not_saved", error=type(error).__name__)
            return
        self._is_unsaved = False

    def load_snapshot(self) -> None:
        """Read the map from disk; a missing or damaged file is an empty one."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            runs = tuple(Run(*run) for run in data["runs"])
            targets = {(row[0], row[1]): Target(*row[2:]) for row in data["targets"]}
            self._last_message, self._last_link, self._last_sending = data["last"]
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return
        self._table = LinkTable(runs, tuple(run.first for run in runs), targets)


def _target(row: LinkRow) -> Target:
    is_confirm, is_page, is_form = (row.response == word for word in ("confirm", "page", "form"))
    return Target(row.url, row.label, is_confirm, is_page, row.text, is_form)


def _snapshot_path(ctx: Context) -> Path:
    """Return the file of this database's map: another database must never be answered from it."""
    digest = hashlib.blake2b(str(ctx.database.url).encode(), digest_size=6).hexdigest()
    return ctx.settings.spool_dir / f"links-{digest}.json"
