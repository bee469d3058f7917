"""Every fault a relay can play, in every phase: the message, the contact and the sending end as the table says (C8)."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailer.database import Database
from mailer.tokens import new_keys
from tests.conftest import ENGINES
from tests.delivery.fault_rig import MESSAGES, Rig, Seen, make_cell_context, make_scene, make_stand
from tests.delivery.smtp_faults import WIRE, Outcome, cells, expected, render_page, rule_of
from tests.support.fault_sink import run_sinks
from tests.support.postgres import Postgres

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "smtp-faults.md"
SIDE_BY_SIDE = 6
pytestmark = [
    pytest.mark.chaos,
    # a TLS session's goodbye may still be on its way when a run ends and its loop closes
    pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=relay", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module", params=ENGINES)
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: Path, redis_url: str
) -> dict[tuple[str, str], Seen]:
    """What came of every cell, all played side by side, once: a shuffled order comes back to an engine."""
    if request.param not in _played:
        _played[request.param] = _play_all(request, tmp_path_factory, certificate, redis_url)
    return _played[request.param]


_played: dict[str, dict[tuple[str, str], Seen]] = {}


def _play_all(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: Path, redis_url: str
) -> dict[tuple[str, str], Seen]:
    folder = tmp_path_factory.mktemp("matrix")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, f"{certificate}.key")
    with run_sinks() as sinks, _databases(request, folder) as databases:
        rig = Rig(folder, sinks, new_keys(), certificate, tls)
        for number, database in enumerate(databases):
            stand = make_stand(database, f"{redis_url}?db={number + 1}")
            make_scene(make_cell_context(rig, stand, "smtp://127.0.0.1:9"))
            rig.stands.put(make_stand(database, stand.redis_url))
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            played = list(threads.map(lambda cell: rig.play(cell[0], rule_of(*cell)), cells()))
    return dict(zip(cells(), played, strict=True))


@contextmanager
def _databases(request: pytest.FixtureRequest, folder: Path) -> Iterator[list[Database]]:
    """Fresh databases, one for each cell that is played at the same time."""
    server: Postgres | None = None
    names = [f"stand{number}" for number in range(SIDE_BY_SIDE)]
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        for name in names:
            shutil.copyfile(template, folder / f"{name}.sqlite")
        urls = [f"sqlite:///{folder}/{name}.sqlite" for name in names]
    else:
        server = request.getfixturevalue("postgres")
        assert server is not None
        names = [server.create("migrated") for _ in names]
        urls = [server.url(name) for name in names]
    databases = [Database(url) for url in urls]
    yield databases
    for database in databases:
        database.dispose()
    if server is not None:
        for name in names:
            server.drop(name)


def _as_outcome(seen: Seen) -> Outcome:
    (state,) = seen.states
    (reason,) = seen.reasons
    (attempts,) = seen.attempts
    event = next(iter(seen.events), "")
    retry = None if seen.retry is None else round(seen.retry)
    return Outcome(state, reason, attempts, retry, event, seen.suppressed == MESSAGES, seen.hold, seen.is_slowed)


@pytest.mark.parametrize(("phase", "fault"), cells(), ids=[f"{phase}-{fault}" for phase, fault in cells()])
def test_a_fault_ends_as_the_table_says(matrix: dict[tuple[str, str], Seen], phase: str, fault: str) -> None:
    seen, planned = matrix[phase, fault], expected(phase, fault)
    outcome = _as_outcome(seen)

    if planned.retry is not None and outcome.retry is not None:
        assert planned.retry - 12 <= outcome.retry <= planned.retry
        outcome = Outcome(**{**vars(outcome), "retry": planned.retry})
    assert outcome == planned, seen.replies


@pytest.mark.parametrize(("phase", "fault"), cells(), ids=[f"{phase}-{fault}" for phase, fault in cells()])
def test_no_fault_doubles_or_loses_anybody(matrix: dict[tuple[str, str], Seen], phase: str, fault: str) -> None:
    """After the fault the server is well and time passes: what was put off arrives, what is unknown stays so."""
    seen, planned = matrix[phase, fault], expected(phase, fault)

    assert all(count == 1 for count in seen.taken_in_all.values())
    if planned.state == "accepted":
        assert len(seen.taken) == MESSAGES
    elif planned.state == "queued" and not planned.hold:
        assert seen.taken == {}
        assert seen.later == {"accepted": MESSAGES}
        assert len(seen.taken_in_all) == MESSAGES
    else:
        assert seen.later == {planned.state: MESSAGES}
        assert seen.taken_in_all == seen.taken


def test_only_a_reply_that_blames_the_address_or_the_mailbox_touches_the_contact() -> None:
    touching = {fault for phase, fault in cells() if expected(phase, fault).event}

    assert touching == {"550 5.1.1", "552 5.2.2"}
    assert all(expected(phase, fault).state != "failed" for phase, fault in cells() if fault in WIRE)


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(), "run python -m tests.delivery.smtp_faults"
