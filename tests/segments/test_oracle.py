"""Random rules and segments over a random world agree with a naive oracle, on both engines.

`MAILER_ORACLE_CASES` and `MAILER_ORACLE_PEOPLE` make it long (`make fuzz-segments`); `MAILER_ORACLE_SEED` repeats one.
"""

import os
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mailer.database import Database
from mailer.schema.segments import Segment
from mailer.schema.workspace import Workspace
from mailer.segments import queries
from mailer.segments.fields import FIELDS, Kind
from tests.segments import oracle, worlds
from tests.segments.draws import PAIRS, Draw, draw_segments
from tests.segments.oracle import World

CASES = int(os.environ.get("MAILER_ORACLE_CASES", "200"))
PEOPLE = int(os.environ.get("MAILER_ORACLE_PEOPLE", "300"))
SEED = int(os.environ.get("MAILER_ORACLE_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
OFTEN = {
    Kind.BEHAVIOR: 6, Kind.ACTIVITY: 24, Kind.FOLLOW_UP: 12, Kind.CONSENT: 4, Kind.TOPIC: 4, Kind.SUPPRESSED: 8,
}  # fmt: skip
"""What has values of several parts, and so is asked more often than once."""
ROUND = 25
"""Rules asked on one day in one zone."""


@pytest.fixture(scope="module")
def world() -> World:
    """The same people for both engines."""
    rng = random.Random(SEED)
    world = worlds.draw_world(rng, PEOPLE)
    draw_segments(Draw(rng, world), world)
    return world


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database that holds the world."""
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("oracle") / "mailer.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgres")
        url = server.url(server.create("migrated"))
    database = Database(url)
    with database.write() as session:
        worlds.store_world(session, world)
    yield database
    database.dispose()


def move(database: Database, world: World, rng: random.Random) -> None:
    """Let the workspace be elsewhere, on another day."""
    world.zone = rng.choice(worlds.ZONES)
    world.today = worlds.TODAY + timedelta(days=rng.choice((0, 0, -20, 9, 40, -294, 465)))
    with database.write() as session:
        session.get_one(Workspace, 1).timezone = world.zone


def test_random_rules_agree_with_the_oracle(database: Database, world: World) -> None:
    rng = random.Random(SEED + 1)
    draw = Draw(rng, world)
    names = [one for row in world.segments.values() for one in (row["id"], row["name"])]
    asked = 0
    for case in range(CASES):
        if case % ROUND == 0:
            move(database, world, rng)
        rule = draw.rule(names)
        with database.read() as session:
            found = set(session.scalars(queries.members_select(session, queries.read_rule(session, rule), world.today)))
        expected = oracle.members(world, rule)
        assert found == expected, f"seed {SEED}, case {case}, {world.zone}, {world.today}: {rule}"
        asked += 0 < len(expected) < PEOPLE * 0.9
    assert asked > CASES / 4, "the rules are too dull to prove anything"


def test_every_operator_alone_agrees_with_the_oracle(database: Database, world: World) -> None:
    rng = random.Random(SEED + 2)
    draw = Draw(rng, world)
    move(database, world, rng)
    names: list[int | str] = list(world.segments)
    draw.deck = [pair for pair in PAIRS for _ in range(OFTEN.get(FIELDS.get(pair[0], Kind.TEXT), 1))]
    while draw.deck:
        rule = {"version": 1, "all": [draw.line(names)]}
        with database.read() as session:
            found = set(session.scalars(queries.members_select(session, queries.read_rule(session, rule), world.today)))
        assert found == oracle.members(world, rule), f"seed {SEED}, {world.zone}, {world.today}: {rule}"


def test_segments_of_every_kind_agree_with_the_oracle_and_so_do_their_reasons(database: Database, world: World) -> None:
    rng = random.Random(SEED + 3)
    move(database, world, rng)
    people = {person["id"]: person for person in world.people}
    for number, row in world.segments.items():
        expected = {key for key, person in people.items() if oracle.in_segment(world, row, person)}
        with database.read() as session:
            segment = session.get_one(Segment, number)
            found = set(session.scalars(queries.members_select(session, segment, world.today)))
            assert found == {key for key in expected if not people[key]["archived"]}, f"seed {SEED}: {row}"
            for key in rng.sample(sorted(people), 5):
                reasons = queries.list_reasons(session, segment, key, world.today)
                is_in = all(reason.holds for reason in reasons if reason.depth == 0)
                assert is_in == (key in found), f"seed {SEED}, person {key}: {reasons}"
